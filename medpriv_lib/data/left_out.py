"""Files that do not become images of a cohort, each with its reason."""

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass

from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.printable import printable

COLUMNS = ("file", "patient", "lost", "reason")


@dataclass(frozen=True)
class LeftOut:
    """One file that was left out.

    `file` its path below the source's root, `patient` its patient or "" where no table names one,
    `reason` what was wrong and the remedy; `lost` says that the file should have become an image
    (no eye was found, a format that cannot be read), and is false where a stated rule leaves it out
    (another camera, no image at all).
    """

    file: str
    patient: str
    reason: str
    lost: bool = True


class TooManyLost(ValueError):
    """So many files were lost that the cohort would not be what its source is; `left_out` lists
    them.
    """

    def __init__(self, message: str, left_out: Iterable[LeftOut]) -> None:
        """Keep the list beside the message, so that a caller can write it."""
        super().__init__(message)
        self.left_out = tuple(left_out)


def write_left_out(path: str | os.PathLike, left_out: Iterable[LeftOut]) -> int:
    """Write the files as a CSV `file,patient,lost,reason`, atomically; return how many there are.

    The file is written also where nothing was left out: its header alone says so. Control
    characters are written out. Raises `FileNotFoundError` where the folder does not exist.
    """
    count = 0
    with (
        atomic_write(path, private=True) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for item in left_out:
            cells = (item.file, item.patient, "yes" if item.lost else "no", item.reason)
            table.writerow([_harmless(printable(cell, 2000)) for cell in cells])
            count += 1
    return count


def _harmless(cell: str) -> str:
    """Keep a spreadsheet from reading a cell as a formula: a file may be called `=cmd|…`."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell
