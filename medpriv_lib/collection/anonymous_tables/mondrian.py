"""Mondrian (LeFevre, DeWitt, Ramakrishnan 2006): cut a table at medians while groups stay large.

Rows are points in the space of the quasi-identifiers. A box of rows is cut in two at the median of
its widest column (its spread over that of the whole table); where a part would hold fewer than k
patients, or fewer than l sensitive values, the next widest column is tried; where none can be cut,
the box is a group, and its rows show the ranges of the box. Boxes are drawn as tight as their rows,
so the ends of a range are somebody's values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from medpriv_lib.collection.anonymous_tables.columns import Table, encode, shown


@dataclass(frozen=True)
class AnonymousTable:
    """The released table and how it came about.

    `columns` are the texts that are shown, the quasi-identifiers as ranges and the columns that
    were `kept` as they were; `group` (N,) the group of each row; `low` and `high` (N, Q) the ranges
    as numbers, and `encoded` (N, Q) what they hide (kept apart: it is never released).
    """

    columns: dict[str, list[str]]
    group: Int64[np.ndarray, " n"]
    low: Int64[np.ndarray, "n q"]
    high: Int64[np.ndarray, "n q"]
    encoded: Int64[np.ndarray, "n q"]


def anonymise(
    table: Table,
    quasi: Mapping[str, str],
    k: int,
    patient: Sequence | None = None,
    sensitive: str = "",
    different: int = 1,
    kept: Sequence[str] = (),
) -> AnonymousTable:
    """Return a table in which each group holds at least `k` patients.

    `quasi` as of `columns.encode`. `patient` (N,) says whose row is whose: a patient with k rows
    is no group of k. Without, each row is a patient. With `sensitive`, each group holds at least
    `different` values of that column (distinct l-diversity, l = `different`). `kept` columns are
    shown unchanged, and so is the sensitive one. Raises what `encode` raises, and `ValueError` for
    a k below 2 or above the number of patients, a missing column, or more different values than the
    column has.
    """
    encoded = encode(table, quasi)
    rows = len(encoded)
    who = np.arange(rows) if patient is None else _codes("patient", patient, rows)
    if not 2 <= k <= len(np.unique(who)):
        raise ValueError(
            f"k is {k}, and the table has {len(np.unique(who))} patients: k must be 2 or more and "
            "no more than patients"
        )
    if different > 1 and not sensitive:
        raise ValueError("name the sensitive column of which groups shall hold different values")
    lasting = dict.fromkeys([*kept, *([sensitive] if sensitive else [])])
    for name in lasting:
        if name not in table or name in quasi:
            raise ValueError(
                f"column {name!r} is missing, or is a quasi-identifier, and cannot be kept as it is"
            )
    value = _codes(sensitive, table[sensitive], rows) if sensitive else np.zeros(rows, np.int64)
    if different > len(np.unique(value)):
        raise ValueError(
            f"groups cannot hold {different} values of {sensitive!r}: there are "
            f"{len(np.unique(value))}"
        )
    group: np.ndarray = np.empty(rows, dtype=np.int64)
    low, high = np.empty_like(encoded), np.empty_like(encoded)
    for number, part in enumerate(_boxes(encoded, who, value, k, different)):
        group[part] = number
        low[part], high[part] = encoded[part].min(axis=0), encoded[part].max(axis=0)
    columns = {name: shown(table[name], kind, group) for name, kind in quasi.items()}
    columns |= {name: [str(one) for one in table[name]] for name in lasting}
    return AnonymousTable(columns, group, low, high, encoded)


def _boxes(
    encoded: Int64[np.ndarray, "n q"],
    who: Int64[np.ndarray, " n"],
    value: Int64[np.ndarray, " n"],
    k: int,
    different: int,
) -> Iterator[Int64[np.ndarray, " m"]]:
    """Yield the rows of each group."""
    whole = np.maximum(np.ptp(encoded, axis=0), 1)
    waiting = [np.arange(len(encoded))]
    while waiting:
        rows = waiting.pop()
        box = encoded[rows]
        spread = np.ptp(box, axis=0) / whole
        for column in np.argsort(-spread, kind="stable"):
            left = box[:, column] < np.median(box[:, column])
            parts = rows[left], rows[~left]
            if all(_large(part, who, value, k, different) for part in parts):
                waiting += parts
                break
        else:
            yield rows


def _large(rows: np.ndarray, who: np.ndarray, value: np.ndarray, k: int, different: int) -> bool:
    if len(rows) < k:
        return False
    patients = len(np.unique(who[rows]))
    return patients >= k and len(np.unique(value[rows])) >= different


def _codes(name: str, values: Sequence, rows: int) -> Int64[np.ndarray, " n"]:
    if len(values) != rows:
        raise ValueError(f"{name!r} has {len(values)} values for {rows} rows")
    return np.unique(np.asarray(values), return_inverse=True)[1].astype(np.int64)
