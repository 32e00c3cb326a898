"""attack a folder made by `medpriv privatize` and write what was found

Reads DIR/share and DIR/keep: the linkage key is needed to know whether an attacker is right. The
attackers learn from the other images of the cohort, changed by the same method where it can be run
again. OUT/report.html names patients by random numbers; OUT/keep says who they are. Stopped at any
moment, the same command goes on where it was.

Examples:
  medpriv attack release/ --out attacked/                            the package's cohort, 2 minutes
  on 2 cores medpriv attack release/ --cohort xrays.npz --out attacked/         one's own images; no
  recogniser is asked medpriv attack release/ --cohort xrays.npz --weights my-weights/ --out
  attacked/
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np

from medpriv_lib.cli.options import load_cohort, note, require_parent, say
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release


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
        "--seed", type=int, default=0, help="of the attackers and of the patients' numbers"
    )


def run(args: argparse.Namespace) -> None:
    """Train the attackers, attack, write the report."""
    from dataclasses import replace

    from medpriv_lib.attacks.attackers import Attackers
    from medpriv_lib.attacks.registry import run as run_attacks
    from medpriv_lib.attacks.report import report_of, write_report
    from medpriv_lib.attacks.setting import Setting, Shared
    from medpriv_lib.core.sharing import read_release
    from medpriv_lib.core.weights import versions
    from medpriv_lib.measures.anonymity import audit
    from medpriv_lib.privatizers.registry import privatizers

    out = require_parent(args.out)
    release, order = read_release(args.release)
    if (
        out.resolve() == Path(args.release).resolve()
        or Path(args.release).resolve() in out.resolve().parents
    ):
        raise ValueError(
            f"{out}: the report does not belong into the release; name another folder with --out"
        )
    cohort = load_cohort(args.cohort)
    judges, vgan = _weights(args, cohort)
    rows = source_rows(release, cohort, args.release)
    scene, notes = scene_of(release, cohort, rows, vgan, args.seed)
    own = _own_folder(out) / "attackers"
    kept = own if args.attackers is None else require_parent(args.attackers)
    attackers = Attackers(cohort, kept, args.seed, advance=note)
    if judges is None:
        notes.append(
            "No recogniser of these patients was given (--weights), so the naive attack was not tried."
        )
    setting = Setting(
        [scene],
        attackers,
        release.method,
        release.parameters,
        privatizers().get(release.method),
        None if judges is None else judges.identity,
        args.seed,
        shared=Shared(release.images, rows, order),
    )
    given_away = replace(release, source=rows)  # all of it, also what was told to the attackers
    report = report_of(setting, run_attacks(setting), audit(given_away, cohort), notes=notes)
    write_report(
        report, out, {"data_hash": cohort.hash(), "seed": args.seed, "versions": versions()}
    )
    _write_key(out / "keep", cohort, report.numbers, np.unique(scene.patient))
    say(report.verdict())
    for warning in report.audit.warnings:
        say(f"warning: {warning}")
    say(
        f"written to {out}: report.html, report.json; {out / 'keep'} says which patient is which number"
    )


def _weights(args: argparse.Namespace, cohort: Cohort):
    """Return judges and generator of this cohort, or None twice where none are given for one's own
    cohort.
    """
    from medpriv_lib.pipeline.weights import load_weights

    if args.weights is None and args.cohort is not None:
        from medpriv_lib.core import weights

        if weights.read_card(weights.shipped("judges"))["data_hash"] != cohort.hash():
            return None, None
    judges, vgan, _ = load_weights(args.weights, cohort, "cpu")
    return judges, vgan


def source_rows(release: Release, cohort: Cohort, where: str) -> np.ndarray:
    """Return which row of the cohort each released image stands for.

    Raises `ValueError` where the release was not made from images of this cohort: an attack needs
    the originals.
    """
    try:
        names = np.array(release.parameters["source_patients"], dtype=np.str_)
        labels = np.array(release.parameters["source_labels"], dtype=bool)
    except KeyError as error:
        raise ValueError(
            f"{where}: the linkage key lacks {error}; make it with `medpriv privatize`"
        ) from error
    made_for = release.parameters.get("data_hash")
    if made_for is None or made_for == cohort.hash():
        for split in ("test", "train", "val", "all"):
            rows = np.flatnonzero((cohort.split == split) | (split == "all"))
            same = len(rows) == len(names) and np.array_equal(
                cohort.patient_names[cohort.patient[rows]], names
            )
            if same and (
                np.array_equal(cohort.diseased[rows], labels)
                or not release.parameters.get("labels_known", True)
            ):
                return rows[release.source]
    raise ValueError(
        f"{where}: not made from images of this cohort, so nobody can say what an attacker would know; "
        "name the cohort file that was privatised by --cohort"
    )


def scene_of(release: Release, cohort: Cohort, rows: np.ndarray, vgan, seed: int):
    """Return the scene of a release on disk, and what its attackers lack.

    Where the method can be run again, the attackers run it on all other images; else half of each
    patient's released images are told to them.
    """
    from medpriv_lib.attacks.scene import Scene, dealt
    from medpriv_lib.core.randomness import seeded

    others = np.setdiff1d(np.arange(len(cohort)), rows)
    method, known = method_again(release, cohort, vgan) if len(others) else None, None
    why = "it or its weights are not known here" if len(others) else "there were no other images"
    if method is not None:
        try:
            known = method.privatize(cohort.take(others), seeded(seed, "attacker", release.method))
        except ValueError as error:
            if release.parameters.get("form") != "release":
                raise
            why = str(error)  # too few other patients of a label to form a group; names nobody
    if known is None:
        lack = (
            f"The method could not be run again ({why}): the attackers learned from half of each patient's "
            "released images and attacked the rest."
        )
        return dealt(
            cohort, release.images, rows, release.contributors, np.random.default_rng(seed)
        ), [lack]
    return Scene(
        cohort,
        release.images,
        rows,
        known.images,
        others[known.source],
        release.contributors,
        known.contributors,
    ), []


def method_again(release: Release, cohort: Cohort, vgan):
    """Return the privatizer that made a release, ready to run, or None where it is unknown or
    cannot be had.
    """
    p = release.parameters
    if release.method == "blur" and "kernel" in p:
        from medpriv_lib.privatizers.blur import Blur

        return Blur(p["kernel"])
    if release.method == "k-same-select" and {"k", "form"} <= set(p):
        from medpriv_lib.privatizers.k_same import KSameSelect

        return KSameSelect(p["k"], form=p["form"]).fit(cohort.of("train"))
    if release.method == "pprl-vgan" and vgan is not None and "policy" in p:
        return vgan.with_policy(p["policy"])
    if release.method == "averaged" and vgan is not None and {"k", "policy"} <= set(p):
        from medpriv_lib.privatizers.averaging import Averaged

        return Averaged(vgan, p["k"], p["policy"])
    return None


def _own_folder(out: Path) -> Path:
    """Make the folder of the report; refuse one that holds something else."""
    if out.exists() and (
        not out.is_dir()
        or {path.name for path in out.iterdir()}
        - {"attackers", "keep", "report.html", "report.json"}
    ):
        raise ValueError(f"{out}: holds something else; name a new folder with --out")
    out.mkdir(exist_ok=True)
    return out


def _write_key(keep: Path, cohort: Cohort, numbers: np.ndarray, patients: np.ndarray) -> None:
    """Write which patient each neutral number is; only the owner can read it."""
    from medpriv_lib.core.files import atomic_write

    keep.mkdir(mode=0o700, exist_ok=True)
    with (
        atomic_write(keep / "patients.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["number", "patient"])
        table.writerows(
            sorted(
                (int(numbers[patient]), str(cohort.patient_names[patient])) for patient in patients
            )
        )
    os.chmod(keep / "patients.csv", 0o600)
