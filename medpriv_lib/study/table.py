"""The table: the paper's 14 rows first, in its order and with its names, then our rows; in percent,
two decimals.
"""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from medpriv_lib.attacks import best as attacks
from medpriv_lib.core.files import atomic_write, write_json
from medpriv_lib.measures import columns as explanation
from medpriv_lib.measures.scores import RATES

PAPER_CSV = Path(__file__).with_name("paper_table1.csv")
NAMES = ("experiment", "set")
PAPER_RATES = (
    "identity_accuracy",
    "replacement_identity_accuracy",
    "disease_accuracy",
    "disease_f1",
)
PREDICTED = ", predicted labels"  # ends the name of a row whose method was given the judge's reading as the label
COUNTS = ("n", "draws", "test_patients")
OWN_RATES = (
    "other_contributor_accuracy",
    "disease_accuracy_unseen",
    "disease_f1_unseen",
    "own_patient_rate",
    "contributor_seen_rate",
    "majority_rate",
    "chance_identity",
)
SPREADS = tuple(f"{rate}_{what}" for rate in RATES for what in ("std", "low", "high"))
COLUMNS = (
    NAMES
    + PAPER_RATES
    + OWN_RATES
    + COUNTS
    + SPREADS
    + explanation.COLUMNS
    + attacks.COLUMNS
    + ("labels", "note")
)
TEXT = NAMES + (attacks.BEST, "labels", "note")

Row = dict[str, str | float | int | None]


def paper_table() -> list[Row]:
    """Return Table 1 of Montenegro et al. 2021: 14 rows, in percent, None where the paper has a
    dash.
    """
    return read_table(PAPER_CSV)


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
    rows = []
    with open(path, newline="", encoding="utf-8") as file:
        for line, cells in enumerate(csv.DictReader(file), start=2):
            try:
                rows.append({key: _parse(key, text) for key, text in cells.items()})
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
    known: dict[tuple, Row] = {}
    for row in rows:
        name = (row["experiment"], row["set"])
        if name in known:
            raise ValueError(
                f"two rows are called {' / '.join(name)}; every row of the table needs its own name"
            )
        known[name] = row
    order = [(row["experiment"], row["set"]) for row in paper_table()]
    first = [
        known.pop(name, {"experiment": name[0], "set": name[1], "note": "not run"})
        for name in order
    ]
    return [
        {key: row.get(key, "" if key in TEXT else None) for key in COLUMNS}
        for row in first + list(known.values())
    ]


def write_table(rows: Sequence[Row], folder: str | os.PathLike, provenance: dict) -> None:
    """Write `table.csv` and `table.json` (the same rows under "rows", and `provenance`) into an
    existing folder.
    """
    folder = Path(folder)
    with (
        atomic_write(folder / "table.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(row[key]) for key in COLUMNS} for row in rows)
    rounded = [
        {key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}
        for row in rows
    ]
    write_json(folder / "table.json", {"provenance": provenance, "rows": rounded})


def differences(
    rows: Sequence[Row], committed: Sequence[Row], tolerance: float = 0.011
) -> list[str]:
    """Compare two tables cell by cell; return one sentence for each difference beyond rounding.

    `tolerance` is in percent: two decimals, and one more step for the last digit's rounding.
    """
    found = []
    theirs = {(row["experiment"], row["set"]): row for row in committed}
    if [tuple(row[key] for key in NAMES) for row in rows] != list(theirs):
        found.append("the rows or their order differ")
    for row in rows:
        other = theirs.get((row["experiment"], row["set"]), {})
        for column in PAPER_RATES + OWN_RATES + COUNTS:
            ours, committed_value = row[column], other.get(column)
            if (ours is None) != (committed_value is None) or (
                ours is not None and abs(ours - committed_value) > tolerance
            ):
                found.append(
                    f"{row['experiment']} / {row['set']}, {column}: {ours} now, {committed_value} committed"
                )
    return found


def render(rows: Sequence[Row]) -> str:
    """Return the table as text for a terminal, the paper's numbers beside ours, at most 120
    characters wide.
    """
    paper = {(row["experiment"], row["set"]): row for row in paper_table()}
    pairs = (
        ("identity", "identity_accuracy"),
        ("replacement", "replacement_identity_accuracy"),
        ("glaucoma", "disease_accuracy"),
        ("glaucoma F1", "disease_f1"),
    )
    alone = (
        ("other", "other_contributor_accuracy"),
        ("unseen", "disease_accuracy_unseen"),
        ("F1 uns.", "disease_f1_unseen"),
    )
    names = [str(row["set"]).removesuffix(PREDICTED) for row in rows]
    width = max(map(len, names)) + 3
    lines = [
        " " * width + "".join(f"{title:>14}" for title, _ in pairs),
        "percent".ljust(width)
        + f"{'ours':>7}{'paper':>7}" * len(pairs)
        + "".join(f"{t:>8}" for t, _ in alone),
    ]
    section = None
    for row, name in zip(rows, names, strict=True):
        if section != (
            section := f"{row['experiment']}{PREDICTED if row['labels'] == 'predicted' else ''}"
        ):
            lines.append(section)
        theirs = paper.get((row["experiment"], row["set"]), {})
        cells = "".join(f"{_show(row[key]):>7}{_show(theirs.get(key)):>7}" for _, key in pairs)
        cells += "".join(f"{_show(row[key]):>8}" for _, key in alone)
        lines.append(
            f"  {name}".ljust(width)
            + (f"  {row['note']}" if row["disease_accuracy"] is None else cells)
        )
    return "\n".join(lines + ["", *_legend(rows)])


def _legend(rows: Sequence[Row]) -> list[str]:
    """Say what the columns mean, with the counts and floors that the numbers are to be read
    against.
    """
    row = next((row for row in rows if row["n"] is not None), None)
    if row is None:
        return ["no row could be computed"]
    chance = (
        ""
        if row["chance_identity"] is None
        else f"; chance identity {row['chance_identity']:.2f} %"
    )
    return [
        f"{row['n']} test images of {row['test_patients']} patients; always answering the more frequent label is "
        f"right in {row['majority_rate']:.2f} %{chance}",
        "other: a contributor who is not the source patient is named; unseen: a judge that never saw the patient",
    ]


def _cell(value: str | float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _parse(key: str, text: str) -> str | float | int | None:
    if key in TEXT:
        return text
    if text == "":
        return None
    return int(text) if key in (*COUNTS, explanation.COUNT) else float(text)
