"""What a loader hands on: which files there are, and what is known of each before any pixel is
read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medpriv_lib.core.printable import printable
from medpriv_lib.core.rectangle import Rectangle
from medpriv_lib.data.images import read_noted
from medpriv_lib.data.left_out import LeftOut

# from a file, and whether in colour, to uint8 (H, W) or (H, W, 3) and a note on the levels
Reader = Callable[[Path, bool], tuple[np.ndarray, str]]


@dataclass(frozen=True, eq=False)
class Listing:
    """The files of a source and the facts about them, in a fixed order.

    `files` N paths; `patient` (N,) the patients' names as text; `eye` (N,) "L", "R" or "" where it
    is not known; `diseased` bool (N,); `root` the folder that all files lie in; `truth` the folder
    with twins, masks and geometry of synthetic images, or None; `counts` what was counted beside
    what was expected, as text for people; `left_out` the files that the loader found and did not
    list, with the reason; `table` and `table_row` (N numbers) the table that names the files and
    their rows in it, or None and empty; `named` false where nobody said who the patients are and
    every file stands for a patient of its own; `visit` int64 (N,), the number of the visit within
    the patient, or None where nobody said; `reader` reads one file; `covered` are painted black in
    every image; `strict`: an image that cannot be read is left out with its reason in place of
    ending the preparation; `refuse_text`: so is one that looks as if text were burned in; `alike`
    groups of patients' names that seem to be one person, None where the names themselves show that.
    Raises `ValueError` where the parts do not fit together or where there is no file.
    """

    files: tuple[Path, ...]
    patient: np.ndarray
    eye: np.ndarray
    diseased: np.ndarray
    root: Path
    truth: Path | None = None
    counts: dict = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    table: Path | None = None
    table_row: tuple[int, ...] = ()
    named: bool = True
    visit: np.ndarray | None = None
    reader: Reader = read_noted
    covered: tuple[Rectangle, ...] = ()
    strict: bool = False
    refuse_text: bool = False
    alike: tuple[tuple[str, ...], ...] | None = None

    def __post_init__(self) -> None:
        """Check the lengths and the eyes once."""
        n = len(self.files)
        root = printable(self.root)
        if n == 0:
            raise ValueError(f"{root}: empty folder, no image listed; check the path")
        for key in ("patient", "eye", "diseased"):
            if getattr(self, key).shape != (n,):
                raise ValueError(f"{root}: `{key}` must have one entry for each of the {n} files")
        if self.visit is not None and self.visit.shape != (n,):
            raise ValueError(f"{root}: `visit` must have one entry for each of the {n} files")
        if len(self.table_row) not in (0, n):
            raise ValueError(f"{root}: `table_row` must have one entry for each of the {n} files")
        if not set(np.unique(self.eye)) <= {"L", "R", ""}:
            raise ValueError(f'{root}: `eye` may hold "L", "R" and "" only')

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def name_of(self, row: int) -> str:
        """Return the path of a file below the root, with forward slashes."""
        return self.files[row].relative_to(self.root).as_posix()

    def place_of(self, row: int) -> str:
        """Return where a file is named, for a message: the row of its table, or its name."""
        if not self.table_row:
            return printable(self.name_of(row))
        return f"row {self.table_row[row]} ({printable(self.name_of(row))})"
