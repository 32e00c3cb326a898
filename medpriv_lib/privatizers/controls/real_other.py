"""A real image of another patient: perfect by the paper's columns, and no use."""

from typing import Self

import numpy as np
import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.controls.fitted import fitted
from medpriv_lib.privatizers.protocol import Compared, Privatizer
from medpriv_lib.privatizers.replacement import Pools, draw_identities


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
        train = fitted(self.train, self.name)
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
