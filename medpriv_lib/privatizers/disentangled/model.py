"""What a training leaves: networks, the identities that can be lent, and mean vectors; read and
written as one file of weights.
"""

import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images, require_images, to_tensor
from medpriv_lib.core.precision import halved, in_full
from medpriv_lib.learning.checkpoint import named, part_of
from medpriv_lib.privatizers.disentangled.identities import (
    Identities,
    IdentityVAE,
    Synthesis,
    centroids_of,
    fit_identities,
    nearness,
)
from medpriv_lib.privatizers.disentangled.networks import (
    Architecture,
    Networks,
    Vectors,
    networks_of,
)
from medpriv_lib.privatizers.disentangled.settings import Form
from medpriv_lib.privatizers.replacement import Pools

BATCH = 256
KIND = "disentangled"
TRAIN_AGAIN = "train them with data_scripts/train_disentangled.py and name their folder"


@dataclass(frozen=True, eq=False)
class Model:
    """Trained networks with all that releases need of the training patients.

    `form` says how identity was taught; `identities` what can be lent; `pools` who the training
    patients are; `medical_mean` (2, m) the mean medical vector of the training images of each
    label, `other_mean` (o,) the mean other vector; `spread` the standard deviation of the noise
    that is added to medical and other vector in a release, that of the training: what is written in
    fainter traces than this does not get through.
    """

    networks: Networks
    form: Form
    identities: Identities
    pools: Pools
    medical_mean: Float[Tensor, "2 m"]
    other_mean: Float[Tensor, " o"]
    spread: float = 0.0

    @property
    def architecture(self) -> Architecture:
        """The sizes of the networks."""
        return self.networks.architecture

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.identities.centroids.device

    def vectors(self, images: Images) -> Vectors:
        """Return the vectors of uint8 images, float32; errors as of `require_images`."""
        return vectors_of(self.networks, images)

    @torch.no_grad()
    def show(self, vectors: Vectors) -> Float[Tensor, "n c s s"]:
        """Return the images of vectors, float32 in [-1, 1], on the CPU."""
        a, n = self.architecture, len(vectors.medical)
        parts = [
            self.networks.generate(vectors.rows(slice(i, i + BATCH))).cpu()
            for i in range(0, n, BATCH)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, a.channels, a.size, a.size)

    @classmethod
    def of(
        cls,
        networks: Networks,
        train: Cohort,
        form: Form,
        held_out: Cohort | None = None,
        synthesis: Synthesis | None = None,
        spread: float = 0.0,
    ) -> "Model":
        """Learn from the training images what can be lent, the autoencoder of identities too.

        `held_out` images of the same or other people say how near people come to each other; None
        takes the training images, whose own patients are nearer than anybody's.
        """
        networks.requires_grad_(False).eval()
        synthesis, unit = synthesis or Synthesis(), networks.architecture.normalise
        vectors, device = vectors_of(networks, train.images), next(networks.parameters()).device
        patient = torch.from_numpy(train.patient).to(device)
        centroids, known = centroids_of(vectors.identity, patient, train.patients, unit)
        pools = Pools.of(train)
        asked = train if held_out is None else held_out
        own = torch.from_numpy(pools.numbers(asked)).to(device)
        seen = vectors_of(networks, asked.images).identity
        limit = nearness(centroids[:0], centroids, known, seen, own).limit
        head = networks.patient if form == "closed" else None
        vae = fit_identities(vectors.identity, centroids, head, known, limit, synthesis, unit)
        vae.requires_grad_(False)
        label = torch.from_numpy(train.diseased).to(device)
        means = torch.stack([vectors.medical[label == ill].mean(dim=0) for ill in (False, True)])
        lent = Identities(centroids, known, vae, limit)
        return cls(networks, form, lent, pools, means, vectors.other.mean(dim=0), spread)

    def to(self, device: str | torch.device) -> "Model":
        """Return the model on a device; the networks are moved in place."""
        one = self.identities
        lent = Identities(
            one.centroids.to(device), one.known.to(device), one.vae.to(device), one.threshold
        )
        means = self.medical_mean.to(device), self.other_mean.to(device)
        return Model(self.networks.to(device), self.form, lent, self.pools, *means, self.spread)

    def save(
        self, path: str | os.PathLike, card: dict[str, Any], synthesis: Synthesis | None = None
    ) -> None:
        """Write everything (float16) with its card; `card` says how it was made.

        `synthesis` are the settings of the autoencoder, None the defaults.
        """
        tensors = named("networks", self.networks.state_dict())
        tensors |= named("vae", self.identities.vae.state_dict())
        tensors |= {
            "centroids": self.identities.centroids,
            "medical_mean": self.medical_mean,
            "other_mean": self.other_mean,
        }
        tensors = halved(tensors)
        tensors["has_label"] = torch.from_numpy(self.pools.has_label.astype(np.uint8))
        tensors["threshold"] = torch.tensor(self.identities.threshold)
        told = {
            "architecture": asdict(self.architecture),
            "form": self.form,
            "spread": self.spread,
            "synthesis": asdict(synthesis or Synthesis()),
            "patient_names": [str(name) for name in self.pools.names],
            "private": weights.PRIVATE,
        }
        # an "other" vector of length 0 has an empty mean, which is in the architecture already
        tensors = {key: value for key, value in tensors.items() if value.numel()}
        weights.save(path, tensors, {"kind": KIND, **card, **told})

    @classmethod
    def load(
        cls, path: str | os.PathLike, kind: str = KIND, device: str | torch.device = "cpu"
    ) -> "Model":
        """Read what `save` wrote; what is computed with it is float32. Errors as of
        `weights.load`.
        """
        tensors, card = weights.load(path, kind)
        with weights.fitting(path):
            has_label = tensors.pop("has_label").numpy().astype(bool)
            threshold = float(tensors.pop("threshold"))
            tensors = in_full(tensors)
            networks = networks_of(card["architecture"], part_of(tensors, "networks"))
            a, names = networks.architecture, np.array(card["patient_names"], dtype=np.str_)
            synthesis = Synthesis(**card["synthesis"])
            vae = IdentityVAE(a.identity, synthesis.code, synthesis.dropout, a.normalise)
            vae.load_state_dict(part_of(tensors, "vae"))
            if has_label.shape != (a.patients, 2) or len(names) != a.patients:
                raise ValueError(f"{len(names)} names and labels {has_label.shape}")
            pools = Pools(names, has_label)
            known = torch.from_numpy(has_label.any(axis=1))
            lent = Identities(tensors["centroids"], known, vae.eval(), threshold)
            other = tensors["other_mean"] if a.other else torch.zeros(0)
            networks.requires_grad_(False)
            vae.requires_grad_(False)
            means = tensors["medical_mean"], other
            model = cls(networks, card["form"], lent, pools, *means, float(card["spread"]))
        return model.to(device)


@torch.no_grad()
def vectors_of(networks: Networks, images: Images) -> Vectors:
    """Return the vectors of uint8 images on the networks' device, float32, without autocast.

    Raises `ValueError` for images of another size, type or number of channels.
    """
    a, device = networks.architecture, next(networks.parameters()).device
    require_images(images, a.size, a.channels, "disentangled network")
    parts = [
        networks.encode(to_tensor(images[i : i + BATCH], device))
        for i in range(0, len(images), BATCH)
    ]
    if not parts:
        return Vectors(*(torch.zeros(0, length, device=device) for length in a.lengths))
    return Vectors.cat(parts)


def noised(vectors: Vectors, spread: float, generator: torch.Generator) -> Vectors:
    """Return the vectors with noise on medical and other, drawn from the CPU `generator`."""
    if spread == 0:
        return vectors
    medical, other = (
        one + spread * torch.randn(one.shape, generator=generator).to(one.device)
        for one in (vectors.medical, vectors.other)
    )
    return Vectors(medical, vectors.identity, other)


def donors(cohort: Cohort, generator: torch.Generator) -> Int64[np.ndarray, " n"]:
    """Return for each image the row of a random image of another patient with its label, -1 where
    there is none; drawn from the CPU `generator`.
    """
    fits = (cohort.diseased[:, None] == cohort.diseased[None]) & (
        cohort.patient[:, None] != cohort.patient[None]
    )
    draws = torch.rand(len(cohort), generator=generator).double().numpy()
    count = fits.sum(axis=1)
    place = (draws * count).astype(np.int64)
    order = np.argsort(~fits, axis=1, kind="stable")  # the fitting rows first, in their order
    return np.where(count > 0, np.take_along_axis(order, place[:, None], 1)[:, 0], -1)
