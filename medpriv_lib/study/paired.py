"""Is one row better than another? Asked image by image, so that what both share cancels.

The values of single images stay here: what is kept of them are differences of two rows, with their
95 % intervals over patients.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.core.intervals import bootstrap, paired
from medpriv_lib.study.table import paper_names

Name = tuple[str, str]
Values = Mapping[Name, Mapping[str, np.ndarray]]

# what every row is held against: the paper's method, a release that holds nothing of the patient's
# own, and the ceiling
AGAINST: tuple[Name, ...] = (
    ("pprl-vgan", "random identities"),
    ("control", "mean sign on a stranger"),
    ("control", "true signs on a stranger, same pupil"),
)
# the paper's columns: its conclusions compare any two of its rows in them
PAPER = (
    "identity_accuracy",
    "replacement_identity_accuracy",
    "disease_accuracy",
    "disease_f1",
)


class Difference(NamedTuple):
    """By how many points one row exceeds another, with the ends of the 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


Pairs = Mapping[tuple[Name, Name, str], Difference]  # one row, another, column


def compared(
    values: Values, patient: Int64[np.ndarray, " n"], against: tuple[Name, ...] = AGAINST
) -> list[dict[str, Any]]:
    """Return by how much each row exceeds each of `against`, in points, with the 95 % interval.

    `values` are those of each test image by row and column (`Exam.values`), `patient` (N,) whose it
    is. A column that one of two rows lacks is left out. `clear` says whether the interval leaves
    out 0.
    """
    pairs = ((name, other) for other in against for name in values if name != other)
    return list(_differences(values, patient, pairs))


def comparisons(values: Values, patient: Int64[np.ndarray, " n"]) -> list[dict[str, Any]]:
    """Return all comparisons of a study: each row with each of `AGAINST`, and in the paper's own
    columns each two rows of the paper. Arguments as of `compared`.
    """
    ours = {name: _only(columns, paper=False) for name, columns in values.items()}
    rows = [name for name in paper_names() if name in values]
    theirs = {name: _only(values[name], paper=True) for name in rows}
    return [
        *compared(ours, patient),
        *_differences(theirs, patient, combinations(rows, 2)),
    ]


def difference(
    one: Float[np.ndarray, "n ..."],
    two: Float[np.ndarray, "n ..."],
    patient: Int64[np.ndarray, " n"],
) -> Difference | None:
    """Return by how many points the mean of `one` exceeds that of `two`; None where no image has
    both.

    (N,) values of the same images in the same order, or (N, 2) the summands of a ratio of sums,
    such as F1, in 0..1. Raises `ValueError` as `intervals.paired` and `intervals.bootstrap` do.
    """
    if one.ndim == 1:
        found = paired(one, two, patient)
    else:
        sums = np.concatenate([one, two], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (float(_ratios(sums.sum(axis=0)[None])[0]), *bootstrap(sums, patient, _ratios))
    if np.isnan(found).any():
        return None
    return Difference(*(100 * each for each in found))


def read_pairs(folder: str | os.PathLike) -> dict[tuple[Name, Name, str], Difference]:
    """Return the differences that a study's `table.json` in this folder holds, both ways round; {}
    where it holds none, or there is no such file.
    """
    path = Path(folder) / "table.json"
    if not path.is_file():
        return {}
    return pairs_of(json.loads(path.read_text(encoding="utf-8")).get("paired", []))


def pairs_of(listed: Sequence[Mapping[str, Any]]) -> dict[tuple[Name, Name, str], Difference]:
    """Return listed comparisons, as of `comparisons`, by row, other row and column, both ways
    round.
    """
    found: dict[tuple[Name, Name, str], Difference] = {}
    for each in listed:
        one, two = _name(each["row"]), _name(each["against"])
        value, low, high = (float(each[key]) for key in ("difference", "low", "high"))
        found[one, two, each["column"]] = Difference(value, low, high)
        found[two, one, each["column"]] = Difference(-value, -high, -low)
    return found


def _name(text: str) -> Name:
    experiment, _, name = text.partition("/")
    return experiment, name


def _only(columns: Mapping[str, np.ndarray], paper: bool) -> dict[str, np.ndarray]:
    return {column: one for column, one in columns.items() if (column in PAPER) == paper}


def _ratios(sums: Float[np.ndarray, "d 4"]) -> Float[np.ndarray, " d"]:
    return sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3]


def _differences(
    values: Values, patient: Int64[np.ndarray, " n"], pairs: Iterable[tuple[Name, Name]]
) -> Iterator[dict[str, Any]]:
    for name, other in pairs:
        for column, one in values[name].items():
            two = values.get(other, {}).get(column)
            found = None if two is None else difference(one, two, patient)
            if found is not None:
                yield {
                    "row": "/".join(name),
                    "against": "/".join(other),
                    "column": column,
                    "difference": round(found.value, 2),
                    "low": round(found.low, 2),
                    "high": round(found.high, 2),
                    "clear": found.clear,
                }
