"""train the recognisers and PPRL-VGAN on a cohort

Stopped at any moment, the same command goes on where it was.

Examples:
  medpriv fit --cohort cohort.npz --out weights/                the paper's scale: an hour and a
  half on one core medpriv fit --cohort xrays.npz --out weights/ --scale small   some five minutes
  on one core
"""

import argparse

from medpriv_lib.cli.options import add_budget, budget_of, load_cohort, require_parent, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--cohort", metavar="FILE", required=True, help="made by `medpriv prepare`")
    parser.add_argument(
        "--out", required=True, metavar="WEIGHTS", help="folder for the weights; made where missing"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_budget(parser)


def run(args: argparse.Namespace) -> None:
    """Train and write the weights."""
    from medpriv_lib.pipeline.weights import fit_weights

    budget, out = budget_of(args), require_parent(args.out)
    fit_weights(load_cohort(args.cohort), out, args.seed, budget, args.device, True)
    say(f"{out}: weights of the recognisers and of PPRL-VGAN; use them with --weights {out}")
