"""The signs of the test images, and what a release changes where they are: what several measures
ask.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.measure import Exam, Ground

Maps = Float[np.ndarray, "n h w"]


@dataclass(frozen=True, eq=False)
class Signs:
    """Those n test images that show signs, and the signs themselves.

    `row` int64 (n,) their rows among the test images; `images` x and `twin` t uint8 (n, h, w);
    `maps` float64 (n, h, w) the signs s = x - t inside the evidence mask, 0 outside; `masks` bool;
    `patient` and `visit` int64 (n,). All of them have the label, and no `maps` is 0 everywhere.
    """

    row: Int64[np.ndarray, " n"]
    images: UInt8[np.ndarray, "n h w"]
    twin: UInt8[np.ndarray, "n h w"]
    maps: Maps
    masks: Bool[np.ndarray, "n h w"]
    patient: Int64[np.ndarray, " n"]
    visit: Int64[np.ndarray, " n"]

    @classmethod
    def of(cls, ground: Ground) -> Self:
        """Return the signs of the test images. Raises `NotApplicable` where none is known."""
        test = ground.test
        if test.twin is None or test.evidence is None or test.images.ndim != 3:
            raise NotApplicable("the cohort's images have no twins without the disease")
        maps = (test.images.astype(np.float64) - test.twin) * test.evidence
        row = np.flatnonzero(maps.any(axis=(1, 2)) & test.diseased)
        if len(row) == 0:
            raise NotApplicable("no test image has visible signs and a twin without the disease")
        visit = np.zeros(len(test), dtype=np.int64) if test.visit is None else test.visit
        return cls(
            row,
            test.images[row],
            test.twin[row],
            maps[row],
            test.evidence[row],
            test.patient[row],
            visit[row],
        )

    def changes(self, exam: Exam) -> list[Maps]:
        """Return what the disease changes in the release, P(x) - P(t), for each draw that has
        twins, float64.

        Raises `NotApplicable` where the releases of the twins cannot be had.
        """
        return [
            release.images[self.row].astype(np.float64) - twin.images[self.row]
            for release, twin in zip(exam.drawn, exam.twins(), strict=False)
        ]

    def spread_over(self, values: list[np.ndarray], size: int) -> Float[np.ndarray, " m"]:
        """Return the mean over draws for every one of `size` test images, nan without signs."""
        full = np.full(size, np.nan)
        full[self.row] = np.mean(values, axis=0)
        return full
