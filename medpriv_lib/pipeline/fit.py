"""Train what the study needs on a cohort: the judges and PPRL-VGAN."""

import contextlib
import os
import time
from pathlib import Path

from medpriv_lib.core.budgets import PAPER, Budget
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.kinds import require_kind
from medpriv_lib.core.workplace import reserved
from medpriv_lib.pipeline import Note
from medpriv_lib.pipeline.weights import fit_weights

EVERY = 60.0  # seconds between two lines of progress


def fit(
    cohort: Cohort,
    folder: str | os.PathLike,
    *,
    budget: Budget = PAPER,
    seed: int = 0,
    device: str | None = None,
    note: Note | None = None,
    command: str | None = None,
) -> Path:
    """Train the judges and PPRL-VGAN on a cohort, write them into a folder, and return that folder.

    Called again after it was stopped, it goes on from the last checkpoint. `note` is told about the
    progress about once a minute; without it a bar is shown on a terminal. `command` is written into
    the cards. The weights know the patients whom they were trained on, and hold their names: never
    share them. Raises `Busy` where another run writes the folder, and `ValueError` where it holds
    weights of another cohort or of other settings.
    """
    require_kind(cohort, Cohort, "cohort", "fit")
    folder = Path(folder)
    # under `accelerate launch` the first process reserves the folder
    first = int(os.environ.get("RANK", "0")) == 0
    with reserved(folder) if first else contextlib.nullcontext():
        if note is None:
            fit_weights(cohort, folder, seed, budget, device, True, command)
            return folder
        tell = sparing(note)

        def epochs(epoch: int, of: int, row: dict[str, float]) -> None:
            tell(f"a recogniser: epoch {epoch} of at most {of}")

        fit_weights(cohort, folder, seed, budget, device, epochs, command, tell)
    return folder


def sparing(note: Note, every: float = EVERY) -> Note:
    """Return a listener that passes on one line in `every` seconds, the first one at once."""
    last = -every

    def pass_on(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            last = time.monotonic()
            note(text)

    return pass_on
