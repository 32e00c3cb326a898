"""What the fixed judges read from released images: the columns of the paper's Table 1, and ours
beside them.

The definitions, once for all methods (the patient that an image is to hide is its *source patient*;
the patients whose images were averaged or whose identity code was used are its *contributors*, the
source patient among them where that holds):

- identity hit: the identity judge names the source patient. Good when rare.
- replacement hit: the identity judge names any contributor, the source patient included where it is
  one. This is the paper's rule, "accuracy at identifying any of the used images" (Montenegro et al.
  2021, section 2.3).
- other-contributor hit: the identity judge names a contributor who is not the source patient. Good
  when rare.
- disease prediction: the label that the disease judge gives; the actual label is that of the source
  image.
- unseen disease prediction: the same from a judge that was trained without the source patient.
  `contributor_seen` marks the images for which no judge without all the contributors exists (an
  average over several folds of patients).

Replacement and other-contributor hits do not exist for methods without contributors (the original,
blur); the identity columns do not exist where the judges hold no identity network, because the test
patients are not in its training set (a split by patient). What does not exist is `None`, never
zero.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import f1_interval, mean_interval
from medpriv_lib.core.release import Release
from medpriv_lib.measures.measure import Cells, Column, Exam, Measure, Place
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.verdicts import Panel, Verdicts

RATES = (
    "identity_accuracy",
    "replacement_identity_accuracy",
    "other_contributor_accuracy",
    "disease_accuracy",
    "disease_f1",
    "disease_accuracy_unseen",
    "disease_f1_unseen",
)
HITS = {
    "identity_accuracy": "identity_hit",
    "replacement_identity_accuracy": "replacement_hit",
    "other_contributor_accuracy": "other_contributor_hit",
}
DISEASE = {"": "disease_predicted", "_unseen": "disease_predicted_unseen"}


def score(
    release: Release,
    cohort: Cohort,
    judges: Judges | Panel | None,
    verdicts: Verdicts | None = None,
) -> dict[str, Any]:
    """Return the outcome of every released image; the module's docstring defines them.

    `cohort` is the one that was privatised: `release.source` are its rows. A `Panel` reads an image
    that comes again only once; `verdicts` in hand spare asking at all. Arrays are (N,): `patient`
    int64, `actual`, `identity_hit`, `replacement_hit`, `other_contributor_hit`, `own_patient` (the
    source patient is a contributor), `disease_predicted`, `disease_predicted_unseen` and
    `contributor_seen` bool; `None` where it does not exist. Raises `ValueError` where the release
    does not stand for rows of this cohort.
    """
    source = release.source
    if len(source) == 0:
        raise ValueError("the release holds no image; there is nothing to score")
    if source.min() < 0 or source.max() >= len(cohort):
        raise ValueError(
            f"the release stands for row {source.max()} of a cohort of {len(cohort)} images; "
            "score it with the cohort that it was made from"
        )
    patient = cohort.patient[source]
    contributors = release.contributors
    if verdicts is None:
        if judges is None:
            raise ValueError("nothing says what the images show: give the judges or their verdicts")
        panel = judges if isinstance(judges, Panel) else Panel(judges)
        verdicts = panel.ask(release.images, patient, contributors)
    named, contributed = verdicts.identity, contributors.shape[1] > 0
    own = (contributors == patient[:, None]) & (contributors >= 0)
    hit = None if named is None else named == patient
    replaced = other = None
    if named is not None and contributed:
        match = contributors == named[:, None]  # -1 pads are never named
        replaced, other = match.any(1), (match & ~own).any(1)
    return {
        "patient": patient,
        "actual": cohort.diseased[source],
        "identity_hit": hit,
        "replacement_hit": replaced,
        "other_contributor_hit": other,
        "own_patient": own.any(1) if contributed else None,
        "disease_predicted": verdicts.disease,
        "disease_predicted_unseen": verdicts.unseen,
        "contributor_seen": verdicts.contributor_seen if contributed else None,
    }


def positive_f1(predicted: Bool[np.ndarray, " n"], actual: Bool[np.ndarray, " n"]) -> float:
    """Return the F1 score of the diseased class in 0..1; nan where nobody is diseased or called
    so.
    """
    hits = np.count_nonzero(predicted & actual)
    total = np.count_nonzero(predicted) + np.count_nonzero(actual)
    return 2 * hits / total if total else float("nan")


def summarise(draws: Sequence[dict[str, Any]], patients: int) -> dict[str, Any]:
    """Summarise the outcomes of one method over its random draws, in percent.

    `draws` are the results of `score`; `patients` is how many the identity judge tells apart. For
    every rate: its mean over draws, `<rate>_std` the standard deviation over draws (None for a
    single draw), `<rate>_low` and `<rate>_high` the 95 % interval from resampling patients with all
    their draws. Then `own_patient_rate` (the source patient is a contributor),
    `contributor_seen_rate`, `n` images per draw, `draws`, `test_patients`, `majority_rate` (what
    always answering the more frequent label scores) and `chance_identity`.
    """
    joined: dict[str, Any] = {
        key: None if value is None else np.concatenate([draw[key] for draw in draws])
        for key, value in draws[0].items()
    }
    row: dict[str, Any] = {}
    for rate in RATES:
        found = _rate(rate, draws, joined)
        if found is None or np.isnan(found[0]).all():
            row |= dict.fromkeys((rate, f"{rate}_std", f"{rate}_low", f"{rate}_high"))
            continue
        per_draw, interval = found
        row[rate] = 100 * float(np.nanmean(per_draw))
        row[f"{rate}_std"] = 100 * float(np.nanstd(per_draw, ddof=1)) if len(draws) > 1 else None
        row[f"{rate}_low"], row[f"{rate}_high"] = (
            None if np.isnan(end) else 100 * float(end) for end in interval
        )
    actual = draws[0]["actual"]
    for key, column in (
        ("own_patient", "own_patient_rate"),
        ("contributor_seen", "contributor_seen_rate"),
    ):
        row[column] = None if joined[key] is None else 100 * float(joined[key].mean())
    row |= {
        "n": len(actual),
        "draws": len(draws),
        "test_patients": len(np.unique(draws[0]["patient"])),
        "majority_rate": 100 * float(max(actual.mean(), 1 - actual.mean())),
        "chance_identity": None if joined["identity_hit"] is None else 100 / patients,
    }
    return row


def per_image(draws: Sequence[dict[str, Any]]) -> dict[str, Float[np.ndarray, "n ..."]]:
    """Return what each image adds to the paper's rates, by column: the mean over draws, (N,) in
    0..1, of "disease_f1" the summands 2 TP and called + actual, (N, 2), whose sums' ratio is the F1
    of all draws together.

    `draws` are the results of `score`, of the same images in the same order; a rate that does not
    exist is left out.
    """
    found = {
        rate: np.mean([draw[key] for draw in draws], axis=0)
        for rate, key in HITS.items()
        if draws[0][key] is not None
    }
    called = np.array([draw["disease_predicted"] for draw in draws])
    actual = np.asarray(draws[0]["actual"])
    shares = called.mean(axis=0)
    found["disease_accuracy"] = (called == actual).mean(axis=0)
    found["disease_f1"] = np.stack([2 * shares * actual, shares + actual], axis=1)
    return found


def _rate(
    rate: str, draws: Sequence[dict], joined: dict
) -> tuple[np.ndarray, tuple[float, float]] | None:
    """Return one rate per draw and its interval over patients, or None where the rate does not
    exist.
    """
    if rate in HITS:
        hits = joined[HITS[rate]]
        if hits is None:
            return None
        return np.array([draw[HITS[rate]].mean() for draw in draws]), mean_interval(
            hits, joined["patient"]
        )
    predicted = DISEASE["_unseen" if rate.endswith("_unseen") else ""]
    if joined[predicted] is None:
        return None
    if "_accuracy" in rate:
        right = joined[predicted] == joined["actual"]
        values = [(draw[predicted] == draw["actual"]).mean() for draw in draws]
        return np.array(values), mean_interval(right, joined["patient"])
    values = [positive_f1(draw[predicted], draw["actual"]) for draw in draws]
    return np.array(values), f1_interval(joined[predicted], joined["actual"], joined["patient"])


class VerdictRates(Measure):
    """What the fixed judges read: the paper's four rates, those of ours, counts and floors."""

    name = "verdicts"
    draws = None
    columns = (
        Column("identity_accuracy", spread="draws", place=Place.PAPER),
        Column("replacement_identity_accuracy", spread="draws", place=Place.PAPER),
        Column("other_contributor_accuracy", spread="draws", place=Place.OWN),
        Column("disease_accuracy", spread="draws", place=Place.PAPER),
        Column("disease_f1", spread="draws", place=Place.PAPER),
        Column("disease_accuracy_unseen", spread="draws", place=Place.OWN),
        Column("disease_f1_unseen", spread="draws", place=Place.OWN),
        Column("own_patient_rate", place=Place.OWN),
        Column("contributor_seen_rate", place=Place.OWN),
        Column("majority_rate", place=Place.OWN),
        Column("chance_identity", place=Place.OWN),
        Column("n", kind="count", place=Place.COUNT),
        Column("draws", kind="count", place=Place.COUNT),
        Column("test_patients", kind="count", place=Place.COUNT),
    )

    def cells(self, exam: Exam) -> Cells:
        """Return the rates over all draws."""
        test = self.ground.test
        outcomes = [score(release, test, self.ground.panel) for release in exam.drawn]
        exam.values.update(per_image(outcomes))
        return summarise(outcomes, test.patients)
