"""Controls: methods that no one would release, against which the table's columns must be read.

A method "preserves the disease" only as far as it does better than these, and hides the patient
only as far as it does better than the original. `Original` hides nothing; the other three carry the
label in by construction or carry nothing of the source at all.
"""

from typing import Any, Protocol, Self

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import to_uint8
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.groups import patients_table, rounded
from medpriv_lib.privatizers.protocol import Compared, Parameter, Privatizer, Resources
from medpriv_lib.privatizers.replacement import POLICIES, Pools, draw_identities
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN


class Original(Privatizer):
    """Release the images as they are: what every other row of the table is compared with.

    `contributors` has shape (N, 0). Nothing is hidden, so nobody may release this.
    """

    name = "original"
    title = "Original"
    marker = "*"
    compared = (Compared("original test set", {}, experiment="baseline"),)
    control = True

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return a copy of every image, in the order given; nothing is drawn."""
        n = len(cohort)
        return Release(
            images=cohort.images.copy(),
            source=np.arange(n, dtype=np.int64),
            contributors=np.empty((n, 0), dtype=np.int64),
            method=self.name,
        )


class RealOther(Privatizer):
    """Release a real training image of a random other patient with the same label.

    It hides the source perfectly and shows the right label perfectly, so three of the paper's four
    columns praise it; only the replacement column sees that a patient is exposed. The patient is
    drawn uniformly, then one of their images with that label. Raises `NotApplicable` where no other
    patient has a training image of the label.
    """

    name = "real-other"
    title = "Real image of another patient"
    marker = "^"
    needs = "patients"
    compared = (Compared("real image, other patient, same label", {}, labels="true", random=True),)
    control = True

    def __init__(self) -> None:
        """Take nothing: the images come from `fit`."""
        self.train: Cohort | None = None

    def fit(self, train: Cohort) -> Self:
        """Keep the training images to choose from and return the method itself."""
        self.train = train
        return self

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return one real image per image of `cohort`; `contributors` (N, 1) names whose it is."""
        train = _fitted(self.train, self.name)
        other = draw_identities(Pools.of(train), cohort, generator, 1, "same")[:, 0]
        chosen = np.empty(len(cohort), dtype=np.int64)
        for i, (patient, label) in enumerate(zip(other, cohort.diseased, strict=True)):
            rows = np.flatnonzero((train.patient == patient) & (train.diseased == label))
            chosen[i] = rows[int(torch.randint(len(rows), (), generator=generator))]
        return Release(
            images=train.images[chosen],
            source=np.arange(len(cohort), dtype=np.int64),
            contributors=train.patient[chosen, None],
            method=self.name,
        )


class ClassMean(Privatizer):
    """Release the mean of all training images of the label: nothing of the source but its label.

    `contributors` (N, K) lists every training patient of that label. Raises `NotApplicable` where a
    label that is asked for has no training image.
    """

    name = "class-mean"
    title = "Mean image of the label"
    marker = "^"
    needs = "patients"
    compared = (Compared("mean image of the label", {}, labels="true"),)
    control = True

    def __init__(self) -> None:
        """Take nothing: the images come from `fit`."""
        self.train: Cohort | None = None

    def fit(self, train: Cohort) -> Self:
        """Keep the training images to average and return the method itself."""
        self.train = train
        return self

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return the mean of the label's training images for every image; nothing is drawn."""
        train = _fitted(self.train, self.name)
        labels = np.unique(cohort.diseased).tolist()
        means, members = {}, {}
        for label in labels:
            rows = train.diseased == label
            if not rows.any():
                word = "diseased" if label else "healthy"
                raise NotApplicable(
                    f"no training image is {word}, so there is no mean to release; "
                    "fit on training images of both labels"
                )
            means[label] = rounded(train.images[rows].sum(axis=0, dtype=np.int64) / rows.sum())
            members[label] = np.unique(train.patient[rows])
        table = dict(zip(labels, patients_table([members[label] for label in labels]), strict=True))
        return Release(
            images=np.stack([means[label] for label in cohort.diseased.tolist()]),
            source=np.arange(len(cohort), dtype=np.int64),
            contributors=np.stack([table[label] for label in cohort.diseased.tolist()]),
            method=self.name,
        )


class PriorDecoder(Protocol):
    """What a prior sample needs of PPRL-VGAN: the length of a code, identities, and a decoder."""

    @property
    def latent(self) -> int:
        """The length of a code z."""

    def draw_identities(
        self, cohort: Cohort, generator: torch.Generator, count: int = 1, policy: str | None = None
    ) -> Int64[np.ndarray, "n count"]:
        """Draw `count` identities per image."""

    def decode(
        self, z: Float[Tensor, "n z"], identity: Int64[Tensor, " n"]
    ) -> Float[Tensor, "n c s s"]:
        """Return codes shown as patients, in [-1, 1]."""


class PriorSample(Privatizer):
    """Let PPRL-VGAN's decoder draw an eye without looking at the source: z from the prior N(0, 1).

    What the decoder shows of the disease here comes from the identity code alone; the encoder
    counts only by what PPRL-VGAN shows above this. `vgan` is a trained `PPRLVGAN`, or an object
    that decodes like one; `policy` its way to choose the identity.
    """

    name = "prior-sample"
    title = "Sample of the prior"
    marker = "^"
    parameters = (
        Parameter("policy", "random", "which patients may lend their identity", choices=POLICIES),
    )
    needs = "weights"
    # four samples of each image, from which its draws are taken
    compared = (
        Compared("prior sample, random identities", {"policy": "random"}, random=True, shared=4),
        Compared(
            "prior sample, same pathology",
            {"policy": "same"},
            labels="true",
            random=True,
            shared=4,
        ),
    )
    control = True

    def __init__(self, vgan: PriorDecoder, policy: str = "random") -> None:
        """Take a trained generator and the replacement policy."""
        self.check({"policy": policy})
        self.vgan, self.policy = vgan, policy

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the method over the PPRL-VGAN that is trained, in `weights`, or shipped.

        `resources.trained` may hold a decoder of its own for this control, under its name.
        """
        cls.check(settings)
        own: PriorDecoder | None = resources.trained.get(cls.name)
        return cls(PPRLVGAN.of(resources) if own is None else own, **settings)

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return one sampled image per image of `cohort`; `contributors` (N, 1) names the identity
        code used.
        """
        identity = self.vgan.draw_identities(cohort, generator, 1, self.policy)
        z = torch.randn(len(cohort), self.vgan.latent, generator=generator)
        return Release(
            images=to_uint8(self.vgan.decode(z, torch.as_tensor(identity)[:, 0])),
            source=np.arange(len(cohort), dtype=np.int64),
            contributors=np.asarray(identity).astype(np.int64),
            method=self.name,
            parameters=self.settings,
        )


def _fitted(train: Cohort | None, method: str) -> Cohort:
    if train is None:
        raise ValueError(f"{method} has no training images yet; call fit(train) first")
    return train
