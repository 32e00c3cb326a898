"""Warsaw-BioBase-Disease-Iris v2.1, and the synthetic cohort that is written in its layout.

The licensed set's layout as two independent users' code reads it:
`images-NIR/NNNNleft/NNNN_L_IG_k.bmp` and `medical-description-v2-1.csv` (`;`-separated: patient,
left-eye diagnoses, right-eye diagnoses, each a comma list). As the paper, only images of the
IrisGuard AD100 camera ("IG") are used.
"""

import csv
import os
import re
import warnings
from pathlib import Path

import numpy as np

from medpriv_lib.core.printable import printable
from medpriv_lib.data.images import SUFFIXES
from medpriv_lib.data.left_out import LeftOut
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.table import rows_of

# all cameras; then those of the IrisGuard AD100: images, their patients, and images of eyes with
# glaucoma (the paper)
EXPECTED = {"all images": 2996, "images": 1795, "patients": 115, "diseased": 425}
GLAUCOMA = {"glaucoma", "secondary glaucoma"}
# number, then the eye (a letter or a word), then the camera; anything but letters and digits may
# stand between them
FILE_NAME = re.compile(
    r"^0*(\d+)[^a-z0-9]*(left|right|l|r)(?![a-z]).*?(?<![a-z])(ig|tc|ca)", re.IGNORECASE
)
BARE_NAME = re.compile(r"^0*(\d+)(?![0-9]).*?(?<![a-z])(ig|tc|ca)", re.IGNORECASE)
FOLDER = re.compile(r"^0*(\d+)[^a-z0-9]*(left|right|l|r)$", re.IGNORECASE)


class BadSet(ValueError):
    """A folder that cannot be read as the Warsaw set; the message names the file or row and the
    remedy.
    """


def read_warsaw(root: str | os.PathLike) -> Listing:
    """List the IrisGuard AD100 images below `root` with patient, eye and glaucoma label, sorted by
    path.

    Tolerant of case, separators and depth of folders, of a comma or tab separated or .xlsx
    description, and of the eye being named by the folder only. `diseased` is glaucoma or secondary
    glaucoma of that eye. `counts` holds what was found beside `EXPECTED`; where they differ there
    is a `UserWarning`. `truth` is set where synthetic images bring it. Raises `FileNotFoundError`
    for a missing folder or description and `BadSet` (a `ValueError`) for everything else.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(
            f"{printable(root)}: no such folder; give the one that holds images-NIR and the "
            "medical description"
        )
    images = _images(root)
    if not images:
        raise BadSet(
            f"{printable(root)}: empty folder, no .bmp, .png, .jpg or .tif image in it; give the "
            "folder that holds images-NIR"
        )
    table = _find_description(root)
    diagnoses = _read_description(table)
    files, patients, eyes, diseased, left_out = [], [], [], [], []
    for file in images:
        facts = _facts_of(file)
        if facts is None or facts[2] != "IG":
            left_out.append(_left_out(file.relative_to(root).as_posix(), facts))
            continue
        number, eye, _ = facts
        if number not in diagnoses:
            raise BadSet(
                f"{printable(file)}: unknown patient {number}; add a row for that patient to "
                f"{printable(table)}, or move the image away"
            )
        files.append(file)
        patients.append(number)
        eyes.append(eye)
        diseased.append(bool(GLAUCOMA & diagnoses[number][eye]))
    if not files:
        raise BadSet(
            f"{printable(root)}: none of the {len(images)} images is of the IrisGuard AD100 by its "
            "name; "
            "names should look like 0001_L_IG_1.bmp"
        )
    truth = root / "truth"
    found = {"images": len(files), "patients": len(set(patients)), "diseased": sum(diseased)}
    if not truth.is_dir():  # the synthetic cohort has no images of other cameras
        found["all images"] = len(images)
    return Listing(
        files=tuple(files),
        patient=np.array([f"{p:04d}" for p in patients]),
        eye=np.array(eyes),
        diseased=np.array(diseased),
        root=root,
        truth=truth if truth.is_dir() else None,
        counts=_compare(root, found),
        left_out=tuple(left_out),
    )


def _left_out(name: str, facts: tuple[int, str, str] | None) -> LeftOut:
    """Return why an image is not used: its name says nothing, or names another camera."""
    if facts is None:
        return LeftOut(name, "", "its name says no patient, eye and camera; rename or remove it")
    number, _, camera = facts
    return LeftOut(name, f"{number:04d}", f"of camera {camera}, not of the AD100", lost=False)


def _images(root: Path) -> list[Path]:
    """Return every image below the root but the synthetic truth, sorted by path whatever the file
    system's order.
    """
    found = [
        p
        for p in root.rglob("*")
        if p.suffix.lower() in SUFFIXES and p.is_file() and not p.name.startswith(".")
    ]
    return sorted(p for p in found if p.relative_to(root).parts[0] != "truth")


def _facts_of(file: Path) -> tuple[int, str, str] | None:
    """Return patient number, eye and camera from a file's name, the eye from its folder where the
    name lacks it.
    """
    folder = FOLDER.match(file.parent.name)
    if name := FILE_NAME.match(file.stem):
        number, eye, camera = int(name[1]), name[2][0].upper(), name[3].upper()
        if folder and (int(folder[1]), folder[2][0].upper()) != (number, eye):
            raise BadSet(
                f"{printable(file)}: the file's name and its folder name different patients or "
                "eyes; move or rename the file"
            )
        return number, eye, camera
    if folder and (name := BARE_NAME.match(file.stem)):
        return int(folder[1]), folder[2][0].upper(), name[2].upper()
    return None


def _find_description(root: Path) -> Path:
    tables = sorted(
        p
        for p in root.rglob("*")
        if p.suffix.lower() in (".csv", ".xlsx")
        and p.is_file()
        and re.search(r"medical|descri", p.stem, re.IGNORECASE)
        and not p.name.startswith((".", "~$"))
    )
    if not tables:
        raise FileNotFoundError(
            f"{printable(root)}: no medical-description-v2-1.csv in it; copy the description of "
            "the set there"
        )
    # the same table may lie there in both forms; the text form needs no further package
    tables.sort(key=lambda p: (p.suffix.lower() != ".csv", len(p.relative_to(root).parts), p.name))
    first = tables[0]
    rivals = [
        p
        for p in tables[1:]
        if p.suffix.lower() == first.suffix.lower() and p.parent == first.parent
    ]
    if rivals:
        raise BadSet(
            f"{printable(root)}: several descriptions "
            f"({printable(', '.join(t.name for t in (first, *rivals)))}); keep one"
        )
    return first


def _read_description(table: Path) -> dict[int, dict[str, set[str]]]:
    """Return for each patient number the diagnoses of the left and of the right eye."""
    rows = _read_xlsx(table) if table.suffix.lower() == ".xlsx" else _read_text(table)
    rows = [(number, cells) for number, cells in rows if any(cells)]
    if not rows:
        raise BadSet(f"{printable(table)}: the description is empty; copy it again from the set")
    left, right = _eye_columns(rows[0][1])
    result: dict[int, dict[str, set[str]]] = {}
    for row, cells in rows:
        number = re.fullmatch(r"0*(\d+)(\.0)?", cells[0])
        if number is None:
            if row == rows[0][0]:
                continue  # the header
            raise BadSet(
                f"{printable(table)}, row {row}: the patient number is {cells[0]!r}; correct that "
                "cell"
            )
        if len(cells) <= max(left, right):
            raise BadSet(
                f"{printable(table)}, row {row}: wrong column, the diagnoses of both eyes are "
                "expected in columns 2 and 3; "
                "check the separator"
            )
        patient = int(number[1])
        if patient in result:
            raise BadSet(
                f"{printable(table)}, row {row}: duplicate row for patient {patient}; remove one "
                "of them"
            )
        result[patient] = {"L": _items(cells[left]), "R": _items(cells[right])}
    if not result:
        raise BadSet(
            f"{printable(table)}: no row starts with a patient number; copy the description again "
            "from the set"
        )
    return result


def _eye_columns(header: list[str]) -> tuple[int, int]:
    """Return the columns of left and right: second and third, unless the header names them
    otherwise.
    """
    named = {
        side: [
            i
            for i, cell in enumerate(header)
            if re.search(rf"\b{side}\b|{side}[_ ]?eye", cell, re.IGNORECASE)
        ]
        for side in ("left", "right")
    }
    if len(named["left"]) == len(named["right"]) == 1:
        return named["left"][0], named["right"][0]
    return 1, 2


def _items(text: str) -> set[str]:
    return {" ".join(item.lower().split()).strip(" .") for item in re.split(r"[,;/\n]", text)} - {
        ""
    }


def _read_text(table: Path) -> list[tuple[int, list[str]]]:
    data = table.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    try:
        return rows_of(text)
    except (csv.Error, ValueError) as error:
        raise BadSet(
            f"{printable(table)}: not a readable CSV ({printable(error)}); copy it again from the "
            "set"
        ) from error


def _read_xlsx(table: Path) -> list[tuple[int, list[str]]]:
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise BadSet(
            f"{printable(table)}: reading .xlsx needs the package openpyxl; `pip install "
            "openpyxl`, or save the table "
            "as CSV beside it"
        ) from error
    try:
        sheet = load_workbook(table, read_only=True, data_only=True).worksheets[0]
        return [
            (number, ["" if c is None else str(c).strip() for c in cells])
            for number, cells in enumerate(sheet.iter_rows(values_only=True), 1)
        ]
    except Exception as error:  # zip, XML and key errors on damaged files
        raise BadSet(
            f"{printable(table)}: not a readable .xlsx file ({printable(error)}); copy it again "
            "from the set"
        ) from error


def _compare(root: Path, found: dict[str, int]) -> dict[str, str]:
    counts = {key: f"{value:,} (expected {EXPECTED[key]:,})" for key, value in found.items()}
    off = [f"{key} {text}" for key, text in counts.items() if found[key] != EXPECTED[key]]
    if off:
        warnings.warn(
            f"{printable(root)}: the counts differ from the published set: {'; '.join(off)}",
            stacklevel=3,
        )
    return counts
