"""The mean image of the label: it carries the label and nothing else of the source."""

from typing import Self

import numpy as np
import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.controls.fitted import fitted
from medpriv_lib.privatizers.groups import patients_table, rounded
from medpriv_lib.privatizers.protocol import Compared, Privatizer


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
        train = fitted(self.train, self.name)
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
