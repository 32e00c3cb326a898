"""The table: the paper's 14 rows first, in its order and with its names, then our rows; in percent,
two decimals.
"""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import medpriv_lib.explanation
import medpriv_lib.measures
from medpriv_lib.attacks import best
from medpriv_lib.core.files import atomic_write, write_json
from medpriv_lib.measures.measure import Column, Measure, Place
from medpriv_lib.measures.registry import measures, names_of

PAPER_CSV = Path(__file__).with_name("paper_table1.csv")
NAMES = ("experiment", "set")
LAST = ("labels", "note")

Row = dict[str, Any]  # by column: text, a number, or None where there is none


def all_measures() -> dict[str, type[Measure]]:
    """Return the measures of all rooms, by name."""
    return measures(medpriv_lib.measures, medpriv_lib.explanation)


def declared(visits: bool = False) -> list[Column]:
    """Return the columns that all measures declare, with `visits` those that are measured on
    cohorts with visits only as well.
    """
    found = all_measures().values()
    return [column for one in found if visits or not one.needs_visits for column in one.columns]


def columns(visits: bool = False) -> tuple[str, ...]:
    """Return the names of the table's columns: names, measures, attackers, labels and note.

    With `visits` as of `declared`.
    """
    return (*NAMES, *names_of(declared(visits)), *best.COLUMNS, *LAST)


def has_visits(rows: Iterable[Row]) -> bool:
    """Say whether rows hold a number that is measured on cohorts with visits only."""
    more = set(columns(visits=True)) - set(columns())
    return any(row.get(key) is not None for row in rows for key in more)


def text_columns() -> frozenset[str]:
    """Return the names of those columns that hold text."""
    text = {column.name for column in declared(visits=True) if column.kind == "text"}
    return frozenset({*NAMES, *LAST, best.BEST, *text})


def paper_table() -> list[Row]:
    """Return Table 1 of Montenegro et al. 2021: 14 rows, in percent, None where the paper has a
    dash.
    """
    return read_table(PAPER_CSV)


def paper_names() -> list[tuple[str, str]]:
    """Return the names of the paper's rows, in its order."""
    return [(str(row["experiment"]), str(row["set"])) for row in paper_table()]


def read_table(path: str | os.PathLike) -> list[Row]:
    """Read a table as rows; numbers as float or int, empty cells as None (empty text stays text).

    Raises `FileNotFoundError` where there is none and `ValueError` naming file and line for a cell
    that is no number.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such table; write one with `medpriv study --out {path.parent}`"
        )
    text = text_columns()
    counts = {column.name for column in declared(visits=True) if column.kind == "count"}
    rows = []
    with open(path, newline="", encoding="utf-8") as file:
        for line, cells in enumerate(csv.DictReader(file), start=2):
            try:
                rows.append(
                    {key: _parse(cell, key in text, key in counts) for key, cell in cells.items()}
                )
            except ValueError as error:
                raise ValueError(
                    f"{path}, line {line}: {error}; write the table again with `medpriv study`"
                ) from error
    return rows


def arrange(rows: Iterable[Row]) -> list[Row]:
    """Put the paper's 14 rows first, in its order, then the others in the order given.

    A row of the paper that is missing is added without numbers; `note` says so. Raises `ValueError`
    for two rows of the same name.
    """
    known: dict[tuple[str, str], Row] = {}
    for row in rows:
        name = (str(row["experiment"]), str(row["set"]))
        if name in known:
            raise ValueError(
                f"two rows are called {' / '.join(name)}; every row of the table needs its own name"
            )
        known[name] = row
    first = [
        known.pop(name, {"experiment": name[0], "set": name[1], "note": "not run"})
        for name in paper_names()
    ]
    every = first + list(known.values())
    text, names = text_columns(), columns(has_visits(every))
    return [{key: row.get(key, "" if key in text else None) for key in names} for row in every]


def require_own_table(folder: str | os.PathLike) -> None:
    """Raise `ValueError` where a folder holds a table.csv or table.json that no study wrote."""
    folder = Path(folder)
    try:
        own = "provenance" in json.loads((folder / "table.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        own = False
    for name in ("table.csv", "table.json"):
        if (folder / name).exists() and not own:
            raise ValueError(
                f"{folder / name} is in the way, and no study wrote it; name another folder with "
                "--out"
            )


def write_table(
    rows: Sequence[Row],
    folder: str | os.PathLike,
    provenance: dict,
    notes: Sequence[dict] = (),
    paired: Sequence[dict] = (),
) -> None:
    """Write `table.csv` and `table.json` into an existing folder.

    The second holds the same rows under "rows", `provenance`, and `notes`: why which measure has no
    number in which rows; where rows were compared image by image, also `paired`. Columns of cohorts
    that need visits are left out where all rows are empty there.
    """
    folder, names = Path(folder), columns(has_visits(rows))
    with (
        atomic_write(folder / "table.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(row[key]) for key in names} for row in rows)
    rounded = [
        {
            key: round(value, 2) if isinstance(value, float) else value
            for key, value in row.items()
            if key in names
        }
        for row in rows
    ]
    content = {"provenance": provenance, "rows": rounded, "notes": list(notes)}
    if paired:
        content["paired"] = list(paired)
    write_json(folder / "table.json", content)


def differences(
    rows: Sequence[Row], committed: Sequence[Row], tolerance: float = 0.011
) -> list[str]:
    """Compare rates of verdicts and counts of two tables; return one sentence for each difference
    beyond rounding.

    `tolerance` is in percent: two decimals, and one more step for the last digit's rounding.
    """
    found = []
    compared = [column.name for column in declared() if column.place <= Place.COUNT]
    theirs = {(row["experiment"], row["set"]): row for row in committed}
    if [tuple(row[key] for key in NAMES) for row in rows] != list(theirs):
        found.append("the rows or their order differ")
    for row in rows:
        other = theirs.get((row["experiment"], row["set"]), {})
        for column in compared:
            one, two = row[column], other.get(column)
            if (one is None) != (two is None) or (one is not None and abs(one - two) > tolerance):
                found.append(
                    f"{row['experiment']} / {row['set']}, {column}: {one} now, {two} committed"
                )
    return found


def _cell(value: str | float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _parse(cell: str, text: bool, count: bool) -> str | float | int | None:
    if text:
        return cell
    if cell == "":
        return None
    return int(cell) if count else float(cell)


def with_attacks(
    rows: Iterable[Row], content: dict | None, weights: dict | None, data_hash: str
) -> list[Row]:
    """Return the table's rows with the attackers' columns, where they were made from the same
    images and weights.

    `content` is that of `attacks.json` or None; `weights` the SHA-256 of the table's weights.
    """
    rows = [dict(row) for row in rows]
    if content is None:
        return rows
    made = content["provenance"]
    if made["data_hash"] != data_hash or made["weights"] != (weights or {}):
        return rows
    cells = {(one["experiment"], one["set"]): one["columns"] for one in content["methods"]}
    return [row | cells.get((row["experiment"], row["set"]), {}) for row in rows]
