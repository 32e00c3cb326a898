"""train the recognisers and PPRL-VGAN on a cohort

Stopped at any moment, the same command goes on where it was. The weights hold the names of the
patients and learned from their images: never share them.

Examples:
  medpriv fit --cohort cohort.npz --out weights/
      the paper's scale: an hour and a half on one core
  medpriv fit --cohort xrays.npz --out weights/ --scale small
      some five minutes on one core
"""

import argparse
import os
import sys

from medpriv_lib.cli.options import (
    add_budget,
    add_seed,
    budget_of,
    load_cohort,
    printing,
    progress,
    require_device,
    require_parent,
    say,
)

# rounds, or pixels that the longest-trained recogniser sees: what is less is over as soon as it is
# timed
WORTH_TIMING, PIXELS = 200, 100_000_000
STOPPED = "what was finished is kept, the same command goes on from there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--cohort", metavar="FILE", required=True, help="made by `medpriv prepare`")
    parser.add_argument(
        "--out", required=True, metavar="WEIGHTS", help="folder for the weights; made where missing"
    )
    add_seed(parser, "of the training (default 0)")
    add_budget(parser)


def run(args: argparse.Namespace) -> None:
    """Train and write the weights."""
    out = require_parent(args.out)
    require_device(args.device)
    from medpriv_lib.core.files import require_no_file
    from medpriv_lib.core.sharing import refuse_inside

    require_no_file(out)
    refuse_inside(out, "what was learned from patients")
    cohort = load_cohort(args.cohort)
    from medpriv_lib.core.weights import PRIVATE, read_card
    from medpriv_lib.pipeline.fit import fit
    from medpriv_lib.recognition.judges import NAME, no_better_than_guessing

    budget = budget_of(args)
    pixels = budget.epochs * cohort.of("train").images.size
    long = budget.rounds >= WORTH_TIMING or pixels >= PIXELS
    if long and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        from medpriv_lib.pipeline.cost import cost_of_fit

        say(str(cost_of_fit(cohort, budget, args.device)))
    # a bar on a terminal; elsewhere a line each minute, so that a log shows that the work goes on
    note = None if sys.stderr.isatty() else progress
    fit(
        cohort,
        out,
        budget=budget,
        seed=args.seed,
        device=args.device,
        note=note,
        command=f"medpriv fit --scale {args.scale} --seed {args.seed}",
    )
    with printing(out):
        for doubt in no_better_than_guessing(read_card(out / NAME)["metrics"]):
            say(f"warning: {doubt}")
        say(f"{out}: weights of the recognisers and of PPRL-VGAN; use them with --weights {out}")
        say(PRIVATE)
