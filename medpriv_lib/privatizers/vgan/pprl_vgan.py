r"""PPRL-VGAN: show the disease of one patient in the eye of another.

Chen, Konrad, Ishwar, "VGAN-based image representation learning for privacy-preserving facial
expression recognition", CVPR workshops 2018; used for medical images by Montenegro, Silva, Cardoso
2021, whose Equations 1 and 2 this file follows.

    I  an image          y^id  its patient          y^e  its label (task)          c  the
    replacement identity f(I) = mu + sigma * eps   what the encoder keeps of I          G(I, c)  the
    image that is shown in place of I D^1  real or made?        D^2  which patient?
    D^3  diseased?

The two losses are in `losses`, the networks in `networks`, the training in `training`; here is what
the trained networks do.
"""

import copy
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Self, cast, overload

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images, require_images, to_tensor, to_uint8
from medpriv_lib.core.precision import halved, in_full
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Compared, Parameter, Privatizer, Resources
from medpriv_lib.privatizers.replacement import POLICIES, Pools, draw_identities
from medpriv_lib.privatizers.vgan.networks import Architecture, Generator
from medpriv_lib.privatizers.vgan.training import fit_generator


class PPRLVGAN(Privatizer):
    """Replace the patient of an image by another, keep its label (Chen et al. 2018).

    `policy` chooses the replacement identity, see `replacement.Pools.candidates`: "random", "same"
    or "different". Works on images outside the cohort it was trained on: the identities it can lend
    are its training patients, and the source may be anybody. Contributors are numbers of training
    patients.
    """

    name = "pprl-vgan"
    title = "PPRL-VGAN"
    marker = "o"
    parameters = (
        Parameter(
            "policy",
            "random",
            "who lends the identity: any other patient, or one of the same or of a different label",
            choices=POLICIES,
        ),
    )
    needs = "weights"
    compared = (
        Compared("random identities", {"policy": "random"}, random=True),
        Compared(
            "identities with the same pathology", {"policy": "same"}, labels="true", random=True
        ),
        Compared(
            "identities with a different pathology",
            {"policy": "different"},
            labels="true",
            random=True,
        ),
    )

    def __init__(
        self, policy: str = "random", generator: Generator | None = None, pools: Pools | None = None
    ) -> None:
        """Without a generator and pools the method has to be fitted or loaded first."""
        self.check({"policy": policy})
        self.policy, self._generator, self._pools = policy, generator, pools

    @classmethod
    def of(cls, resources: Resources) -> "PPRLVGAN":
        """Return the networks that are in memory, else those of the weights' folder, else those
        that ship.

        Raises `FileNotFoundError` and `ValueError` as of `weights.load`, and where the weights are
        of another cohort than the resources'.
        """
        if cls.name in resources.trained:
            trained: PPRLVGAN = resources.trained[cls.name]
            return trained
        folder = resources.weights
        path = weights.shipped(cls.name) if folder is None else folder / f"{cls.name}.safetensors"
        if resources.cohort is not None:
            weights.require_cohort(weights.read_card(path), resources.cohort)
        return cls.load(path)

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the method over networks that are trained, in the weights' folder, or shipped."""
        cls.check(settings)
        return cast(Self, cls.of(resources).with_policy(settings.get("policy", "random")))

    @property
    def generator(self) -> Generator:
        """The trained networks. Raises `ValueError` before `fit`."""
        if self._generator is None:
            raise ValueError("PPRL-VGAN is not trained yet: call `fit` or `load` first")
        return self._generator

    @property
    def pools(self) -> Pools:
        """The patients that may lend their identity. Raises `ValueError` before `fit`."""
        if self._pools is None:
            raise ValueError("PPRL-VGAN is not trained yet: call `fit` or `load` first")
        return self._pools

    @property
    def architecture(self) -> Architecture:
        """The sizes of the networks. Raises `ValueError` before `fit`."""
        return self.generator.architecture

    @property
    def latent(self) -> int:
        """The length of a code z."""
        return self.architecture.latent

    def to(self, device: str | torch.device) -> Self:
        """Move the networks to a device, in place, and return the method itself."""
        self.generator.to(device)
        return self

    def with_policy(self, policy: str) -> "PPRLVGAN":
        """Return the same trained networks under another policy."""
        return PPRLVGAN(policy, self._generator, self._pools)

    def fit(self, train: Cohort, **options: Any) -> Self:
        """Train on the images of `train` and return the method itself; options as of
        `training.fit_generator`.
        """
        self._generator, self._pools = fit_generator(train, **options), Pools.of(train)
        return self

    @overload
    def encode(
        self, images: Images, generator: None = None, batch: int = 512
    ) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]: ...

    @overload
    def encode(
        self, images: Images, generator: torch.Generator, batch: int = 512
    ) -> Float[Tensor, "n z"]: ...

    @torch.no_grad()
    def encode(
        self,
        images: Images,
        generator: torch.Generator | None = None,
        batch: int = 512,
    ) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]] | Float[Tensor, "n z"]:
        """Return mu and the log-variance (N, latent) of each image's code; with a CPU `generator`,
        a sample z instead.

        Always float32, so that the same images give the same codes with every device's best
        precision. Raises `ValueError` where the images are not uint8 of the size and the channels
        that the networks were trained on.
        """
        a = self.architecture
        require_images(images, a.size, a.channels, "PPRL-VGAN")
        device = next(self.generator.parameters()).device
        parts = [
            self.generator.encoder(to_tensor(images[i : i + batch], device))
            for i in range(0, len(images), batch)
        ]
        mu, log_variance = (torch.cat([part[i].cpu() for part in parts]) for i in (0, 1))
        if generator is None:
            return mu, log_variance
        return mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)

    def posterior(self, images: Images) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
        """Return mean and standard deviation of each image's code; see `codes.Coded`."""
        mu, log_variance = self.encode(images)
        return mu, (log_variance / 2).exp()

    def lend(self, cohort: Cohort, generator: torch.Generator) -> Int64[np.ndarray, "n 1"]:
        """Draw the identity that each image is shown with; errors as of `draw_identities`."""
        return self.draw_identities(cohort, generator)

    @torch.no_grad()
    def decode(
        self, z: Float[Tensor, "n z"], identity: Int64[Tensor, " n"], batch: int = 16
    ) -> Float[Tensor, "n c s s"]:
        """Return codes z shown as the patients `identity`: float32 (N, C, S, S) in [-1, 1], on the
        CPU.

        `batch` images at a time: so few stay in a processor's cache, a GPU takes sixteen times as
        many.
        """
        device = next(self.generator.parameters()).device
        batch *= 16 if device.type == "cuda" else 1
        identity, a = torch.as_tensor(identity), self.architecture
        if len(identity) and not 0 <= int(identity.min()) <= int(identity.max()) < a.patients:
            raise ValueError(
                f"identities must be numbers of training patients, 0..{a.patients - 1}"
            )
        decoder = self.generator.decoder
        parts = [
            decoder(z[i : i + batch].to(device), identity[i : i + batch].to(device)).cpu()
            for i in range(0, len(z), batch)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, a.channels, a.size, a.size)

    def decode_all(
        self,
        z: Float[Tensor, "n z"],
        out: UInt8[np.ndarray, "n p ..."] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> UInt8[np.ndarray, "n p ..."]:
        """Return every code shown as every patient, levels (N, P, S, S), for
        colours (N, P, S, S, 3); all draws of a study
        are then look-ups.

        `out` may be a memory map. `advance(n)` is told of every n images made.
        """
        a = self.architecture
        if out is None:
            colours = (a.channels,) if a.channels > 1 else ()
            out = np.empty((len(z), a.patients, a.size, a.size, *colours), dtype=np.uint8)
        everyone = torch.arange(a.patients)
        for row, code in enumerate(z):
            out[row] = to_uint8(self.decode(code.expand(a.patients, -1), everyone))
            if advance:
                advance(a.patients)
        return out

    def draw_identities(
        self,
        cohort: Cohort,
        generator: torch.Generator,
        count: int = 1,
        policy: str | None = None,
        replace: bool = True,
    ) -> Int64[np.ndarray, "n count"]:
        """Draw `count` replacement identities per image; see `replacement.draw_identities`."""
        return draw_identities(self.pools, cohort, generator, count, policy or self.policy, replace)

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return every image shown as another patient.

        Raises `ValueError` for another image size, `NotApplicable` for an empty pool.
        """
        identity = self.draw_identities(cohort, generator)
        z = self.encode(cohort.images, generator)
        images = to_uint8(self.decode(z, torch.from_numpy(identity[:, 0])))
        return Release(
            images,
            np.arange(len(cohort), dtype=np.int64),
            identity,
            self.name,
            self.settings,
        )

    def save(self, path: str | os.PathLike, card: dict[str, Any]) -> None:
        """Write the generator (float16) and what is known of its patients; `card` says how they
        were made.
        """
        tensors = halved(self.generator.state_dict())
        tensors["has_label"] = torch.from_numpy(self.pools.has_label.astype(np.uint8))
        card = {
            **card,
            "architecture": asdict(self.architecture),
            "patient_names": [str(n) for n in self.pools.names],
        }
        weights.save(path, tensors, card)

    @classmethod
    def load(
        cls, path: str | os.PathLike, policy: str = "random", device: str | torch.device = "cpu"
    ) -> "PPRLVGAN":
        """Read weights written by `save`; what is computed with them is float32. Errors as of
        `weights.load`.
        """
        tensors, card = weights.load(path, cls.name)
        with weights.fitting(path):
            has_label = tensors.pop("has_label").numpy().astype(bool)
            generator = Generator(Architecture(**card["architecture"]))
            generator.load_state_dict(in_full(tensors))
            names = np.array(card["patient_names"], dtype=np.str_)
            wanted = (generator.architecture.patients, 2)
            if has_label.shape != wanted or len(names) != wanted[0]:
                raise ValueError(f"{len(names)} names and labels {has_label.shape}, not {wanted}")
        return cls(policy, generator.to(device).eval(), Pools(names, has_label))

    def halved(self) -> "PPRLVGAN":
        """Return the method as it will be after `save` and `load`: its weights rounded to
        float16.
        """
        generator = copy.deepcopy(self.generator)
        generator.load_state_dict(in_full(halved(generator.state_dict())))
        return type(self)(self.policy, generator, self.pools)
