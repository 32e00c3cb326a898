"""score a folder made by `medpriv privatize`

Needs DIR/keep: only who holds the linkage key can count how often the patient is still named.

Examples:
  medpriv evaluate release/
  medpriv evaluate release/ --cohort my.npz --weights my-weights/
"""

import argparse

import numpy as np

from medpriv_lib.cli.options import load_cohort, number_patients, say
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release


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
    from dataclasses import replace

    from medpriv_lib.core.sharing import read_release
    from medpriv_lib.measures.scores import RATES, score, summarise
    from medpriv_lib.pipeline.weights import load_weights

    release, _ = read_release(args.release)
    cohort = load_cohort(args.cohort)
    made_for = release.parameters.get("data_hash")
    if made_for is not None and made_for != cohort.hash():
        raise ValueError(
            f"{args.release}: made with the cohort {made_for}, but the one given is {cohort.hash()}; "
            "name the cohort that it was made with by --cohort"
        )
    judges, _, _ = load_weights(args.weights, cohort, "cpu")
    sources, strangers = source_cohort(release, cohort, args.release)
    if strangers:  # the identity judge cannot know them, and every disease judge is unseen
        judges = replace(judges, identity=None, crossfit=None)
    row = summarise([score(release, sources, judges)], cohort.patients)
    say(f"{release.method}: {row['n']} images of {row['test_patients']} patients")
    for rate in RATES:
        if row[rate] is not None:
            low, high = row[f"{rate}_low"], row[f"{rate}_high"]
            say(
                f"{rate:<32}{row[rate]:>8.2f} %"
                + ("" if low is None else f"   95 % {low:.2f} to {high:.2f}")
            )
    say(f"{'majority_rate':<32}{row['majority_rate']:>8.2f} %")
    if row["chance_identity"] is not None:
        say(f"{'chance_identity':<32}{row['chance_identity']:>8.2f} %")
    if strangers:
        say(
            "identity columns are empty: these patients are not among those that the identity judge knows"
        )
    if not release.parameters.get("labels_known", True):
        say("the labels are the disease judge's own reading of the originals, not a diagnosis")


def source_cohort(release: Release, cohort: Cohort, where: str) -> tuple[Cohort, bool]:
    """Return patients and labels of the sources in the numbering of `cohort`, and whether some are
    strangers to it.
    """
    try:
        names = np.array(release.parameters["source_patients"], dtype=np.str_)
        labels = np.array(release.parameters["source_labels"], dtype=bool)
    except KeyError as error:
        raise ValueError(
            f"{where}: the linkage key lacks {error}; make it with `medpriv privatize`"
        ) from error
    numbers, extended = number_patients(names, cohort)
    n = len(names)
    sources = Cohort(
        np.zeros((n, 1, 1), np.uint8), numbers, np.full(n, ""), labels, np.full(n, "test"), extended
    )
    return sources, len(extended) > cohort.patients
