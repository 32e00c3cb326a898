"""Is the pupil of the release as wide as that of the original?

The pupil's size tells something of the case, and of who it is: two images of one session share it.
The columns hold the rank correlation of pupil over iris between release and original, and the
median difference in hundredths of the iris' radius. Where a release shows no eye the size that is
read is arbitrary, and the correlation with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medpriv_lib.core.intervals import resampled
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.eyes.localize import SMALLEST
from medpriv_lib.data.eyes.pupil_ratio import pupil_ratios
from medpriv_lib.measures.expert_reading import rank_correlation
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure

RESAMPLED = 300


class PupilSize(Measure):
    """Whether the pupil's size is that of the original, from one draw of each row."""

    name = "pupil"
    draws = 1
    needs_visits = True
    columns = (
        Column("pupil_correlation", "pupil", spread="interval"),
        Column("pupil_difference", "p diff"),
    )

    def __init__(self, ground: Ground) -> None:
        """Measure the pupils of the originals. Raises `NotApplicable` for other images."""
        super().__init__(ground)
        images = ground.test.images
        if images.ndim != 3 or min(images.shape[1:]) < SMALLEST:
            raise NotApplicable(f"pupils are read from grey images of {SMALLEST} pixels and more")
        self.original = pupil_ratios(images)

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return (
            "pupil: rank correlation of the pupil's size with the original's, p diff: median "
            "difference, % of the iris"
        )

    def cells(self, exam: Exam) -> Cells:
        """Return both columns."""
        one, two = pupil_ratios(exam.drawn[0].images), self.original
        patient = self.ground.test.patient
        low, high = resampled(lambda r: rank_correlation(one[r], two[r]), patient, RESAMPLED)
        return {
            "pupil_correlation": 100 * rank_correlation(one, two),
            "pupil_correlation_low": 100 * low,
            "pupil_correlation_high": 100 * high,
            "pupil_difference": 100 * float(np.median(np.abs(one - two))),
        }
