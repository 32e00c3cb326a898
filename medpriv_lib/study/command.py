"""A study of its own as a command: `python -m medpriv_lib.study.NAME --out FOLDER`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

Say = Callable[[str], None]


def into_folder(
    name: str, measure: Callable[[Path, Say], Any], argv: Sequence[str] | None = None
) -> None:
    """Read the folder from the command line, measure on one thread, say how far it is on stderr.

    `name` is the module's; the folder must be there. Leaves with 2 for wrong arguments.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    parser.add_argument("--out", default="chapters/results", metavar="FOLDER")
    folder = Path(parser.parse_args(argv).out)
    if not folder.is_dir():
        parser.error(f"{folder}: no such folder; create it first")
    torch.set_num_threads(1)
    measure(folder, lambda text: print(text, file=sys.stderr, flush=True))
