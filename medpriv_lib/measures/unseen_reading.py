"""What judges that never saw the patient read, without a threshold: the area under their curve.

Accuracy and F1 at a fixed threshold mix what the judges can tell with where they happen to draw the
line; on releases that are darker or flatter than originals the line is off. The area is not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medpriv_lib.core.intervals import area, auc_interval
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure


class UnseenReading(Measure):
    """The area under the curve of the judges that never saw the patient, from one draw."""

    name = "unseen"
    draws = 1
    needs_visits = True
    columns = (Column("disease_auc_unseen", "uAUC", spread="interval"),)

    def __init__(self, ground: Ground) -> None:
        """Raise `NotApplicable` where there are no such judges, or one label only."""
        super().__init__(ground)
        ill = ground.test.diseased
        if ground.judges.crossfit is None:
            raise NotApplicable("there are no judges of unseen patients")
        if ill.all() or not ill.any():
            raise NotApplicable("all test images have the same label")

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the column means."""
        return "uAUC: area under the curve of judges that never saw the patient"

    def cells(self, exam: Exam) -> Cells:
        """Return the area of one draw."""
        test, release = self.ground.test, exam.drawn[0]
        score = self.ground.panel.margins(release.images, test.patient, release.contributors)
        ends = auc_interval(score, test.diseased, test.patient)
        low, high = (None if np.isnan(end) else 100 * end for end in ends)
        return {
            "disease_auc_unseen": 100 * area(score, test.diseased),
            "disease_auc_unseen_low": low,
            "disease_auc_unseen_high": high,
        }
