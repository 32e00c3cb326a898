"""score a folder made by `medpriv privatize`

Needs DIR/keep: only who holds the linkage key can count how often the patient is still named.

Examples:
  medpriv evaluate release/
  medpriv evaluate release/ --cohort my.npz --weights my-weights/
"""

import argparse

from medpriv_lib.cli.options import load_cohort, say

STOPPED = "nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("release", metavar="DIR")
    parser.add_argument(
        "--cohort", metavar="FILE", help="the cohort of the weights (default: the package's)"
    )
    parser.add_argument(
        "--weights", metavar="WEIGHTS", help="made by `medpriv fit` (default: the package's)"
    )


def run(args: argparse.Namespace) -> None:
    """Judge the release and print every rate with its interval."""
    from medpriv_lib.core.sharing import read_release
    from medpriv_lib.pipeline.measure import measure, sources_of

    release, _ = read_release(args.release)
    cohort = load_cohort(args.cohort)
    try:
        sources_of(release, cohort)
    except ValueError as error:
        raise ValueError(f"{args.release}: {error}") from error
    say(measure(release, cohort, weights=args.weights).text())
