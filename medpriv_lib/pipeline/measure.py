"""What fixed judges read from a release: every rate with its interval."""

import os
from dataclasses import dataclass, replace

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.measures.scores import RATES, score, summarise
from medpriv_lib.pipeline.privatize import number_patients
from medpriv_lib.pipeline.weights import load_weights


@dataclass(frozen=True)
class Measured:
    """What judges read from one release: `row` as of `measures.scores.summarise`, in percent.

    `strangers`: some patients are not among those that the identity judge knows, so there are no
    identity rates; `labelled`: the labels are known, not read by a judge.
    """

    method: str
    row: dict[str, float | int | None]
    strangers: bool
    labelled: bool

    def text(self) -> str:
        """Return every rate that exists with its interval, a line each."""
        row = self.row
        lines = [f"{self.method}: {row['n']} images of {row['test_patients']} patients"]
        for rate in (*RATES, "majority_rate", "chance_identity"):
            if row[rate] is not None:
                low, high = row.get(f"{rate}_low"), row.get(f"{rate}_high")
                interval = "" if low is None else f"   95 % {low:.2f} to {high:.2f}"
                lines.append(f"{rate:<32}{row[rate]:>8.2f} %{interval}")
        if self.strangers:
            lines.append(
                "identity columns are empty: these patients are not among those that the identity "
                "judge knows"
            )
        if not self.labelled:
            lines.append(
                "the labels are the disease judge's own reading of the originals, not a diagnosis"
            )
        return "\n".join(lines)


def measure(
    release: Release,
    cohort: Cohort,
    *,
    weights: str | os.PathLike | None = None,
    device: str | None = "cpu",
) -> Measured:
    """Return what the judges of `cohort` read from a release.

    The release was made from images of `cohort`, or with it as its gallery. `weights` is a folder
    made by `fit`, None means the shipped ones. Raises `ValueError` for a release of another cohort
    and for weights that are not of this one.
    """
    sources, strangers = sources_of(release, cohort)
    judges, _, _ = load_weights(weights, cohort, device)
    if strangers:  # the identity judge cannot know them, and every disease judge is unseen
        judges = replace(judges, identity=None, crossfit=None)
    row = summarise([score(release, sources, judges)], cohort.patients)
    return Measured(release.method, row, strangers, release.parameters.get("labels_known", True))


def sources_of(release: Release, cohort: Cohort) -> tuple[Cohort, bool]:
    """Return patients and labels of the given images in the numbering of `cohort`, and whether
    some are not among its patients. Raises `ValueError` for a release of another cohort.
    """
    given = release.given
    made_with = release.parameters.get("data_hash")
    if given is None:
        raise ValueError("this release does not say which images it was made from; make it again")
    if made_with is None:
        release.rows_in(cohort)  # raises for another cohort
    elif made_with != cohort.hash():
        raise ValueError(
            f"made with the cohort {made_with}, but the one given is {cohort.hash()}; name the "
            "cohort that it was made with by --cohort"
        )
    numbers, extended = number_patients(given.patient, cohort)
    n = len(numbers)
    nothing = np.zeros((n, 1, 1), np.uint8)
    blank, test = np.full(n, ""), np.full(n, "test")
    sources = Cohort(nothing, numbers, blank, given.diseased, test, extended)
    return sources, len(extended) > cohort.patients
