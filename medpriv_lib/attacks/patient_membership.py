"""Was this patient in the training set? The likelihood ratio attack (LiRA), per patient.

Carlini et al. (2022): train many shadow models, each on a random half of the patients. For one
patient, the models that saw the patient and those that did not give two clouds of confidences; a
normal curve is fitted to each, and the model under attack is placed by the ratio of the two
densities. Every shadow is attacked once, with all others as shadows.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.core.intervals import area
from medpriv_lib.measures.per_patient import Risk, risk

LEAST_SHADOWS = 64
LEVELS = (0.001, 0.01)  # of false positives
NAME = "membership per patient"
WIDTH = 1e-6  # the least spread of a cloud


@dataclass(frozen=True, eq=False)
class Membership:
    """What LiRA found: the `finding` (auc, tpr_0.1, tpr_1), the `ratio` (M, P) of every model and
    patient, and the `risk`: how often the attacker is right about each patient (half is guessing).
    """

    finding: Finding
    ratio: Float[np.ndarray, "m p"]
    risk: Risk


def lira(
    confidence: Float[np.ndarray, "m p"],
    inside: Bool[np.ndarray, "m p"],
    rng: np.random.Generator,
    least: int = LEAST_SHADOWS,
) -> Membership:
    """Attack each of M models for each of P patients, and say how often it told who was in.

    Knowledge: the attacker may ask the model about the patient's images with their label, knows how
    it was trained, and has trained models of the same kind on patients of the same hospital, this
    patient among them and not. `confidence` is each model's confidence in each patient's true
    labels, on the logit scale; `inside` which patients each model saw. Raises `ValueError` for
    fewer than `least` + 1 models and for a patient who was in, or out, fewer than three times.
    """
    m, patients = confidence.shape
    if inside.shape != confidence.shape or m <= least:
        raise ValueError(
            f"{m} models with {confidence.shape} confidences and {inside.shape} memberships: "
            f"LiRA needs one model more than {least} shadows, and one membership per confidence"
        )
    counts = inside.sum(axis=0)
    if counts.min() < 3 or (m - counts).min() < 3:
        raise ValueError("a patient was in, or out, fewer than three times; train more models")
    ratio = _log_normal(confidence, inside) - _log_normal(confidence, ~inside)
    flat, member = ratio.ravel(), inside.ravel()
    auc = area(flat, member)
    measures = {"auc": auc}
    for level in LEVELS:
        measures[f"tpr_{100 * level:g}"] = rate_at(flat, member, level)
    right = (ratio > 0) == inside
    who = np.tile(np.arange(patients), m)
    found = risk(right.ravel(), who, None, rng)
    outside = int((~member).sum())
    finding = Finding(
        NAME,
        knowledge_of(lira),
        measures,
        intervals={"auc": area_interval(ratio, inside, rng)},
        chance={"auc": 0.5} | {f"tpr_{100 * level:g}": level for level in LEVELS},
        n=int(flat.size),
        patients=patients,
        per_patient=found.per_patient(),
        note=(
            f"{outside} pairs of model and patient outside; .1 % of them are "
            f"{math.floor(0.001 * outside)}, of {patients} patients"
        ),
        kind="membership",
        target="member",
    )
    return Membership(finding, ratio, found)


def patient_confidence(
    logit: Float[np.ndarray, "m n"], ill: Bool[np.ndarray, " n"], patient: Int64[np.ndarray, " n"]
) -> Float[np.ndarray, "m p"]:
    """Return each model's mean logit of the true label over each patient's images (numbers
    ascending).
    """
    _, index, count = np.unique(patient, return_inverse=True, return_counts=True)
    signed = np.where(ill, 1.0, -1.0) * logit
    total = np.zeros((len(logit), len(count)))
    np.add.at(total.T, index, signed.T)
    return total / count


def rate_at(score: Float[np.ndarray, " n"], member: Bool[np.ndarray, " n"], level: float) -> float:
    """Return the share of members above the threshold that at most `level` of the others pass."""
    out = np.sort(score[~member])[::-1]
    allowed = math.floor(level * len(out))
    return float((score[member] > out[allowed]).mean())


def area_interval(
    ratio: Float[np.ndarray, "m p"],
    inside: Bool[np.ndarray, "m p"],
    rng: np.random.Generator,
    draws: int = 200,
) -> tuple[float, float]:
    """Return the 95 % interval of the area over patients, each with all models."""
    values = []
    for _ in range(draws):
        chosen = rng.integers(ratio.shape[1], size=ratio.shape[1])
        values.append(area(ratio[:, chosen].ravel(), inside[:, chosen].ravel()))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _log_normal(
    value: Float[np.ndarray, "m p"], chosen: Bool[np.ndarray, "m p"]
) -> Float[np.ndarray, "m p"]:
    """Return the log density of each value under the normal curve of the patient's chosen models,
    the value's own model left out.
    """
    own = chosen.astype(float)
    count = own.sum(axis=0) - own
    mean = ((value * own).sum(axis=0) - value * own) / count
    square = ((value**2 * own).sum(axis=0) - value**2 * own) / count
    spread = np.sqrt(np.maximum(square - mean**2, WIDTH**2))
    return -0.5 * ((value - mean) / spread) ** 2 - np.log(spread)
