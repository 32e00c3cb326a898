"""Run the study: `python -m medpriv_lib.study.gradient_inversion --out FOLDER`."""

import argparse
import sys
from pathlib import Path

import torch

from medpriv_lib.study.gradient_inversion.run import run


def main(argv: list[str] | None = None) -> None:
    """Read the folder from the command line, attack, say how far it is on stderr."""
    parser = argparse.ArgumentParser(prog="python -m medpriv_lib.study.gradient_inversion")
    parser.add_argument("--out", default="chapters/results", metavar="FOLDER")
    folder = Path(parser.parse_args(argv).out)
    if not folder.is_dir():
        parser.error(f"{folder}: no such folder; create it first")
    torch.set_num_threads(1)
    run(folder, lambda text: print(text, file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
