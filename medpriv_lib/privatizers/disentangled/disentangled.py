"""Disentanglement: show the disease of an image in the eye of somebody who does not exist.

Montenegro, Cardoso, "Anonymizing medical case-based explanations through disentanglement", 2023,
arXiv 2311.04833. Three vectors are read from an image: medical m, identity i, other o. The release
is

    G(m, i', o)        i' synthetic · the mean of k training patients · a donor's · i itself

and is as anonymous as i' is strange, and as m and o are free of the patient: `probes` asks that.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images, to_uint8
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.disentangled.model import KIND, TRAIN_AGAIN, Model, donors, noised
from medpriv_lib.privatizers.disentangled.networks import Vectors
from medpriv_lib.privatizers.disentangled.settings import FORMS
from medpriv_lib.privatizers.protocol import Compared, Parameter, Privatizer, Resources
from medpriv_lib.privatizers.replacement import draw_identities

IDENTITIES = ("synthetic", "k-same", "swap", "own")
PLAIN = "disentangled-plain"


class Disentangled(Privatizer):
    """Keep what is medical, replace the identity (Montenegro, Cardoso 2023).

    `identity` says by whose: "synthetic" nobody's; "k-same" the mean of the k nearest training
    patients (k = 0: of all); "swap" a random other training patient's; "own" its own, which hides
    nothing (a control). `form` chooses the network: "closed" was taught to name the training
    patients, "verification" to tell people apart whom it never saw. `medical` "other-patient" and
    `other` "mean" are controls: the medical vector of another image of the label, and the mean of
    the training images in place of the other vector. Contributors are numbers of training patients:
    none for a synthetic identity.
    """

    name = "disentangled"
    title = "Disentanglement"
    marker = "X"
    parameters = (
        Parameter("identity", "synthetic", "whose identity is shown", choices=IDENTITIES),
        Parameter("k", 6, "patients per mean identity (k-same); 0 means all", least=0),
        Parameter("form", "closed", "which network: of known patients, or of any", choices=FORMS),
        Parameter(
            "medical", "own", "whose medical vector is shown", choices=("own", "other-patient")
        ),
        Parameter("other", "own", "the other vector: its own or a mean", choices=("own", "mean")),
    )
    needs = "weights"
    compared = (
        *(
            Compared(
                f"synthetic identities{suffix}",
                {"identity": "synthetic", "form": form},
                random=True,
                needs_visits=True,
            )
            for form, suffix in (("closed", ""), ("verification", ", verification form"))
        ),
        *(
            Compared(
                f"mean of {word} identities", {"identity": "k-same", "k": k}, needs_visits=True
            )
            for k, word in ((6, "6"), (12, "12"), (0, "all"))
        ),
        Compared("a donor's identity", {"identity": "swap"}, random=True, needs_visits=True),
        Compared("own identity", {"identity": "own"}, needs_visits=True),
        Compared(
            "medical vector of another patient",
            {"identity": "synthetic", "medical": "other-patient"},
            labels="true",
            random=True,
            needs_visits=True,
        ),
        Compared(
            "no other vector",
            {"identity": "synthetic", "other": "mean"},
            random=True,
            needs_visits=True,
        ),
    )

    def __init__(
        self,
        identity: str = "synthetic",
        k: int = 6,
        form: str = "closed",
        medical: str = "own",
        other: str = "own",
        model: Model | None = None,
    ) -> None:
        """Without a model the method has to be loaded first: see `ready`."""
        settings = {"identity": identity, "k": k, "form": form, "medical": medical, "other": other}
        self.check(settings)
        if k == 1:
            raise ValueError("k must be 0 (all training patients) or at least 2: one is nobody's")
        self.identity, self.k, self.form = identity, int(k), form
        self.medical, self.other, self._model = medical, other, model

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the method over networks that are in memory, in the weights' folder, or shipped.

        Raises `FileNotFoundError` and `ValueError` as of `weights.load`. Weights of another cohort
        are refused, except the verification form with a synthetic or the own identity: these name
        no training patient.
        """
        method = cls(**settings)
        stranger = method.form == "verification" and method.identity in ("synthetic", "own")
        cohort = None if stranger else resources.cohort
        method._model = model_of(resources, f"{cls.name}-{method.form}", cohort)
        if method._model.form != method.form:
            raise ValueError(
                f"these networks were taught in the {method._model.form} form, not in the "
                f"{method.form} form; {TRAIN_AGAIN}"
            )
        return method

    @classmethod
    def claims_k(cls, settings: Mapping[str, Any]) -> int | None:
        """Return k for means of k identities, None for all and for other identities."""
        return int(settings["k"]) or None if settings.get("identity") == "k-same" else None

    @property
    def model(self) -> Model:
        """What the training left. Raises `ValueError` before there is one."""
        if self._model is None:
            raise ValueError(f"{self.name} has no trained networks yet; {TRAIN_AGAIN}")
        return self._model

    def encode(self, images: Images) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
        """Return what an image's release keeps of it, medical and other vector joined, and the
        standard deviation of the noise around it. On the CPU.
        """
        vectors = self.model.vectors(images)
        mean = self.model.other_mean.expand(len(images), -1)
        other = mean if self.other == "mean" else vectors.other
        code = torch.cat([vectors.medical, other], dim=1).cpu()
        return code, torch.full_like(code, self.model.spread)

    def decode(
        self, z: Float[Tensor, "n z"], identity: Int64[Tensor, " n"] | Float[Tensor, "n d"]
    ) -> Float[Tensor, "n c s s"]:
        """Return codes of `encode` shown with identities: numbers of training patients, or vectors.

        Float32 in [-1, 1], on the CPU; nothing is drawn. Raises `ValueError` for another length of
        the code and for unknown patients.
        """
        model, a, device = self.model, self.model.architecture, self.model.device
        if z.ndim != 2 or z.shape[1] != a.medical + a.other:
            raise ValueError(
                f"codes have {a.medical} + {a.other} entries (medical, other), not "
                f"{tuple(z.shape[1:])}; take them from `encode`"
            )
        identity = torch.as_tensor(identity).to(device)
        if not identity.is_floating_point():
            known = model.identities.known
            inside = (identity >= 0) & (identity < len(known))
            if not bool((inside & known[identity.clamp(0, len(known) - 1)]).all()):
                raise ValueError(
                    f"identities must be numbers of training patients, 0..{len(known) - 1}"
                )
            identity = model.identities.centroids[identity]
        medical, other = z.to(device).split([a.medical, a.other], dim=1)
        return model.show(Vectors(medical, identity, other))

    def posterior(self, images: Images) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
        """Return mean and standard deviation of each image's code, as `encode` does."""
        return self.encode(images)

    def lend(self, cohort: Cohort, generator: torch.Generator) -> Float[np.ndarray, "n 1 d"]:
        """Return the identity vectors that a release shows these images with.

        Raises `NotApplicable` as `transform` does, and where the code shown is another patient's.
        """
        if self.medical == "other-patient":
            raise NotApplicable("the release shows the medical vector of another patient")
        own = self.model.vectors(cohort.images).identity
        return self._lent(own, cohort, generator)[0].cpu().numpy()[:, None]

    def _lent(
        self, own: Float[Tensor, "n d"], cohort: Cohort, generator: torch.Generator
    ) -> tuple[Float[Tensor, "n d"], Int64[np.ndarray, "n k"]]:
        """Return the identity vectors to show, and the training patients who lend them.

        `own` are the sources' identity vectors. Raises `NotApplicable` where fewer training
        patients than k have an identity, and where nobody else can be a donor.
        """
        model, n = self.model, len(own)
        lent, nobody = model.identities, np.empty((n, 0), dtype=np.int64)
        if self.identity == "synthetic":
            return lent.synthetic(n, generator), nobody
        if self.identity == "own":
            return own, model.pools.numbers(cohort)[:, None]
        if self.identity == "swap":
            drawn = draw_identities(model.pools, cohort, generator, 1, "random")
            return lent.mean(torch.from_numpy(drawn).to(model.device)), drawn
        there = int(lent.known.sum())
        k = self.k or there
        if k > there:
            raise NotApplicable(
                f"k = {k}, but {there} training patients have an identity; choose a smaller k"
            )
        found = lent.nearest(own, k)[1].view(n, k)
        return lent.mean(found), found.cpu().numpy()

    @torch.no_grad()
    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return every image with its identity replaced.

        Raises `ValueError` for another image size, `NotApplicable` as `lend` does, and where no
        other patient of the label could lend a medical vector.
        """
        model = self.model
        vectors = model.vectors(cohort.images)
        identity, contributors = self._lent(vectors.identity, cohort, generator)
        medical, other = vectors.medical, vectors.other
        if self.medical == "other-patient":
            rows = donors(cohort, generator)
            if (rows < 0).any():
                raise NotApplicable(
                    "some label has one patient only: nobody else can lend a medical vector of it"
                )
            medical = medical[torch.from_numpy(rows).to(model.device)]
            lenders = model.pools.numbers(cohort)[rows]
            contributors = np.concatenate([contributors, lenders[:, None]], axis=1)
        if self.other == "mean":
            other = model.other_mean.expand(len(other), -1)
        shown = noised(Vectors(medical, identity, other), model.spread, generator)
        return Release(
            to_uint8(model.show(shown)),
            np.arange(len(cohort), dtype=np.int64),
            contributors,
            self.name,
            self.settings,
        )


class WithoutSwaps(Privatizer):
    """Release the reconstruction by networks that were taught without swap terms: the control that
    shows what passing through a bottleneck hides by itself.

    Contributors: the source's own number, -1 for a patient new to the networks.
    """

    name = PLAIN
    title = "Disentanglement without swap terms"
    marker = "x"
    needs = "weights"
    compared = (Compared("reconstruction without swap terms", {}, needs_visits=True),)
    control = True

    def __init__(self, model: Model | None = None) -> None:
        """Take trained networks; without them the method has to be made by `ready`."""
        self._model = model

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the method over networks that are in memory, in the weights' folder, or
        shipped; errors as of `Disentangled.ready`.
        """
        cls.check(settings)
        return cls(model_of(resources, cls.name, resources.cohort))

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return every image as it is decoded from its own vectors, with the noise of the
        training on them.
        """
        own = Disentangled("own", form="closed", model=self._model)
        images = own.transform(cohort, generator)
        return Release(images.images, images.source, images.contributors, self.name)


def model_of(resources: Resources, name: str, cohort: Cohort | None) -> Model:
    """Return the networks called `name`: in memory, else in the weights' folder. Without `cohort`
    any cohort's will do, and those that ship serve where the folder has none.

    Raises `FileNotFoundError` where there are none, and `ValueError` as of `weights.load` and where
    they are of another cohort than `cohort`.
    """
    if name in resources.trained:
        model: Model = resources.trained[name]
        return model
    folder = weights.DEFAULT if resources.weights is None else resources.weights
    path = folder / f"{name}.safetensors"
    shipped = weights.FOLDER / path.name
    if cohort is None and shipped.is_file() and not path.is_file():
        path = shipped
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weights; {TRAIN_AGAIN}")
    if cohort is not None:
        weights.require_cohort(weights.read_card(path), cohort)
    return Model.load(path, KIND)
