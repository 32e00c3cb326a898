"""Any folder of images with a CSV `file,patient,label[,eye]` beside it."""

import csv
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from medpriv_lib.core.printable import LONGEST, printable
from medpriv_lib.data.below import Below, Escapes
from medpriv_lib.data.images import SUFFIXES
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.people import is_nobody
from medpriv_lib.data.table import rows_of

COLUMNS = ("file", "patient", "label")
LABELS = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
EYES = {"": "", "l": "L", "left": "L", "os": "L", "r": "R", "right": "R", "od": "R"}
OPTIONAL = ("eye", "visit")
TRUTH = "truth"  # of images that were drawn: twins, masks and geometry, beside the manifest
HEADER = "file,patient,label[,eye]"

TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # order of letters

T = TypeVar("T")


class BadManifest(ValueError):
    """A manifest that cannot be used; the message names the file, the row and the remedy."""


@dataclass(frozen=True)
class _Row:
    """One row: its place for messages, and its cells by column."""

    where: str
    number: int
    cells: dict[str, str]

    def value(self, column: str, allowed: dict[str, T], remedy: str) -> T:
        text = self.cells[column].lower()
        if column == "label" and re.fullmatch(r"[01][.,]0*", text):
            text = text[0]  # a spreadsheet writes numbers as 0.0 and 1.0
        if text not in allowed:
            raise BadManifest(
                f"{self.where}: {column} is {printable(self.cells[column])!r}; use {remedy}"
            )
        return allowed[text]

    def visit(self) -> int | None:
        """Return the number of the visit, None where the table has no such column."""
        if "visit" not in self.cells:
            return None
        text = self.cells["visit"]
        if not re.fullmatch(r"0*[1-9]\d{0,5}", text):
            raise BadManifest(
                f"{self.where}: visit is {printable(text)!r}; number each patient's visits from 1, "
                "or rename the column"
            )
        return int(text)


def read_manifest(path: str | os.PathLike) -> Listing:
    """List the images of a manifest: a CSV file, or a folder that holds exactly one.

    The first row names the columns, in any order and case: `file` (a path below the CSV's folder),
    `patient` (any text of up to 200 characters but what programs write for an empty cell, such as
    nan or N/A, and without control characters and what begins a formula), `label`
    (0/1, 0.0/1.0, false/true, no/yes) and, if wanted, `eye` (L/R, left/right, OS/OD or empty) and
    `visit` (a number from 1 within the patient); other columns are ignored. A line `sep=;` before
    it names the separator. A file's name may stand in the table in another Unicode form than on the
    disk. Rows keep their order; row numbers in messages count the header as row 1. No image is
    opened. Beside images that were drawn lies their truth, in `truth/` with a `geometry.csv`.
    Whether two patients are one person is asked by `prepare`. Raises `FileNotFoundError` for a
    missing CSV or image and `BadManifest` (a `ValueError`) for everything else.
    """
    table = _find_table(Path(path))
    files: list[Path] = []
    patients, eyes, labels, rows, visits = [], [], [], [], []
    seen: dict[Path, int] = {}
    below = Below(table.parent)
    for row in _rows(table):
        name = row.cells["file"]
        file = _image_of(below, row)
        if (first := seen.setdefault(file.resolve(), row.number)) != row.number:
            raise BadManifest(
                f"{row.where}: duplicate row, {printable(name)} is listed in row {first} already; "
                "remove one of them"
            )
        if is_nobody(row.cells["patient"]):
            said = printable(row.cells["patient"])
            what = (
                f"the cell says {said!r}, as programs do for an empty one"
                if said
                else ("the cell is empty")
            )
            raise BadManifest(
                f"{row.where}: unknown patient ({what}); name the patient of {printable(name)}"
            )
        _refuse_unprintable(row)
        files.append(file)
        patients.append(row.cells["patient"])
        labels.append(row.value("label", LABELS, "0/1, false/true or no/yes"))
        eyes.append(row.value("eye", EYES, "L, R or an empty cell"))
        visits.append(row.visit())
        rows.append(row.number)
    if not files:
        raise BadManifest(
            f"{printable(table)}: no row below the header, so no image is listed; add one row per "
            "image"
        )
    truth = table.parent / TRUTH
    return Listing(
        files=tuple(files),
        patient=np.array(patients),
        eye=np.array(eyes),
        diseased=np.array(labels, dtype=bool),
        root=table.parent,
        counts={"images": len(files), "patients": len(set(patients)), "diseased": sum(labels)},
        table=table,
        table_row=tuple(rows),
        truth=truth if (truth / "geometry.csv").is_file() else None,
        visit=None if None in visits else np.array(visits, dtype=np.int64),
    )


def _refuse_unprintable(row: _Row) -> None:
    """Refuse a patient whose name a terminal would obey, or that is no name by its length."""
    name = row.cells["patient"]
    if len(name) > LONGEST:
        raise BadManifest(
            f"{row.where}: the patient's name has {len(name):,} characters; use {LONGEST} or fewer"
        )
    odd = next((c for c in name if unicodedata.category(c) == "Cc" or c in TURNING), None)
    if odd is not None:
        raise BadManifest(
            f"{row.where}: the patient {printable(name)!r} holds the control character "
            f"{printable(odd)}, which a terminal or a page would obey; remove it from the cell"
        )
    if name.startswith(("=", "@", "+", "-")) and not re.fullmatch(r"[+-][\d.,]+", name):
        raise BadManifest(
            f"{row.where}: the patient {printable(name)!r} begins as a formula does, and a "
            "spreadsheet that opens the linkage key would compute it; write another name"
        )


def _find_table(path: Path) -> Path:
    shown = printable(path, 1000)
    if path.is_dir():
        tables = sorted(
            p
            for p in path.iterdir()
            if p.suffix.lower() == ".csv" and p.is_file() and not p.name.startswith(".")
        )
        if not tables:
            kind = "has no CSV" if any(path.iterdir()) else "is an empty folder"
            raise BadManifest(f"{shown}: {kind}; put a CSV with the columns {HEADER} there")
        if len(tables) > 1:
            names = printable(", ".join(t.name for t in tables))
            raise BadManifest(f"{shown}: holds several CSV files ({names}); name the one to use")
        return tables[0]
    if path.exists() and not path.is_file():
        raise BadManifest(f"{shown}: is a pipe or a device, no manifest; give a CSV file")
    if not path.is_file():
        raise FileNotFoundError(f"{shown}: no such manifest; give a CSV with the columns {HEADER}")
    return path


def _rows(table: Path) -> list[_Row]:
    """Return the rows below the header that are not empty, by the columns that are used."""
    shown = printable(table, 1000)
    header, rows = read_table(table, shown)
    places = {name: _column(shown, header, name) for name in (*COLUMNS, *OPTIONAL)}
    found = []
    for number, cells in rows:
        if len(cells) != len(header):
            raise BadManifest(
                f"{shown}, row {number}: {len(cells)} cells where the header has {len(header)}; "
                "quote cells that hold the separator"
            )
        named = {name: "" if at is None else cells[at] for name, at in places.items()}
        if places["visit"] is None:
            del named["visit"]
        found.append(_Row(f"{shown}, row {number}", number, named))
    return found


def read_table(table: Path, shown: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header in small letters, and the non-empty rows with their numbers.

    `shown` stands for the table in messages. Raises `BadManifest` for what is no CSV in UTF-8.
    """
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadManifest(f"{shown}{_other_text(error)}") from error
    except PermissionError as error:
        raise PermissionError(
            error.errno, "may not be read; ask for the right to", shown
        ) from error
    try:
        rows = rows_of(text)
    except (csv.Error, ValueError) as error:
        raise BadManifest(
            f"{shown}: not a readable CSV ({printable(error)}); save it again as CSV"
        ) from error
    if not rows:
        raise BadManifest(
            f"{shown}: the file is empty; its first row must name the columns {HEADER}"
        )
    return [c.lower() for c in rows[0][1]], rows[1:]


def _other_text(error: UnicodeDecodeError) -> str:
    """Return what to say of a table in another encoding: its row, and the remedy."""
    before, remedy = error.object[: error.start], 'save it as "CSV UTF-8" in the spreadsheet'
    if error.object.startswith((b"\xff\xfe", b"\xfe\xff")):
        return f": text in UTF-16, not UTF-8; {remedy}"
    row = before.count(b"\n") + 1
    return f", row {row}: not UTF-8 text (byte 0x{error.object[error.start]:02x}); {remedy}"


def _column(shown: str, header: list[str], name: str) -> int | None:
    if header.count(name) > 1:
        raise BadManifest(
            f"{shown}: wrong column, {name!r} is there {header.count(name)} times; rename the "
            "others"
        )
    if name in header:
        return header.index(name)
    if name in OPTIONAL:
        return None
    raise BadManifest(
        f"{shown}: wrong column, {name!r} is missing (found: {printable(', '.join(header))}); the "
        f"first row must name {HEADER}"
    )


def _image_of(below: Below, row: _Row) -> Path:
    """Return the file that a row names, spelled as it is on the disk."""
    name, shown = row.cells["file"], printable(row.cells["file"])
    if not name:
        raise BadManifest(f"{row.where}: the file cell is empty; name the image")
    try:
        file = below.find(name.replace("\\", "/"))
    except Escapes as error:
        raise BadManifest(f"{row.where}: {shown!r} {error}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise BadManifest(
            f"{row.where}: {shown!r} is no usable file name ({printable(error)}); rename the image"
        ) from error
    if file is None:
        there = below.root / name.replace("\\", "/")
        if there.exists():
            kind = "a folder" if there.is_dir() else "a pipe or a device"
            raise BadManifest(
                f"{row.where}: {shown!r} is {kind}, no image file; correct the file cell or remove "
                "the row"
            )
        raise FileNotFoundError(
            f"{row.where}: no such image {printable(below.root / name, 1000)}; correct the file "
            "cell or "
            "remove the row"
        )
    if file.suffix.lower() not in SUFFIXES:
        raise BadManifest(
            f"{row.where}: {shown!r} is no image file by its ending; use PNG, JPEG, BMP or TIFF"
        )
    return file
