"""What an attack found: numbers with intervals, or why it was not possible.

The functions of this room take arrays, a `Cohort` or a `Scene`, never a privatizer that they run
behind anybody's back, and return a `Finding`. The docstring of each attack holds one sentence that
begins with "Knowledge:" and says what the attacker knows; `knowledge_of` reads it, so that the
report and the code cannot differ.

Names that tables and reports look for in `measures`: "rank1" and "rank5" (identification, 0..1),
"linkage_auc" and "tar_1" (verification: area under the curve, accepted share of true pairs at 1 %
false acceptance), "own_auc" (the same with the source itself). All others are free.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int64

# what an attack does: names a patient; links a released image with another original of the
# patient; matches it with its source, which the attacker holds; looks for those who went in; tells
# who was in; looks for copied images; reads a label; adds up several releases; says what would be
# without rounding
Kind = Literal[
    "naming", "linking", "matching", "contributors", "membership", "copying", "homogeneity",
    "intersection", "bound",
]  # fmt: skip
Target = Literal["source", "contributor", "member", "label"]  # about whom something is found out
Labelled = dict[str, dict[str, tuple[float, float, float]]]  # label -> measure -> value, low, high
LabelChance = dict[str, dict[str, float]]
NOT_POSSIBLE = "not possible here: "


@dataclass(frozen=True)
class Finding:
    """What one attack found in one release.

    `attack` its short name; `knowledge` one sentence on what the attacker knew; `measures` the
    numbers (rates and areas in 0..1, nan is not allowed: leave out what does not exist); `chance`
    what guessing scores, for those measures where that is known; `intervals` the 95 % interval over
    patients of those measures that have one; `n` how many released images were attacked, `patients`
    of how many patients; `per_patient` patient number -> share of the patient's images on which the
    attack succeeded; `curves` lists for plots, such as the CMC curve; `note` what is missing and
    why; `kind` and `target` what was done and to whom (`run` takes both from the attack);
    `by_label` "healthy" and "diseased" -> measure -> (value, low, high) over the released images
    whose source has that label, with the 95 % interval over patients, for those measures that have
    one; `label_chance` what guessing scores there, where that differs from `chance`.

    Not saved: `hits` (H,) the outcomes behind rank1 or tar_1 in 0..1, `probe` (H,) to which of the
    images given to the attack each belongs, `rows` (H,) which row of the cohort that image stands
    for; `linked` (L, 2) what the attacker put together, the number of a released image and the row
    of an original; `draws` the measures of each random draw of the release.
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
    kind: Kind | Literal[""] = ""
    target: Target | Literal[""] = ""
    by_label: Labelled = field(default_factory=dict)
    label_chance: LabelChance = field(default_factory=dict)
    hits: Float[np.ndarray, " h"] | None = field(default=None, repr=False, compare=False)
    probe: Int64[np.ndarray, " h"] | None = field(default=None, repr=False, compare=False)
    rows: Int64[np.ndarray, " h"] | None = field(default=None, repr=False, compare=False)
    linked: Int64[np.ndarray, "l 2"] | None = field(default=None, repr=False, compare=False)
    draws: tuple[Mapping[str, float], ...] = field(default=(), repr=False, compare=False)

    def plain(self) -> dict[str, Any]:
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
            "kind": self.kind,
            "target": self.target,
            "by_label": {
                label: {key: [round(float(one), 4) for one in of] for key, of in measures.items()}
                for label, measures in self.by_label.items()
            },
            "label_chance": {
                label: _rounded(measures) for label, measures in self.label_chance.items()
            },
        }


def missing(
    attack: str, knowledge: str, kind: Kind, target: Target, reason: str | Exception
) -> Finding:
    """Return the finding of an attack that these images do not allow: no measure, and the reason as
    its note.
    """
    return Finding(attack, knowledge, {}, note=f"{NOT_POSSIBLE}{reason}", kind=kind, target=target)


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


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {key: round(float(value), 4) for key, value in values.items()}
