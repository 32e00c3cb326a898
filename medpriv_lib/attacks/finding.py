"""Attacks on releases, one file each: what somebody can find out who tries.

Every file holds one attack family. Its functions take arrays, a `Cohort` or a `Release`, never a
privatizer, and return a `Finding`. The docstring of each function holds one sentence that begins
with "Knowledge:" and says what the attacker knows; `knowledge_of` reads it, so that the report and
the code cannot differ.

Names that tables and reports look for in `measures`: "rank1" and "rank5" (identification, 0..1),
"linkage_auc" and "tar_1" (verification: area under the curve, accepted share of true pairs at 1 %
false acceptance). All others are free.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from textwrap import dedent

import numpy as np


@dataclass(frozen=True)
class Finding:
    """What one attack found in one release.

    `attack` its short name; `knowledge` one sentence on what the attacker knew; `measures` the
    numbers (rates and areas in 0..1, nan is not allowed: leave out what does not exist); `chance`
    what guessing scores, for those measures where that is known; `intervals` the 95 % interval over
    patients of those measures that have one; `n` how many released images were attacked, `patients`
    of how many patients; `per_patient` patient number -> share of the patient's images on which the
    attack succeeded; `curves` lists for plots, such as the CMC curve; `note` what is missing and
    why; `hits` the outcomes behind rank1 or tar_1 in 0..1 and `probe` to which of the given images
    each belongs (not saved).
    """

    attack: str
    knowledge: str
    measures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    n: int = 0
    patients: int = 0
    per_patient: dict[int, float] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""
    hits: np.ndarray | None = field(default=None, repr=False, compare=False)
    probe: np.ndarray | None = field(default=None, repr=False, compare=False)

    def rows(self) -> dict:
        """Return plain JSON values, rounded to four decimals; patients as text keys."""
        return {
            "attack": self.attack,
            "knowledge": self.knowledge,
            "n": self.n,
            "patients": self.patients,
            "measures": _rounded(self.measures),
            "chance": _rounded(self.chance),
            "intervals": {
                key: [round(float(end), 4) for end in ends] for key, ends in self.intervals.items()
            },
            "per_patient": {
                str(patient): round(float(rate), 4) for patient, rate in self.per_patient.items()
            },
            "curves": {
                key: [round(float(value), 4) for value in values]
                for key, values in self.curves.items()
            },
            "note": self.note,
        }


def knowledge_of(attack: Callable) -> str:
    """Return the sentence of a function's docstring that begins with "Knowledge:", without that
    word.

    Raises `ValueError` where there is none: an attack whose assumptions are not stated proves
    nothing.
    """
    text = " ".join(dedent(inspect.getdoc(attack) or "").split())
    _, found, rest = text.partition("Knowledge: ")
    sentence = rest.partition(". ")[0].rstrip(".")
    if not found or not sentence:
        raise ValueError(
            f"{attack.__name__} does not say what its attacker knows; add a sentence `Knowledge: …`"
        )
    return sentence + "."


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: round(float(value), 4) for key, value in values.items()}
