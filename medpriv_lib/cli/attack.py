"""attack a folder made by `medpriv privatize` and write what was found

Reads DIR/share and DIR/keep: the linkage key is needed to know whether an attacker is right. The
attackers learn from the other images of the cohort, changed by the same method where it can be run
again. OUT/report.html names patients by random numbers; OUT/keep says who they are. Stopped at any
moment, the same command goes on where it was.

Examples:
  medpriv attack release/ --out attacked/
      the package's cohort, 2 minutes on 2 cores
  medpriv attack release/ --cohort xrays.npz --out attacked/
      one's own images; no recogniser is asked
  medpriv attack release/ --cohort xrays.npz --weights my-weights/ --out attacked/
  medpriv attack release/ --cohort archive/ --patients 300 --out attacked/
      of an archive, a sample of so many patients
"""

import argparse
from typing import TYPE_CHECKING

from medpriv_lib.cli.options import (
    add_seed,
    load_cohort,
    note,
    printing,
    progress,
    require_parent,
    say,
    whole,
)

if TYPE_CHECKING:
    from jaxtyping import Int64
    from numpy import ndarray

    from medpriv_lib.attacks.budget import Budget
    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.core.release import Release

STOPPED = "what was finished is kept, the same command goes on from there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("release", metavar="DIR")
    parser.add_argument(
        "--cohort", metavar="FILE", help="the originals (default: the package's cohort)"
    )
    parser.add_argument(
        "--weights",
        metavar="WEIGHTS",
        help="made by `medpriv fit` for that cohort (default: the "
        "package's for the package's cohort, else none)",
    )
    parser.add_argument(
        "--out", default="attacked", metavar="OUT", help="folder of the report (default attacked)"
    )
    parser.add_argument(
        "--attackers",
        metavar="FOLDER",
        help="where trained attackers are kept and found "
        "(default OUT/attackers); several releases of one cohort share those of the originals",
    )
    parser.add_argument(
        "--unbounded",
        action="store_true",
        help="spend on images of more than 128 pixels as many steps and images as on small ones; "
        "else no more arithmetic than at 128",
    )
    parser.add_argument(
        "--trial",
        type=whole(1, 1000),
        default=1,
        metavar="N",
        help="for a quick look: spend one part in N of the steps; a report that says little",
    )
    parser.add_argument(
        "--patients",
        type=whole(2, 1_000_000),
        metavar="N",
        help="of an archive, how many patients are attacked, whole groups at a time (default 300)",
    )
    add_seed(
        parser,
        "of the attackers' training and of an archive's sample (default 0); the patients' numbers "
        "have none",
    )


def run(args: argparse.Namespace, budget: "Budget | None" = None) -> None:
    """Train the attackers, attack, write the report; `budget` None is that of the study."""
    from medpriv_lib.attacks.budget import FULL
    from medpriv_lib.attacks.cost import cost_of_attack
    from medpriv_lib.core.pixels import size_of
    from medpriv_lib.core.sharing import refuse_inside
    from medpriv_lib.core.workplace import reserved
    from medpriv_lib.pipeline.attack import TRIAL, OtherCohort, attack, require_own_folder, rows_of

    out = require_parent(args.out)
    refuse_inside(out, "the report", args.release)
    require_own_folder(out)
    kept = None
    if args.attackers is not None:
        kept = require_parent(args.attackers)
        refuse_inside(kept, "what the attackers learned", args.release)
    with reserved(out):
        release, order, cohort, notes = _read(args)
        try:
            rows = rows_of(release, cohort)  # before the cost of an attack on it
            full = budget or FULL
            most = full.part(args.trial) if args.trial > 1 else full
            if args.trial > 1:
                notes.append(TRIAL.format(args.trial))
            spent = most if args.unbounded else most.within(size_of(cohort.images))
            if size_of(cohort.images) % 16 == 0:  # others are refused below, with the remedy
                lends = release.contributors.size > 0
                shown = len(set(rows.tolist()))
                progress(str(cost_of_attack(cohort, spent, full, lends, shown)))
            report = attack(
                release,
                cohort,
                weights=args.weights,
                out=out,
                keep=kept,
                order=order,
                seed=args.seed,
                budget=most,
                bounded=not args.unbounded,
                notes=notes,
                note=note,
            )
        except OtherCohort as error:
            raise ValueError(f"{args.release}: {error}") from error
    with printing(out):
        say(report.verdict())
        for warning in report.audit.warnings:
            say(f"warning: {warning}")
        say(
            f"written to {out}: report.html, report.json; {out / 'keep'} says which patient is "
            "which number"
        )


def _read(
    args: argparse.Namespace,
) -> "tuple[Release, Int64[ndarray, ' n'], Cohort, list[str]]":
    """Return the release, the order of its files, the originals, and what the report says first."""
    from medpriv_lib.core.sharing import read_release
    from medpriv_lib.data.archive.archive import Archive, is_archive
    from medpriv_lib.pipeline.archive.sample import (
        PATIENTS,
        is_release_of_archive,
        sample_release,
    )

    if args.cohort is not None and is_archive(args.cohort):
        found = sample_release(
            Archive.open(args.cohort), args.release, args.patients or PATIENTS, args.seed
        )
        say(found.note)
        return found.release, found.order, found.cohort, [found.note]
    if is_release_of_archive(args.release):
        raise ValueError(
            f"{args.release} is a release of an archive; name the folder of the archive that was "
            "privatised by --cohort"
        )
    if args.patients is not None:
        raise ValueError("--patients has a meaning for the release of an archive only")
    release, order = read_release(args.release)
    return release, order, load_cohort(args.cohort), []
