"""Do the signs stand in the release where they stood?

Two numbers on |d| = |P(x) - P(t)|, how much the disease changes each pixel of the release, and |s|,
how much it changes the original: the correlation of the two maps, both softened by a Gaussian of
one pixel, so that a sign that moved by a pixel still counts; and the share of hits among the |M|
pixels that change most, M being the signs' mask. Signs of this disease have favoured places, so the
correlation with *other* patients' signs stands beside it: only what exceeds that is the case's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from medpriv_lib.measures.cells import mean_of
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure
from medpriv_lib.measures.own_signs import of_other_patients
from medpriv_lib.measures.signs import Maps, Signs

SOFT = 1.0  # px, standard deviation


def softened(maps: Maps) -> Maps:
    """Return the absolute value of each map, softened, less its mean and of length 1; 0 where the
    map is flat.
    """
    soft = np.stack(
        [cv2.GaussianBlur(np.abs(one), (0, 0), SOFT, borderType=cv2.BORDER_REFLECT) for one in maps]
    )
    soft = soft - soft.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((soft**2).sum(axis=(1, 2), keepdims=True))
    # a flat map is flat up to rounding: its length is no multiple of a pixel's level
    return np.where(length > 1e-6, soft / np.where(length > 1e-6, length, 1), 0)


def hits(change: Maps, masks: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Return the share of the mask's pixels among as many that change most; ties share.

    By chance it is the share of the image that the mask covers. nan where the mask is empty.
    """
    found = np.full(len(change), np.nan)
    for row, (one, mask) in enumerate(zip(np.abs(change), masks, strict=True)):
        count = int(mask.sum())
        if count == 0:
            continue
        least = np.partition(one.ravel(), -count)[-count]
        above, at = one > least, one == least
        left = count - above.sum()  # so many of those at the limit belong to the most changed
        found[row] = ((above & mask).sum() + left * (at & mask).sum() / at.sum()) / count
    return found


class Localisation(Measure):
    """Whether the signs stand where they stood."""

    name = "localisation"
    draws = 3
    needs_visits = True
    columns = (
        Column("localisation", "place", spread="interval"),
        Column("localisation_others", "pl oth", spread="interval"),
        Column("localisation_hits", "hits", spread="interval"),
    )

    def __init__(self, ground: Ground) -> None:
        """Soften the signs of the originals once."""
        super().__init__(ground)
        self.signs = Signs.of(ground)
        self.soft = softened(self.signs.maps)
        self.other = of_other_patients(self.signs.patient)

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return (
            "place: correlation of where the release and the original show the disease, pl oth: "
            "with where others\nshow it; hits: share of the signs' pixels among those that change "
            "most"
        )

    def cells(self, exam: Exam) -> Cells:
        """Return the three columns."""
        here, there, hit = [], [], []
        count = self.other.sum(axis=1)
        for change in self.signs.changes(exam):
            soft = softened(change)
            every = soft.reshape(len(soft), -1) @ self.soft.reshape(len(soft), -1).T
            here.append(np.diagonal(every).copy())
            mean = (every * self.other).sum(axis=1) / np.maximum(count, 1)
            there.append(np.where(count > 0, mean, np.nan))
            hit.append(hits(change, self.signs.masks))
        patient = self.signs.patient
        return {
            **mean_of(here, patient, "localisation"),
            **mean_of(there, patient, "localisation_others"),
            **mean_of(hit, patient, "localisation_hits"),
        }
