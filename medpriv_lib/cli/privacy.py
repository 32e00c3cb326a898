"""The options of differential privacy, of who leads and of a site."""

import argparse
import os
from typing import TYPE_CHECKING

from medpriv_lib.cli.numbers import positive
from medpriv_lib.cli.options import require_parent

if TYPE_CHECKING:
    from medpriv_lib.federation.private.privacy import Privacy
    from medpriv_lib.federation.sites import Site


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Declare epsilon and delta."""
    parser.add_argument(
        "--epsilon",
        type=positive,
        metavar="E",
        help="train with differential privacy: the budget of each patient (default: without)",
    )
    parser.add_argument(
        "--delta",
        type=float,
        metavar="D",
        help="the chance that comes with epsilon (default where the patients are known: 1 / their "
        "number)",
    )


def add_privacy(parser: argparse.ArgumentParser) -> None:
    """Declare what a training with differential privacy asks of all sites."""
    add_budget(parser)
    parser.add_argument(
        "--noise",
        choices=("local", "distributed"),
        default="local",
        help="each site adds all of the noise (local, default), or a share of it, under secure "
        "aggregation (distributed)",
    )
    parser.add_argument(
        "--multiplier",
        type=positive,
        metavar="S",
        help="standard deviation of the noise, in clips (default: the least that keeps epsilon)",
    )
    parser.add_argument(
        "--clip",
        type=positive,
        default=1.0,
        metavar="C",
        help="of a patient's gradient (default 1)",
    )


def privacy_of(args: argparse.Namespace) -> "Privacy | None":
    """Return what the options ask for, None without --epsilon.

    Raises `ValueError` for options that belong to others.
    """
    if args.epsilon is None:
        if args.noise != "local" or args.multiplier is not None or args.delta is not None:
            raise ValueError("--noise, --multiplier and --delta belong to --epsilon")
        return None
    if args.noise == "distributed" and not args.secure_aggregation:
        raise ValueError("--noise distributed needs --secure-aggregation")
    from medpriv_lib.federation.private.privacy import Privacy

    return Privacy(
        args.epsilon, args.delta, args.clip, noise=args.noise, multiplier=args.multiplier
    )


def budget_of(args: argparse.Namespace, site: "Site") -> dict[str, object] | None:
    """Return what a site's process needs to open its ledger, None without --epsilon.

    The ledger is opened here once, so that what is wrong with it is said before the site takes
    part. Raises `ValueError` for one of --epsilon and --ledger alone; errors as of `Ledger`.
    """
    if (args.epsilon is None) != (args.ledger is None):
        raise ValueError("a site's --epsilon and --ledger belong together")
    if args.epsilon is None:
        return None
    from medpriv_lib.federation.private.ledger import Ledger

    path = require_parent(args.ledger).absolute()
    delta = 1 / site.patients if args.delta is None else args.delta
    Ledger(path, site.name, site.patients, args.epsilon, delta)
    return {"path": os.fspath(path), "budget": args.epsilon, "delta": delta}
