"""What a loader hands on: which files there are, and what is known of each before any pixel is
read.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Listing:
    """The files of a source and the facts about them, in a fixed order.

    `files` N paths; `patient` (N,) the patients' names as text; `eye` (N,) "L", "R" or "" where it
    is not known; `diseased` bool (N,); `root` the folder that all files lie in; `truth` the folder
    with twins, masks and geometry of synthetic images, or None; `counts` what was counted beside
    what was expected, as text for people. Raises `ValueError` where the parts do not fit together
    or where there is no file.
    """

    files: tuple[Path, ...]
    patient: np.ndarray
    eye: np.ndarray
    diseased: np.ndarray
    root: Path
    truth: Path | None = None
    counts: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the lengths and the eyes once."""
        n = len(self.files)
        if n == 0:
            raise ValueError(f"{self.root}: empty folder, no image listed; check the path")
        for key in ("patient", "eye", "diseased"):
            if getattr(self, key).shape != (n,):
                raise ValueError(
                    f"{self.root}: `{key}` must have one entry for each of the {n} files"
                )
        if not set(np.unique(self.eye)) <= {"L", "R", ""}:
            raise ValueError(f'{self.root}: `eye` may hold "L", "R" and "" only')

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def name_of(self, row: int) -> str:
        """Return the path of a file below the root, with forward slashes."""
        return self.files[row].relative_to(self.root).as_posix()
