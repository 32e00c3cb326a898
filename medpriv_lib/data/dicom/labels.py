"""A table of labels for DICOM objects, by PatientID, by file or by SOPInstanceUID."""

import os
from dataclasses import dataclass
from pathlib import Path

from medpriv_lib.core.printable import printable
from medpriv_lib.data.manifest import EYES, LABELS, BadManifest, read_table

KEYS = {
    "sopinstanceuid": "SOPInstanceUID",
    "file": "file",
    "patientid": "PatientID",
    "patient": "PatientID",
}  # what an image is named by, the finest first
HEADER = "one of SOPInstanceUID, file or PatientID, and label"


@dataclass(frozen=True)
class Labels:
    """What a table says: `by` names the column that images are found by; `rows` gives, for each of
    its values, the label, the eye ("L", "R", "" where unsaid) and the row's number.
    """

    by: str
    rows: dict[str, tuple[bool, str, int]]


def read_labels(path: str | os.PathLike) -> Labels:
    """Read a CSV with the columns `label` (0/1, false/true, no/yes), perhaps `eye`, and one of
    SOPInstanceUID, file (below the folder) and PatientID (or patient).

    Where several of these are there, the finest counts, in this order. Raises `FileNotFoundError`
    and `BadManifest`, which names the row and no PatientID.
    """
    path = Path(path)
    shown = printable(path, 1000)
    if not path.is_file():
        raise FileNotFoundError(f"{shown}: no such table of labels; give a CSV with {HEADER}")
    header, lines = read_table(path, shown)
    by = next((key for key in KEYS if key in header), None)
    if by is None or "label" not in header:
        raise BadManifest(f"{shown}: wrong columns; the first row must name {HEADER}")
    rows: dict[str, tuple[bool, str, int]] = {}
    for number, cells in lines:
        where = f"{shown}, row {number}"
        if len(cells) != len(header):
            raise BadManifest(f"{where}: {len(cells)} cells where the header has {len(header)}")
        row = dict(zip(header, cells, strict=True))
        key = row[by].replace("\\", "/") if by == "file" else row[by]
        label, eye = _label(row["label"]), EYES.get(row.get("eye", "").lower())
        if label is None or eye is None:
            told = "label" if label is None else "eye"
            raise BadManifest(f"{where}: {told} is {printable(row[told])!r}; use 0 or 1, L or R")
        if not key:
            raise BadManifest(f"{where}: its {KEYS[by]} is empty; fill it in or remove the row")
        before = rows.setdefault(key, (label, eye, number))
        if before[2] != number:
            raise BadManifest(
                f"{where}: the same {KEYS[by]} stands in row {before[2]}; remove one of them"
            )
    if not rows:
        raise BadManifest(f"{shown}: no row below the header; add one for each {KEYS[by]}")
    return Labels(KEYS[by], rows)


def _label(text: str) -> bool | None:
    text = text.lower()
    return LABELS.get(text[0] if text[1:2] in (".", ",") and not text[2:].strip("0") else text)
