"""recompute the paper's table, printed beside the paper's numbers

Examples:
  medpriv study                                  the shipped weights on the shipped cohort, 4 minutes on 2 cores
  medpriv study --out results/                   also table.csv, table.json and the figures
  medpriv study --train --seeds 3 --out runs/    everything from scratch; goes on where it was stopped
  medpriv study --cohort my.npz --out runs/ --scale small
                                                 one's own cohort: trains, unless --weights names trained ones
"""

import argparse

from medpriv_lib.cli.options import add_budget, budget_of, require_parent, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", metavar="DIR", help="folder for table, provenance and figures; made where missing")
    parser.add_argument("--cohort", metavar="FILE", help="made by `medpriv prepare` (default: the package's)")
    parser.add_argument("--weights", metavar="WEIGHTS", help="made by `medpriv fit` (default: the package's)")
    parser.add_argument("--draws", type=int, help="random draws of the replacement identities (default 10)")
    parser.add_argument("--train", action="store_true", help="train everything from scratch")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="with --train: this many trainings")
    parser.add_argument("--seed", type=int, default=0, help="of the draws, and of the first training (default 0)")
    add_budget(parser)


def run(args: argparse.Namespace) -> None:
    """Run the study and print the table."""
    from medpriv_lib.cohort import Cohort
    from medpriv_lib.evaluation.table import render
    from medpriv_lib.explanation.columns import render_explanations
    from medpriv_lib.study import run_study
    budget = budget_of(args)
    out = None if args.out is None else require_parent(args.out)
    cohort = None if args.cohort is None else Cohort.load(args.cohort)
    study = run_study(cohort, args.weights, out, args.draws, args.seed, args.train, args.seeds, budget, args.device)
    say(render(study.rows))
    if more := render_explanations(study.rows):
        say("\n" + more)
    if out is not None:
        say(f"written to {out}: table.csv, table.json and figures")
