"""Train the plain autoencoder, a control of the study, on a cohort and write its weights.

    python data_scripts/train_autoencoder.py --cohort crossed --out weights/ --device cpu

Stopped at any point, the same command goes on from there.
"""

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from train_disentangled import cohort_of  # noqa: E402

from medpriv_lib.privatizers.controls.plain_autoencoder import Steps, fit_autoencoder  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cohort", required=True, help="a file made by `medpriv prepare`, or a cohort that ships"
    )
    parser.add_argument("--out", required=True, help="folder for the weights and their card")
    parser.add_argument("--steps", type=int, default=Steps.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, cuda, …; default: a GPU where there is one")
    options = parser.parse_args()
    try:
        fit_autoencoder(
            cohort_of(options.cohort),
            options.out,
            options.seed,
            budget=replace(Steps(), steps=options.steps),
            device=options.device,
            report=lambda step, loss: print(f"step {step:6d}  loss {loss:.5f}", flush=True),
            command=shlex.join(["python", *sys.argv]),
        )
    except (ValueError, OSError) as error:
        print(f"train_autoencoder: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
