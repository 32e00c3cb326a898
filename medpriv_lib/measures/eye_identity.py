"""How often the eye judge names the eye of the release: by all views, by the iris, by what is
around it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.cells import mean_of
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure
from medpriv_lib.recognition.views import View, eye_numbers

COLUMNS = {
    "eye_accuracy": "eye",
    "eye_accuracy_whole": "",
    "eye_accuracy_iris": "iris",
    "eye_accuracy_surroundings": "around",
}


class EyeIdentity(Measure):
    """The columns of the eye judge, from one draw of each row.

    It was trained on originals: what it cannot name, an attacker who learns from releases may.
    """

    name = "eye-identity"
    draws = 1
    needs_visits = True
    columns = tuple(Column(name, title, spread="interval") for name, title in COLUMNS.items())

    def __init__(self, ground: Ground) -> None:
        """Raise `NotApplicable` without an eye judge, or where images do not say which eye."""
        super().__init__(ground)
        if ground.eye_judge is None:
            raise NotApplicable("there is no eye judge: train one by data_scripts/train_judges.py")
        self.judge, self.eye = ground.eye_judge, eye_numbers(ground.test)

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return (
            "eye: the eye judge, trained on originals, names the eye; iris, around: by that part of"
            "\nthe release alone"
        )

    def cells(self, exam: Exam) -> Cells:
        """Return how often the eye is named, by each view and by all."""
        named = self.judge.named(exam.drawn[0].images, tuple(View))
        right = np.asarray(named == self.eye[:, None], dtype=float)
        exam.values["eye_accuracy"] = right[:, -1]
        order = ("eye_accuracy_whole", "eye_accuracy_iris", "eye_accuracy_surroundings")
        cells: Cells = {}
        for name, column in zip((*order, "eye_accuracy"), right.T, strict=True):
            cells |= mean_of([column], self.ground.test.patient, name)
        return cells
