"""What the best attackers reach where healthy and ill images are told apart, and of which label
they reach more: a mean over all images would hide the few who are ill.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from medpriv_lib.attacks.best import AUC, BEST, OWN, RANK1
from medpriv_lib.study.table import Row

FILE = "attacks-second.json"  # written by data_scripts/attack_rows.py


class Reached(NamedTuple):
    """The best attacker's figure in percent, with the ends of its 95 % interval over patients, the
    `label` of the images ("all", "healthy", "diseased") and the attack's name.
    """

    value: float
    low: float | None
    high: float | None
    label: str
    attack: str


def most_found(figures: Mapping[str, Mapping[str, Any]], what: str) -> Reached | None:
    """Return the largest of a row's figures of one kind over the labels, None where there is none.

    `figures` are those of `attacks.best.best_figures`, `what` one of its kinds ("named", "others",
    "source", …).
    """
    there = {label: one[what] for label, one in figures.items() if what in one}
    if not there:
        return None
    label = max(there, key=lambda key: there[key]["value"])
    value, low, high = (
        None if there[label][key] is None else 100 * there[label][key]
        for key in ("value", "low", "high")
    )
    return Reached(float(value or 0), low, high, label, str(there[label].get("attack", "")))


def with_both_labels(rows: Iterable[Row], folder: Path, kind: str) -> list[Row]:
    """Return rows of the table of a second cohort with the attackers' columns, each of the label of
    which they reach more, where the row was attacked.

    `folder` holds the file of the attacks, `kind` is the cohort's name there. Raises `ValueError`
    where other images were attacked than the table has.
    """
    rows = [dict(row) for row in rows]
    path = folder / FILE
    attacked = json.loads(path.read_text(encoding="utf-8"))["cohorts"] if path.is_file() else {}
    if kind not in attacked:
        return rows
    counts = {row["n"] for row in rows if row.get("n") is not None}
    if counts and counts != {attacked[kind]["n"]}:
        raise ValueError(
            f"{path}: {attacked[kind]['n']} images of {kind} were attacked, and the table has "
            f"{sorted(counts)}; attack its rows again with data_scripts/attack_rows.py"
        )
    cells = {
        (one["experiment"], one["set"]): _columns(one["figures"]) for one in attacked[kind]["rows"]
    }
    return [row | cells.get((row["experiment"], row["set"]), {}) for row in rows]


def _columns(figures: Mapping[str, Mapping[str, Any]]) -> Row:
    cells: Row = {}
    for what, column in (("named", RANK1), ("others", AUC)):
        one = most_found(figures, what)
        if one is not None:
            cells |= {column: one.value, f"{column}_low": one.low, f"{column}_high": one.high}
            if what == "named":
                cells[BEST] = one.attack
    if (own := most_found(figures, "source")) is not None:
        cells[OWN] = own.value
    return cells
