"""Was this patient in the training? Somebody who may ask the model looks at the patient's loss."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.attacks.table.rate import Rate
from medpriv_lib.core.intervals import area, resampled

KNOWS = "the model, and the very images of the patient that may have been in the training"
DRAWS = 200


def member(
    models: Sequence[Callable[[Float[np.ndarray, "n f"]], Float[np.ndarray, " n"]]],
    inside: Sequence[Int64[np.ndarray, " p"]],
    features: Float[np.ndarray, "n f"],
    diseased: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
) -> Rate:
    """Rank patients by the mean loss of their images under each model, and return the area under
    the ROC curve of "was inside" over pairs of a model and a patient.

    `models` map vectors to logits of disease, each scaled to the median of its absolute logits, so
    that a model that is merely surer than another one tells nothing; `inside` (P,) are the patients
    of each training. Pairs of one model are compared with each other only.
    """
    numbers, index = np.unique(patient, return_inverse=True)
    count = np.bincount(index)
    sign = np.where(diseased, 1.0, -1.0)
    score, was = np.empty((len(models), len(numbers))), np.empty((len(models), len(numbers)), bool)
    for row, (model, own) in enumerate(zip(models, inside, strict=True)):
        logit = model(features)
        logit = 2 * logit / max(float(np.median(np.abs(logit))), 1e-12)
        loss = np.bincount(index, weights=np.logaddexp(0, -sign * logit)) / count
        # compared within a model alone: ranks are the same scale for all
        score[row] = -loss.argsort().argsort() / len(loss)
        was[row] = np.isin(numbers, own)

    def statistic(columns: np.ndarray) -> float:
        values = [
            area(score[row][columns], was[row][columns])
            for row in range(len(models))
            if 0 < was[row][columns].sum() < len(columns)
        ]
        return float(np.mean(values)) if values else float("nan")

    everybody = np.arange(len(numbers))
    low, high = resampled(statistic, everybody, DRAWS)
    pairs = score.size
    return Rate(
        "membership, AUC",
        KNOWS,
        statistic(everybody),
        low,
        high,
        0.5,
        pairs,
        "pairs of model and patient",
    )
