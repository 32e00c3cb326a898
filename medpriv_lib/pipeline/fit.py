"""Train what the study needs on a cohort: the judges and PPRL-VGAN."""

import os
import time
from pathlib import Path

from medpriv_lib.core.budgets import PAPER, Budget
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.workplace import reserved
from medpriv_lib.pipeline import Note, silent
from medpriv_lib.pipeline.weights import fit_weights

PRIVATE = (
    "the weights hold the names of your patients and learned from their images: never share them"
)
EVERY = 60.0  # seconds between two lines of progress


def fit(
    cohort: Cohort,
    folder: str | os.PathLike,
    *,
    budget: Budget = PAPER,
    seed: int = 0,
    device: str | None = None,
    note: Note | None = None,
) -> Path:
    """Train the judges and PPRL-VGAN on a cohort, write them into a folder, and return that folder.

    Called again after it was stopped, it goes on from the last checkpoint. `note` is told about the
    progress about once a minute; without it a bar is shown on a terminal. The weights hold the
    patients' names: never share them. Raises `Busy` where another run writes the folder, and
    `ValueError` where it holds weights of another cohort or of other settings.
    """
    folder = Path(folder)
    if int(os.environ.get("RANK", "0")):  # under `accelerate launch` the first process reserves
        fit_weights(cohort, folder, seed, budget, device, False)
        return folder
    with reserved(folder):
        fit_weights(cohort, folder, seed, budget, device, note is None, note=sparing(note))
    return folder


def sparing(note: Note | None, every: float = EVERY) -> Note:
    """Return a listener that passes on one line in `every` seconds, the first one at once."""
    last = -every

    def pass_on(text: str) -> None:
        nonlocal last
        if note is not None and time.monotonic() - last >= every:
            last = time.monotonic()
            note(text)

    return silent if note is None else pass_on
