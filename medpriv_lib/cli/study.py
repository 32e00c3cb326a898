"""recompute the paper's table, printed beside the paper's numbers

Examples:
  medpriv study
      the shipped weights on the shipped cohort, 3 minutes on 2 cores
  medpriv study --out results/
      also table.csv, table.json and the figures
  medpriv study --attacks --out results/
      also attackers that were trained on the releases: attacks.json and the best attack of every
      row; two hours on one core, goes on where it was stopped
  medpriv study --attacks --attackers 3 --out results/
      attackers of three seeds; adds to what the line before has finished
  medpriv study --attacks --others 500 --only "blur/kernel 9" --out results/
      also attackers who learn from 500 other patients, rendered first: attacks-others.json
  medpriv study --attacks --doubled --only "blur/kernel 9" --out results/
      have the attackers flattened? this row with the whole budget and with twice of it:
      attacks-doubled.json; uses what the lines above have finished, goes on where it was stopped
  medpriv study --cohort crossed --out results/crossed
      the packaged cohort in which identity and disease are independent
  medpriv study --federated --out results/
      one recogniser from pooled images, of each site alone, and federated; an hour on one core
  medpriv study --federated --cohort my.npz --out runs/
      the network's rows on a cohort of one's own; federated-rows.json says nothing of single images
  medpriv study --pipeline --out results/
      the map: every technology in its place of the deep-radiomics pipeline; some minutes
  medpriv study --train --seeds 3 --out runs/
      everything from scratch; goes on where it was stopped
  medpriv study --cohort my.npz --out runs/ --scale small
      one's own cohort: trains, unless --weights names trained ones
"""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from medpriv_lib.cli.map import print_map
from medpriv_lib.cli.meaning import refuse_beside, refuse_of_training
from medpriv_lib.cli.options import (
    add_budget,
    add_seed,
    budget_of,
    printing,
    progress,
    require_device,
    require_parent,
    say,
    whole,
)

if TYPE_CHECKING:
    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.study.run import Study
    from medpriv_lib.study.table import Row

STOPPED = "what was finished is kept, the same command goes on from there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--out", metavar="DIR", help="folder for table, provenance and figures; made where missing"
    )
    parser.add_argument(
        "--cohort",
        metavar="FILE",
        help="made by `medpriv prepare`, or confounded or crossed: those that come with the "
        "package (default: confounded)",
    )
    parser.add_argument(
        "--weights", metavar="WEIGHTS", help="made by `medpriv fit` (default: the package's)"
    )
    parser.add_argument(
        "--draws",
        type=whole(1, 1000),
        metavar="N",
        help="random draws of the replacement identities (default 10)",
    )
    parser.add_argument("--train", action="store_true", help="train everything from scratch")
    parser.add_argument(
        "--seeds",
        type=whole(1, 100),
        default=1,
        metavar="N",
        help="with --train: this many trainings",
    )
    add_seed(parser, "of the draws, and of the first training (default 0)")
    parser.add_argument(
        "--attacks", action="store_true", help="also attack every release; needs --out"
    )
    parser.add_argument(
        "--attackers",
        type=whole(1, 100),
        default=1,
        metavar="N",
        help="seeds of the attackers (default 1)",
    )
    parser.add_argument(
        "--others",
        type=whole(0, 100_000),
        default=0,
        metavar="N",
        help="with --attacks: also attackers who learn "
        "from N synthetic patients outside the cohort (default 0: none)",
    )
    parser.add_argument(
        "--doubled",
        action="store_true",
        help="with --attacks and --only: instead, whether the attackers gain from twice the budget",
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="METHOD/SET",
        help="attack this row only; may be repeated",
    )
    parser.add_argument(
        "--federated",
        action="store_true",
        help="instead: one recogniser from pooled images, of each site alone, and federated; needs "
        "--out",
    )
    parser.add_argument(
        "--pipeline",
        action="store_true",
        help="instead: the map of technologies over the deep-radiomics pipeline; needs --out",
    )
    add_budget(parser)


def run(args: argparse.Namespace) -> None:
    """Run the study and print the table."""
    if args.federated or args.pipeline:
        _other_study(args)
        return
    from medpriv_lib.study.plan import Plan
    from medpriv_lib.study.run import run_study

    budget = budget_of(args)
    if args.attacks and args.out is None:
        raise ValueError("attackers need a folder that keeps what is finished; name one with --out")
    if (args.only or args.attackers != 1 or args.others or args.doubled) and not args.attacks:
        raise ValueError("--only, --attackers, --doubled and --others belong to --attacks")
    if args.doubled and (not args.only or args.attackers != 1 or args.others):
        raise ValueError(
            "--doubled attacks a few rows twice, by one seed: name them with --only, and leave out "
            "--attackers and --others"
        )
    require_device(args.device)
    only = _only(args.only)
    out = None if args.out is None else _new_folder(args.out)
    cohort = _cohort(args)
    if only is not None:  # refused before the study, which takes minutes
        Plan(only=only).rows(visits=cohort is None or cohort.visit is not None)
    refuse_of_training(args, args.train or (cohort is not None and args.weights is None))
    asked = (args.draws, args.seed, args.train, args.seeds, budget, args.device)
    study = run_study(cohort, args.weights, out, *asked)
    rows = study.rows if out is None else _attacked(args, study, cohort, out, only)
    with nullcontext() if out is None else printing(out):
        _print(study, rows)
        if out is not None:
            say(f"written to {out}: table.csv, table.json and figures")


def _print(study: "Study", rows: "Sequence[Row]") -> None:
    from medpriv_lib.attacks.best import render_attacks
    from medpriv_lib.data.packaged import disease_of
    from medpriv_lib.study.text import render, render_measures, render_notes
    from medpriv_lib.study.verdict import render_verdicts

    say(render(rows, disease_of(study.provenance["cohort"])))
    blocks = (render_measures(rows), render_attacks(rows), render_verdicts(rows))
    for more in (*blocks, render_notes(study.notes)):
        if more:
            say("\n" + more)
    explained = study.provenance.get("explained")
    if explained:
        say(
            "\nsigns, judge and SSIM: at most {draws} draws of the {with_signs} images with "
            "visible signs; relevance, sharp\nand KID: one draw; found: {eyes_looked_at} images of "
            "one draw; retrieval (in table.csv): {queries} queries".format(**explained)
        )


def _cohort(args: argparse.Namespace) -> "Cohort | None":
    """Return the cohort that is named, and fill in the weights of those that come with some."""
    from medpriv_lib.core import weights as store
    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.data.packaged import KINDS, packaged_cohort

    if args.cohort not in KINDS:
        return None if args.cohort is None else Cohort.load(args.cohort)
    own = store.FOLDER / args.cohort
    if args.weights is None and not args.train and own.is_dir():
        args.weights = own
    return packaged_cohort(args.cohort)


def _new_folder(path: str) -> Path:
    from medpriv_lib.core.files import require_no_file
    from medpriv_lib.core.sharing import refuse_inside

    out = require_no_file(require_parent(path))
    refuse_inside(out, "a study")
    return out


def _other_study(args: argparse.Namespace) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    which = ("federated", "cohort") if args.federated else ("pipeline",)
    refuse_beside(args, parser.parse_args([]), *which)
    if args.out is None:
        raise ValueError("this comparison needs a folder; name one with --out")
    if args.federated:
        _federated(args.out, args.cohort)
    else:
        print_map(_made(args.out))


def _made(out: str) -> Path:
    folder = _new_folder(out)
    folder.mkdir(exist_ok=True)
    return folder


def _federated(out: str, cohort: str | None) -> None:
    """Run the federated comparison, or what is left of it, and print its rows; `cohort` is a file,
    or the name of one that ships.
    """
    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.data.packaged import KINDS

    shipped = cohort is None or cohort in KINDS
    own = None if shipped else Cohort.load(str(cohort))
    folder = _made(out)
    try:
        from medpriv_lib.study.federated import measure

        kinds = tuple(kind for kind in KINDS if kind == (cohort or "crossed"))
        rows = measure(folder, progress, kinds, own=own)["rows"]
    except ImportError as error:
        raise ValueError(str(error)) from error
    for row in rows:
        if row.get("auc") is not None:
            say(
                "{cohort}, {arm} {dealt}: AUC {auc:.3f} ({auc_low:.3f} to {auc_high:.3f}), F1 "
                "{f1:.3f}, {seeds} seed(s)".format(**row)
            )
    say(f"written to {folder}: federated.json")


def _only(names: list[str] | None) -> tuple[tuple[str, str], ...] | None:
    """Return the rows to attack, (method, set) each, or None for all."""
    if names is None:
        return None
    pairs = tuple(tuple(name.split("/", 1)) for name in names)
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError('--only needs METHOD/SET, such as "blur/kernel 9"')
    return tuple((method, row) for method, row in pairs)


def _attacked(
    args: argparse.Namespace,
    study: "Study",
    cohort: "Cohort | None",
    out: Path,
    only: tuple[tuple[str, str], ...] | None,
) -> "Sequence[Row]":
    """Attack the releases where that is asked for, and return the rows with what attackers found,
    now or earlier.
    """
    from medpriv_lib.data.packaged import default_cohort
    from medpriv_lib.pipeline.weights import load_weights
    from medpriv_lib.study.attacks import read_attacks, run_attacks
    from medpriv_lib.study.plan import Plan
    from medpriv_lib.study.table import with_attacks, write_table

    cards = study.provenance.get("weights")
    if args.attacks:
        cohort = default_cohort() if cohort is None else cohort
        trained = args.train or (args.cohort is not None and args.weights is None)
        weights = out / f"seed-{args.seed}" / "weights" if trained else args.weights
        judges, vgan, cards = load_weights(weights, cohort, "cpu")
        plan = Plan(seeds=tuple(range(args.attackers)), only=only, seed=args.seed)
        folder = None if weights is None else Path(weights)
        if args.doubled:
            from medpriv_lib.study.doubled import render_doubled, run_doubled

            found = run_doubled(cohort, judges, vgan, out, plan, cards, weights=folder)
            with printing(out):
                say(render_doubled(found))
        else:
            run_attacks(cohort, judges, vgan, out, plan, cards, weights=folder)
        if args.others:
            from medpriv_lib.study.outsiders import run_others

            run_others(cohort, vgan, out, plan, cards, args.others, weights=folder)
    content = read_attacks(out)
    if content is None:
        return study.rows
    rows = with_attacks(study.rows, content, cards, study.provenance["data_hash"])
    write_table(rows, out, study.provenance, study.notes, study.paired)
    if args.attacks and not args.doubled:
        from medpriv_lib.study.figures.attackers import write_attack_figures

        write_attack_figures(rows, content, out)
    return rows
