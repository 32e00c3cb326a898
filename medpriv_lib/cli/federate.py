"""train one disease recogniser at several hospitals whose images stay where they are

`simulate` deals a cohort to sites and trains in this process. `coordinator` and `site` do the same
between machines, over TLS, each site known by its key; `certificates` makes keys for trying.
Stopped at any moment, the same command goes on after its last round.

Examples:
  medpriv federate simulate cohort.npz --sites 3 --how even --rounds 20 --out federated/
  medpriv federate simulate --epsilon 8 --secure-aggregation --model probe --rounds 60
  --out private/
  medpriv federate certificates keys/ --sites 3 --host coordinator.example
  medpriv federate coordinator --certificates keys/ --listen 0.0.0.0:9092 --sites 3 --rounds 20
  --size 64 --out federated/
  medpriv federate site cohort.npz --certificates keys/ --name site-1
  --coordinator coordinator.example:9092
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from medpriv_lib.cli.numbers import not_negative, positive
from medpriv_lib.cli.options import (
    add_seed,
    load_cohort,
    printing,
    progress,
    require_parent,
    say,
    whole,
)
from medpriv_lib.cli.privacy import add_budget, add_privacy, budget_of, privacy_of

if TYPE_CHECKING:
    from medpriv_lib.federation.coordinator import Round
    from medpriv_lib.federation.local import LocalTraining

STOPPED = "the rounds that were finished are kept, the same command goes on from there"
HOWS = ("even", "size", "label", "scanner")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the four actions, each with its options."""
    actions = parser.add_subparsers(
        dest="action", required=True, parser_class=type(parser), metavar="ACTION"
    )
    simulate = actions.add_parser("simulate", help="sites within this process")
    simulate.add_argument(
        "cohort", nargs="?", metavar="COHORT", help="made by `medpriv prepare` (default: ours)"
    )
    simulate.add_argument(
        "--how",
        choices=HOWS,
        default="even",
        help="how patients are dealt: even (default), each site twice as many as the one before "
        "(size), by their share of diseased images (label), each site with a camera of its own "
        "(scanner)",
    )
    add_seed(simulate, "of the split, the deal and the training (default 0)")
    keys = actions.add_parser("certificates", help="keys and certificates for trying")
    keys.add_argument("folder", metavar="DIR", help="a new folder, or one without such files")
    keys.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="by which the sites reach the coordinator; may be repeated (localhost always is)",
    )
    lead = actions.add_parser("coordinator", help="lead sites on other machines")
    lead.add_argument("--certificates", required=True, metavar="DIR", help="certificate and keys")
    lead.add_argument("--listen", required=True, metavar="HOST:PORT", help="where sites come to")
    lead.add_argument(
        "--size", type=whole(16, 1024), default=64, metavar="N", help="of the images (default 64)"
    )
    lead.add_argument(
        "--patience",
        type=whole(1, 10**6),
        default=600,
        metavar="SECONDS",
        help="that a site may take for a round (default 600)",
    )
    join = actions.add_parser("site", help="take part with a cohort of one's own")
    join.add_argument("cohort", metavar="COHORT", help="made by `medpriv prepare`")
    join.add_argument("--name", required=True, metavar="NAME", help="of the site's key")
    join.add_argument("--certificates", required=True, metavar="DIR", help="ca.crt and the key")
    join.add_argument("--coordinator", required=True, metavar="HOST:PORT", help="where to go")
    join.add_argument("--log", metavar="FILE", help="a line for each message that left")
    add_budget(join)
    join.add_argument("--ledger", metavar="FILE", help="what was spent; belongs to --epsilon")
    for one in (simulate, lead):
        _add_training(one)
        add_privacy(one)
    for one in (simulate, lead, join):
        one.add_argument(
            "--secure-aggregation",
            action="store_true",
            help="show the coordinator the sum of all updates only, under masks",
        )
    for one in (simulate, keys, lead):
        one.add_argument(
            "--sites", type=whole(1, 1000), default=3, metavar="N", help="how many (default 3)"
        )


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rounds", type=whole(1, 100_000), default=20, metavar="R", help="(default 20)"
    )
    parser.add_argument(
        "--fewest",
        type=whole(1, 1000),
        metavar="N",
        help="sites that must answer for a round to count (default: all but one)",
    )
    parser.add_argument(
        "--proximal",
        type=not_negative,
        default=0.0,
        metavar="MU",
        help="the weight of FedProx's term (default 0: FedAvg)",
    )
    parser.add_argument(
        "--model",
        choices=("network", "probe"),
        default="network",
        help="network (default), or a linear layer on what the expert sees (probe), which needs "
        "less noise",
    )
    parser.add_argument(
        "--rate",
        type=positive,
        metavar="R",
        help="learning rate (default .001; with --epsilon, plain gradient steps: 1)",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder for weights and rounds; made if missing"
    )


def run(args: argparse.Namespace) -> None:
    """Do what the action says."""
    fewest = getattr(args, "fewest", None)
    if fewest is not None and fewest > args.sites:
        raise ValueError(f"--fewest {fewest}: there are only {args.sites} sites; ask for fewer")
    try:
        ACTIONS[args.action](args)
    except ImportError as error:
        raise ValueError(str(error)) from error


def _simulate(args: argparse.Namespace) -> None:
    """Deal, train, write, and say how good the recogniser is on patients of no site."""
    out = require_parent(args.out)
    from medpriv_lib.core.files import require_no_file
    from medpriv_lib.core.sharing import refuse_inside

    require_no_file(out)
    refuse_inside(out, "what was learned from patients")
    privacy = privacy_of(args)
    cohort = load_cohort(args.cohort)
    from medpriv_lib.core.randomness import seeded
    from medpriv_lib.core.workplace import reserved
    from medpriv_lib.federation.conduct import Rounds
    from medpriv_lib.federation.sites import deal, split_by_patient
    from medpriv_lib.pipeline.federate import federate, written

    cohort = split_by_patient(cohort, seeded(args.seed, "split"))
    sites = deal(cohort, args.sites, args.how, seeded(args.seed, "deal"))
    for site in sites:
        say(f"{site.name}: {site.patients} training patients, {len(site.train)} images")
    with reserved(out):
        out.mkdir(exist_ok=True)
        found = federate(
            sites,
            rounds=Rounds(args.rounds, args.fewest),
            training=_training(args),
            seed=args.seed,
            model=args.model,
            folder=out,
            privacy=privacy,
            aggregation="secure" if args.secure_aggregation else "open",
            progress=_tell,
        )
        for name, messages in found.left.items():
            with open(out / f"{name}-left.jsonl", "a", encoding="utf-8") as file:
                file.writelines(json.dumps(asdict(left)) + "\n" for left in messages)
        command = f"medpriv federate simulate --sites {args.sites} --how {args.how}"
        command += f" --epsilon {args.epsilon:g} --noise {args.noise}" if privacy else ""
        command += " --secure-aggregation" if args.secure_aggregation else ""
        quality = written(found, cohort, out, command, args.seed)
    with printing(out):
        say(
            "on {test_patients} patients of no site ({test_images} images): AUC {auc:.3f} "
            "({auc_low:.3f} to {auc_high:.3f}), F1 {f1:.3f} at threshold {threshold:.2f}; calling "
            "everybody diseased has F1 {all_ill:.3f}".format(**quality)
        )
        for name, spent in found.spent.items():
            say(f"{name}: epsilon {spent:.2f} of {args.epsilon:g} spent for each patient")
        say(f"written to {out}: recogniser.safetensors, rounds.json, and what left each site")


def _training(args: argparse.Namespace) -> "LocalTraining":
    """Return how sites train. Under privacy no statistic of the labels may leave in weights."""
    from medpriv_lib.federation.local import LocalTraining

    rate = args.rate if args.rate is not None else 1.0 if args.epsilon else 1e-3
    return LocalTraining(rate=rate, proximal=args.proximal)


def _tell(number: int, rounds: int, one: "Round") -> None:
    """Print a line about a round."""
    line = f"round {number} of {rounds}: {len(one.answered)} site(s) answered"
    if one.missing:
        line += f", {len(one.missing)} said nothing ({', '.join(one.missing)})"
    for name, why in one.refused.items():
        line += f", {name} left out: {why}"
    line += "" if one.loss is None else f"; loss {one.loss:.3f}"
    line += "" if one.f1 is None else f", validation F1 {one.f1:.3f}"
    progress(f"{line}; {one.seconds:.1f} s, {(one.sent + one.received) / 1e6:.2f} MB")


def _certificates(args: argparse.Namespace) -> None:
    from medpriv_lib.core.sharing import refuse_inside
    from medpriv_lib.federation.certificates import make_certificates

    refuse_inside(args.folder, "a key")
    made = make_certificates(args.folder, args.sites, args.host)
    with printing(made):
        say(
            f"written to {made}; good for 30 days. Give each site ca.crt and its own two files only"
        )


def _coordinator(args: argparse.Namespace) -> None:
    out, keys, secure = require_parent(args.out), Path(args.certificates), args.secure_aggregation
    privacy = privacy_of(args)
    if privacy and privacy.delta is None:
        raise ValueError(
            "a coordinator does not know how many patients there are: name --delta, at most 1 / "
            "the patients of the largest site"
        )
    from medpriv_lib.federation.certificates import ROSTER, require_files
    from medpriv_lib.federation.plan import Plan
    from medpriv_lib.federation.processes import lead

    threshold = None
    if secure:
        from medpriv_lib.federation.secure_aggregation.identity import Roster

        require_files(keys, [ROSTER])
        threshold = Roster.read(keys / ROSTER).threshold
    demand = privacy.demand(args.rounds, 1, threshold) if privacy else None
    fewest = max(1, args.sites - 1) if args.fewest is None else args.fewest
    plan = Plan(
        args.rounds, args.size, 1, "max", _training(args), fewest, args.patience, args.model, demand
    )
    lead(plan, args.sites, args.listen, keys, out, secure=secure, say=progress, tell=_tell)
    with printing(out):
        say(f"written to {out}: recogniser.safetensors and rounds.json")


def _site(args: argparse.Namespace) -> None:
    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.federation.certificates import require_key
    from medpriv_lib.federation.processes import join
    from medpriv_lib.federation.sites import Site

    log = None if args.log is None else require_parent(args.log)
    if (key := Path(args.certificates) / args.name).is_file():
        require_key(key)
    here = Site.of(Cohort.load(args.cohort), args.name)  # what is wrong with it is said here
    budget = budget_of(args, here)
    join(
        Path(args.cohort),
        args.name,
        args.coordinator,
        Path(args.certificates),
        log=log,
        secure=args.secure_aggregation,
        budget=budget,
        say=progress,
    )


ACTIONS = {
    "simulate": _simulate,
    "certificates": _certificates,
    "coordinator": _coordinator,
    "site": _site,
}
