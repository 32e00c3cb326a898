"""Private aggregation of teacher ensembles: many teachers, one noised vote, a student.

Papernot et al. (2017, 2018). Patients are dealt to teachers, each patient to one, so that a patient
can change one vote. A student asks about public images without labels and learns from the noised
votes; only the student is released. With two classes one count suffices: the votes for disease,
which one patient changes by at most one. So Q questions are Q noised sums of sensitivity 1, and
that is what is charged; the papers' bound that depends on the data is smaller where teachers agree,
but would itself have to be kept secret or noised.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.promise import Promise
from medpriv_lib.federation.private.accountant import Charge

PROMISE = Promise(
    "whether a patient taught",
    "everybody who gets the student",
    "the aggregator who counts the votes; public images like the patients'",
    "the teachers themselves, which must not leave; the public people, who are not protected",
)


def charge(noise: float, questions: int) -> Charge:
    """Return what so many noised votes cost a patient."""
    return Charge(noise, 1.0, questions)


def teachers(
    features: Float[np.ndarray, "n f"],
    diseased: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    count: int,
    make: Callable[[], Any],
    generator: torch.Generator,
) -> list[Any]:
    """Return `count` models, each fitted on patients of its own.

    `make` returns a new model with `fit` and `predict` as in scikit-learn. A teacher whose patients
    have one label votes for that label. Raises `ValueError` for fewer patients than teachers.
    """
    numbers = np.unique(patient)
    if not 1 <= count <= len(numbers):
        raise ValueError(
            f"{count} teachers for {len(numbers)} patients: each needs a patient of its own"
        )
    order = numbers[torch.randperm(len(numbers), generator=generator).numpy()]
    found = []
    for own in np.array_split(order, count):
        rows = np.isin(patient, own)
        labels = diseased[rows]
        one_label = labels.all() or not labels.any()
        found.append(Always(bool(labels[0])) if one_label else make().fit(features[rows], labels))
    return found


class Always:
    """A teacher that has seen one label."""

    def __init__(self, label: bool) -> None:
        """Remember the label."""
        self.label = label

    def predict(self, features: Float[np.ndarray, "n f"]) -> Bool[np.ndarray, " n"]:
        """Return that label for every vector."""
        return np.full(len(features), self.label)


def votes(models: list[Any], public: Float[np.ndarray, "q f"]) -> Float[np.ndarray, " q"]:
    """Return how many teachers call each public vector diseased. Secret until it is noised."""
    return np.sum([np.asarray(model.predict(public), float) for model in models], axis=0)


def noised_labels(
    count: Float[np.ndarray, " q"], models: int, noise: float, generator: torch.Generator
) -> Bool[np.ndarray, " q"]:
    """Return whether the noised count exceeds half of the teachers, for each question.

    Normal noise of standard deviation `noise`: a patient changes a count by at most 1.
    """
    drawn = torch.randn(len(count), generator=generator, dtype=torch.float64).numpy()
    return count + noise * drawn > models / 2
