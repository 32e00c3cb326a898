"""What several commands share: options, early checks, output."""

import argparse
import sys
from pathlib import Path

import numpy as np

from medpriv_lib.core.budgets import SCALES, Budget
from medpriv_lib.core.cohort import Cohort


def say(text: str) -> None:
    """Print one line of result to stdout."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print one line about the work to stderr, where a person is looking."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def require_parent(path: str | Path) -> Path:
    """Return the path; raise `FileNotFoundError` before any work where its folder does not
    exist.
    """
    path = Path(path)
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist; create it first")
    return path


def load_cohort(path: str | None) -> Cohort:
    """Return the cohort of this file, or the package's where there is none."""
    from medpriv_lib.data.default import default_cohort

    return default_cohort() if path is None else Cohort.load(path)


def number_patients(names: np.ndarray, cohort: Cohort) -> tuple[np.ndarray, np.ndarray]:
    """Return the patients' numbers in `cohort`, int64 (N,), and all names: those it does not know
    follow its last.
    """
    known = [str(name) for name in cohort.patient_names]
    extended = known + sorted({str(name) for name in names} - set(known))
    place = {name: number for number, name in enumerate(extended)}
    return np.array([place[str(name)] for name in names], dtype=np.int64), np.array(extended)


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Declare how long training may take."""
    parser.add_argument(
        "--scale",
        choices=tuple(SCALES),
        default="paper",
        help="length of the training: paper (default), small (minutes), reading or toy",
    )
    parser.add_argument("--rounds", type=int, help="rounds of the GAN in place of the scale's")
    parser.add_argument(
        "--epochs", type=int, help="epochs of the recognisers at most, in place of the scale's"
    )
    parser.add_argument("--device", help="cpu, cuda, …; default: a GPU where there is one")


def budget_of(args: argparse.Namespace) -> Budget:
    """Return the scale's budget with the given overrides. Raises `ValueError` below 1."""
    from dataclasses import replace

    changes = {
        key: getattr(args, key) for key in ("rounds", "epochs") if getattr(args, key) is not None
    }
    for key, value in changes.items():
        if value < 1:
            raise ValueError(f"--{key} must be at least 1, not {value}")
    return replace(SCALES[args.scale], **changes)
