"""How well a vector of features tells the disease of patients whom the model never saw.

The models are trained and asked exactly as the disease judges of `recognition.crossfit` are, on the
same images of the same patients, so that both can stand in one table.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.recognition.crossfit import PAIRS, training_rows


def scores_of_unseen(
    vectors: Float[np.ndarray, "n f"],
    cohort: Cohort,
    fold: Int64[np.ndarray, " p"],
    make: Callable[[], Any],
) -> Float[np.ndarray, " t"]:
    """Return the probability of disease of the cohort's test images, in their order.

    `vectors` (N, F) describe the N images of `cohort`, `fold` (P,) is the fold 0..4 of each
    patient, and `make` returns a new model with `fit` and `predict_proba` as in scikit-learn. Ten
    models leave out two folds each; an image's score is the mean over the four that left out its
    patient. Raises `ValueError` where vectors, images or folds do not fit together.
    """
    if len(vectors) != len(cohort) or len(fold) != cohort.patients:
        raise ValueError(
            f"{len(vectors)} vectors and {len(fold)} folds for {len(cohort)} images of "
            f"{cohort.patients} patients; give one vector per image and one fold per patient"
        )
    test = np.flatnonzero(cohort.split == "test")
    total, asked = np.zeros(len(cohort)), np.zeros(len(cohort))
    for pair in PAIRS:
        rows = training_rows(cohort, fold, pair)
        unseen = test[np.isin(fold[cohort.patient[test]], pair)]
        if len(unseen) == 0:
            continue
        model = make().fit(vectors[rows], cohort.diseased[rows])
        total[unseen] += model.predict_proba(vectors[unseen])[:, 1]
        asked[unseen] += 1
    return total[test] / asked[test]
