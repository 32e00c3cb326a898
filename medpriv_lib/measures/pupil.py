"""Is the pupil of the release as wide as that of the original?

The pupil's size tells something of the case, and of who it is: two images of one session share it.
The columns hold the rank correlation of pupil over iris between release and original, over those
images in both of which the localiser finds an eye, the median difference in hundredths of the
iris' radius, and the share of images where an eye was found in both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.intervals import resampled
from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images
from medpriv_lib.data.eyes.localize import SMALLEST, locate
from medpriv_lib.measures.expert_reading import rank_correlation
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure

LOOKED_AT = 48  # localising is dear: so many images of a row, evenly spread
FEWEST = 8  # found in both, below which a rank correlation says nothing
RESAMPLED = 300


def ratios(images: Images) -> Float[np.ndarray, " n"]:
    """Return pupil over iris of each image (N, H, W) as the localiser sees it, nan where it finds
    no eye.
    """
    eyes = (locate(image) for image in images)
    return np.array([np.nan if eye is None else eye.pupil_ratio for eye in eyes], dtype=np.float64)


class PupilSize(Measure):
    """Whether the pupil's size is that of the original, from one draw of each row."""

    name = "pupil"
    draws = 1
    second = True
    columns = (
        Column("pupil_correlation", "pupil", spread="interval"),
        Column("pupil_difference", "p diff"),
        Column("pupil_found"),
    )

    def __init__(self, ground: Ground) -> None:
        """Measure the pupils of the originals. Raises `NotApplicable` where they are no eyes."""
        super().__init__(ground)
        self.rows, self.memory = ground.spread_out(LOOKED_AT), Memory()
        images = ground.test.images[self.rows]
        if images.ndim != 3 or min(images.shape[1:]) < SMALLEST:
            raise NotApplicable(f"the localiser takes grey images of {SMALLEST} pixels and more")
        self.original = self._read(images)
        if np.isfinite(self.original).sum() < FEWEST:
            raise NotApplicable("the localiser finds next to no eye in the originals")

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return (
            "pupil: rank correlation of the pupil's size with the original's, p diff: median "
            "difference, % of the iris"
        )

    def cells(self, exam: Exam) -> Cells:
        """Return the three columns."""
        now = self._read(exam.drawn[0].images[self.rows])
        both = np.isfinite(now) & np.isfinite(self.original)
        cells: Cells = {"pupil_found": 100 * float(both.mean())}
        if both.sum() < FEWEST:
            raise NotApplicable(f"an eye is found in fewer than {FEWEST} releases")
        one, two = now[both], self.original[both]
        patient = self.ground.test.patient[self.rows][both]
        low, high = resampled(lambda r: rank_correlation(one[r], two[r]), patient, RESAMPLED)
        return cells | {
            "pupil_correlation": 100 * rank_correlation(one, two),
            "pupil_correlation_low": 100 * low,
            "pupil_correlation_high": 100 * high,
            "pupil_difference": 100 * float(np.median(np.abs(one - two))),
        }

    def _read(self, images: Images) -> Float[np.ndarray, " n"]:
        return self.memory.recall(keys_of(images), lambda rows: ratios(images[rows]))
