"""Any folder of images with a CSV `file,patient,label[,eye]` beside it."""

import csv
import io
import os
from pathlib import Path

import numpy as np

from medpriv_lib.data.images import SUFFIXES
from medpriv_lib.data.listing import Listing

COLUMNS = ("file", "patient", "label")
LABELS = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
EYES = {"": "", "l": "L", "left": "L", "os": "L", "r": "R", "right": "R", "od": "R"}


class BadManifest(ValueError):
    """A manifest that cannot be used; the message names the file, the row and the remedy."""


def read_manifest(path: str | os.PathLike) -> Listing:
    """List the images of a manifest: a CSV file, or a folder that holds exactly one.

    The first row names the columns, in any order and case: `file` (a path below the CSV's folder),
    `patient` (any text), `label` (0/1, false/true, no/yes) and, if wanted, `eye` (L/R, left/right,
    OS/OD or empty); other columns are ignored. Rows keep their order; row numbers in messages count
    the header as row 1. No image is opened. Raises `FileNotFoundError` for a missing CSV or image
    and `BadManifest` (a `ValueError`) for everything else.
    """
    table = _find_table(Path(path))
    header, rows = _read_rows(table)
    wanted = {name: _column(table, header, name) for name in COLUMNS}
    wanted |= {"eye": _column(table, header, "eye", optional=True)}
    root = table.parent
    files, patients, eyes, labels, seen = [], [], [], [], {}
    for number, cells in rows:
        if len(cells) != len(header):
            raise BadManifest(
                f"{table}, row {number}: {len(cells)} cells where the header has {len(header)}; "
                "quote cells that hold the separator"
            )
        cell = {name: cells[at].strip() if at is not None else "" for name, at in wanted.items()}
        file = _image_of(table, number, root, cell["file"])
        key = file.resolve()
        if key in seen:
            raise BadManifest(
                f"{table}, row {number}: duplicate row, {cell['file']} is listed in row {seen[key]} already; "
                "remove one of them"
            )
        seen[key] = number
        if not cell["patient"]:
            raise BadManifest(
                f"{table}, row {number}: unknown patient (the cell is empty); name the patient of {cell['file']}"
            )
        files.append(file)
        patients.append(cell["patient"])
        labels.append(
            _value(table, number, "label", cell["label"], LABELS, "0/1, false/true or no/yes")
        )
        eyes.append(_value(table, number, "eye", cell["eye"], EYES, "L, R or an empty cell"))
    if not files:
        raise BadManifest(
            f"{table}: no row below the header, so no image is listed; add one row per image"
        )
    return Listing(
        files=tuple(files),
        patient=np.array(patients),
        eye=np.array(eyes),
        diseased=np.array(labels, dtype=bool),
        root=root,
        counts={"images": len(files), "patients": len(set(patients)), "diseased": int(sum(labels))},
    )


def _find_table(path: Path) -> Path:
    if path.is_dir():
        tables = sorted(p for p in path.iterdir() if p.suffix.lower() == ".csv")
        if not tables:
            kind = "has no CSV" if any(path.iterdir()) else "is an empty folder"
            raise BadManifest(
                f"{path}: {kind}; put a CSV with the columns file,patient,label[,eye] there"
            )
        if len(tables) > 1:
            raise BadManifest(
                f"{path}: holds several CSV files ({', '.join(t.name for t in tables)}); name the one to use"
            )
        return tables[0]
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such manifest; give a CSV with the columns file,patient,label[,eye]"
        )
    return path


def _read_rows(table: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header in small letters, and the non-empty rows with their numbers."""
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadManifest(f"{table}: not UTF-8 text ({error}); save it as CSV in UTF-8") from error
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = [
            (number, cells)
            for number, cells in enumerate(
                csv.reader(io.StringIO(text, newline=""), delimiter=separator), 1
            )
            if any(c.strip() for c in cells)
        ]
    except csv.Error as error:
        raise BadManifest(f"{table}: not a readable CSV ({error}); save it again as CSV") from error
    if not rows:
        raise BadManifest(
            f"{table}: the file is empty; its first row must name the columns file,patient,label[,eye]"
        )
    return [c.strip().lower() for c in rows[0][1]], rows[1:]


def _column(table: Path, header: list[str], name: str, optional: bool = False) -> int | None:
    if header.count(name) > 1:
        raise BadManifest(
            f"{table}: wrong column, {name!r} is there {header.count(name)} times; rename the others"
        )
    if name not in header:
        if optional:
            return None
        raise BadManifest(
            f"{table}: wrong column, {name!r} is missing (found: {', '.join(header)}); "
            "the first row must name file,patient,label[,eye]"
        )
    return header.index(name)


def _image_of(table: Path, number: int, root: Path, name: str) -> Path:
    where = f"{table}, row {number}"
    if not name:
        raise BadManifest(f"{where}: the file cell is empty; name the image")
    relative = Path(name.replace("\\", "/"))
    escapes = BadManifest(
        f"{where}: {name!r} is a path that escapes the folder {root}; copy the image below the folder and "
        "name it from there"
    )
    if relative.is_absolute() or (len(name) > 1 and name[1] == ":"):
        raise escapes
    try:
        file = (root / relative).resolve()
        if not file.is_relative_to(root.resolve()):
            raise escapes
        there = file.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, BadManifest):
            raise
        raise BadManifest(
            f"{where}: {name!r} is no usable file name ({error}); rename the image"
        ) from error
    if not there:
        raise FileNotFoundError(
            f"{where}: no such image {root / relative}; correct the file cell or remove the row"
        )
    if relative.suffix.lower() not in SUFFIXES:
        raise BadManifest(
            f"{where}: {name!r} is no image file by its ending; use PNG, JPEG, BMP or TIFF"
        )
    return root / relative


def _value(table: Path, number: int, column: str, text: str, allowed: dict, remedy: str):
    if text.lower() not in allowed:
        raise BadManifest(f"{table}, row {number}: {column} is {text!r}; use {remedy}")
    return allowed[text.lower()]
