"""Controls: methods that no one would release, against which the table's columns must be read.

A method "preserves the disease" only as far as it does better than these. All three carry the label
in by construction or carry nothing of the source at all.
"""

import numpy as np
import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_uint8
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.k_same import patients_table, rounded
from medpriv_lib.privatizers.replacement import Pools, draw_identities


class RealOther:
    """Release a real training image of a random other patient with the same label.

    It hides the source perfectly and shows the right label perfectly, so three of the paper's four
    columns praise it; only the replacement column sees that a patient is exposed. The patient is
    drawn uniformly, then one of their images with that label. Raises `ValueError` where no other
    patient has a training image of the label.
    """

    name = "real-other"

    def __init__(self) -> None:
        """Take nothing: the images come from `fit`."""
        self.train: Cohort | None = None

    def fit(self, train: Cohort) -> "RealOther":
        """Keep the training images to choose from and return the method itself."""
        self.train = train
        return self

    def privatize(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return one real image per image of `cohort`; `contributors` (N, 1) names whose it is."""
        train = _fitted(self)
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


class ClassMean:
    """Release the mean of all training images of the label: nothing of the source but its label.

    `contributors` (N, K) lists every training patient of that label. Raises `ValueError` where a
    label that is asked for has no training image.
    """

    name = "class-mean"

    def __init__(self) -> None:
        """Take nothing: the images come from `fit`."""
        self.train: Cohort | None = None

    def fit(self, train: Cohort) -> "ClassMean":
        """Keep the training images to average and return the method itself."""
        self.train = train
        return self

    def privatize(self, cohort: Cohort, generator: torch.Generator | None = None) -> Release:
        """Return the mean of the label's training images for every image. `generator` is not
        used.
        """
        train = _fitted(self)
        labels = np.unique(cohort.diseased).tolist()
        means, members = {}, {}
        for label in labels:
            rows = train.diseased == label
            if not rows.any():
                word = "diseased" if label else "healthy"
                raise ValueError(
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


class PriorSample:
    """Let PPRL-VGAN's decoder draw an eye without looking at the source: z from the prior N(0, 1).

    What the decoder shows of the disease here comes from the identity code alone; the encoder
    counts only by what PPRL-VGAN shows above this. `vgan` is a trained `PPRLVGAN`, `policy` its way
    to choose the identity.
    """

    name = "prior-sample"

    def __init__(self, vgan, policy: str = "random") -> None:
        """Take a trained generator and the replacement policy."""
        self.vgan, self.policy = vgan, policy

    def fit(self, train: Cohort) -> "PriorSample":
        """Return the method itself: the generator is trained already."""
        return self

    def privatize(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return one sampled image per image of `cohort`; `contributors` (N, 1) names the identity
        code used.
        """
        identity = torch.as_tensor(self.vgan.draw_identities(cohort, generator, 1, self.policy))
        z = torch.randn(len(cohort), getattr(self.vgan, "latent", 128), generator=generator)
        return Release(
            images=to_uint8(self.vgan.decode(z, identity[:, 0])),
            source=np.arange(len(cohort), dtype=np.int64),
            contributors=identity.numpy().astype(np.int64),
            method=self.name,
            parameters={"policy": self.policy},
        )


def _fitted(method) -> Cohort:
    if method.train is None:
        raise ValueError(f"{method.name} has no training images yet; call fit(train) first")
    return method.train
