"""The bars that a method would have to pass to meet every requirement at once, and by how much each
row of the study misses them.

They were set before any method was measured. Each is a number, or relative to a row of the same
table: the *ceiling*, the true signs laid on a stranger with the same pupil, the originals, or
PPRL-VGAN. The same pupil is the source's, and that of one size for a method that shows such; a
pupil in steps, or freed where no sign is found, is held to the ceiling of the source's. Where
findings stay with a patient (`confounded`), who shows them cannot be linked less than the signs
themselves are.

Linkage is that of the best adaptive attacker, by label, as areas in percent (50: guessing): to
other originals of the eye; to the very source, by whoever holds it; and after several releases of
one case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from medpriv_lib.study.table import Row
from medpriv_lib.study.verdict import CEILING, ORIGINAL

VGAN = ("pprl-vgan", "random identities")
ONE_SIZE = ("control", "true signs on a stranger, one size")
SHOW_ONE_SIZE = (ONE_SIZE, ("sign-transfer", "pupil of one size"))  # held to its ceiling
CLOSE = 2.0  # points above the ceiling

Figures = Mapping[str, Mapping[str, Mapping[str, Any]]]  # by label and kind, as of `best_figures`


class Bar(NamedTuple):
    """One bar: what is asked, the row's `value`, `most` or `least` of it, None where a number is
    missing.
    """

    asked: str
    value: float | None
    most: float | None = None
    least: float | None = None

    @property
    def missed_by(self) -> float | None:
        """By how much the bar is missed: 0 or less where it is met, None where a number is
        missing.
        """
        if self.value is None or (self.most is None and self.least is None):
            return None
        return self.value - self.most if self.most is not None else (self.least or 0) - self.value


@dataclass(frozen=True)
class Beside:
    """The rows that bars are relative to, with the ceiling's attackers; `persistent` says whether
    findings stay with a patient.
    """

    ceiling: Row
    attacked: Figures
    original: Row
    vgan: Row
    persistent: bool


def bars(row: Row, figures: Figures, beside: Beside) -> list[Bar]:
    """Return all bars of one row; `figures` are its best attackers' figures by label."""
    return [*_linked(figures, beside), *_lenders(row), *_shown(row, beside)]


def all_bars(
    rows: Sequence[Row], attacked: Sequence[Mapping[str, Any]], persistent: bool
) -> dict[tuple[str, str], list[Bar]]:
    """Return the bars of every row with numbers that was attacked.

    `attacked` are the methods of `attacks.json`. Raises `ValueError` where a row that others are
    compared with is missing.
    """
    table = {(str(row["experiment"]), str(row["set"])): row for row in rows}
    figures = {(one["experiment"], one["set"]): one["figures"] for one in attacked}
    for name in (CEILING, ONE_SIZE, ORIGINAL, VGAN):
        if name not in table or table[name].get("n") is None or not figures.get(name):
            raise ValueError(f"no numbers for {' / '.join(name)}, which other rows stand beside")

    def beside(name: tuple[str, str]) -> Beside:
        top = ONE_SIZE if name in SHOW_ONE_SIZE else CEILING
        return Beside(table[top], figures[top], table[ORIGINAL], table[VGAN], persistent)

    return {
        name: bars(row, figures[name], beside(name))
        for name, row in table.items()
        if row.get("n") is not None and figures.get(name)
    }


def _linked(figures: Figures, beside: Beside) -> list[Bar]:
    top = beside.attacked

    def ceiling(kind: str) -> float | None:
        value = _of(top, "diseased", kind)
        return None if value is None else value + CLOSE

    if beside.persistent:
        others = [
            Bar("linked to other originals, healthy", _of(figures, "healthy", "others"), 53.0),
            Bar(
                "linked to other originals, ill",
                _of(figures, "diseased", "others"),
                ceiling("others"),
            ),
        ]
    else:
        others = [
            Bar(f"linked to other originals, {said}{end}", _of(figures, label, "others", key), most)
            for label, said in (("healthy", "healthy"), ("diseased", "ill"))
            for key, end, most in (("value", "", 55.0), ("high", ", upper end", 58.0))
        ]
    several = [_of(figures, "healthy", f"several_{kind}") for kind in ("others", "source")]
    known = [one for one in several if one is not None]
    return [
        *others,
        Bar("linked to its source, healthy", _of(figures, "healthy", "source"), 60.0),
        Bar("source accepted at 1 %, healthy", _of(figures, "healthy", "source_tar_1"), 3.0),
        Bar("linked to its source, ill", _of(figures, "diseased", "source"), ceiling("source")),
        Bar("several releases, healthy", max(known) if known else None, 65.0),
    ]


def _lenders(row: Row) -> list[Bar]:
    lent = row.get("replacement_identity_accuracy") is not None
    return [
        Bar("shows other patients (1: yes)", float(lent), 0.0),
        Bar("nearer to a patient than a stranger, from", row.get("nearness_low"), 50.0),
        Bar("nearer by pixels, from", row.get("nearness_pixels_low"), 50.0),
    ]


def _shown(row: Row, beside: Beside) -> list[Bar]:
    originals, top = beside.original, beside.ceiling
    f1, ill = originals.get("expert_f1"), originals.get("expert_healthy_ill")
    return [
        Bar("own signs against others'", row.get("own_signs_auc"), least=90.0),
        Bar("e, weighted by energy", row.get("evidence_weighted"), least=85.0),
        Bar("e of dark signs", row.get("evidence_dark"), least=70.0),
        Bar("expert's F1", row.get("expert_f1"), least=None if f1 is None else 0.97 * f1),
        Bar("expert's AUC", row.get("expert_auc"), least=top.get("expert_auc")),
        Bar("severity", row.get("expert_severity"), least=90.0),
        Bar("healthy called ill", row.get("expert_healthy_ill"), None if ill is None else ill + 1),
        Bar("iris found", row.get("intelligibility_found"), least=98.0),
        Bar(
            "KID x 1000",
            row.get("intelligibility_kid_x1000"),
            beside.vgan.get("intelligibility_kid_x1000"),
        ),
    ]


def _of(figures: Figures, label: str, kind: str, key: str = "value") -> float | None:
    value = figures.get(label, {}).get(kind, {}).get(key)
    return None if value is None else 100 * float(value)
