"""Columns of a table as whole numbers that can be cut, and ranges of them as text again."""

import datetime
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int64

KINDS = {
    "number": "whole numbers, such as years of age",
    "date": "days, written 2026-03-31",
    "code": "texts whose order means nearness, such as postcodes",
    "name": "texts without order, such as sex",
}
Table = Mapping[str, Sequence]


def encode(table: Table, quasi: Mapping[str, str]) -> Int64[np.ndarray, "n q"]:
    """Return the quasi-identifiers as numbers, a column for each.

    `quasi` maps names of columns to one of `KINDS`. Numbers stay, dates become days since the year
    1, codes and names their place among the column's sorted values. Raises `ValueError` for a
    column that is not there, an unknown kind, columns of different lengths, no row, and a value
    that is not of its kind (with its row).
    """
    if not quasi:
        raise ValueError("name at least one quasi-identifier: what an outsider may know of a row")
    for name, kind in quasi.items():
        if name not in table:
            raise ValueError(f"the table has no column {name!r}; it has {sorted(table)}")
        if kind not in KINDS:
            raise ValueError(f"column {name!r}: {kind!r} is none of the kinds {sorted(KINDS)}")
    lengths = {name: len(values) for name, values in table.items()}
    if len(set(lengths.values())) > 1 or not min(lengths.values()):
        raise ValueError(f"columns need the same number of rows, at least one, not {lengths}")
    return np.stack([_numbers(name, table[name], kind) for name, kind in quasi.items()], axis=1)


def _numbers(name: str, values: Sequence, kind: str) -> Int64[np.ndarray, " n"]:
    if kind in ("code", "name"):
        for row, value in enumerate(values):
            if not isinstance(value, str) or not value:
                raise ValueError(f"column {name!r}, row {row}: {value!r} is no text of a {kind}")
        return np.unique(np.asarray(values, dtype=str), return_inverse=True)[1].astype(np.int64)
    found: np.ndarray = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        try:
            found[row] = _day(value) if kind == "date" else _whole(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(
                f"column {name!r}, row {row}: {value!r} is none of {KINDS[kind]}; complete or "
                "leave out such rows"
            ) from None
    return found


def _day(value: object) -> int:
    return datetime.date.fromisoformat(str(value)).toordinal()


def _whole(value: object) -> int:
    number = float(value)  # type: ignore[arg-type]
    if number != int(number):
        raise ValueError
    return int(number)


def shown(values: Sequence, kind: str, group: Int64[np.ndarray, " n"]) -> list[str]:
    """Return for each row what its group has in this column: a range, or the set of names."""
    code = _numbers("", values, kind)
    order = np.lexsort((code, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    texts: dict[int, str] = {}
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        rows = order[start:stop]
        if kind == "name":
            text = " or ".join(sorted({values[row] for row in rows}))
        else:
            low, high = values[rows[0]], values[rows[-1]]
            text = f"{low}" if code[rows[0]] == code[rows[-1]] else f"{low} to {high}"
        texts[int(group[rows[0]])] = text
    return [texts[int(one)] for one in group]
