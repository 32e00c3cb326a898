"""Which hospital treats this patient? Somebody who sees what the sites send looks for the patient's
own gradient in it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.attacks.table.rate import Hits

ATTACK = "hospital named"
RIDGE = 1e-2  # of the mean diagonal
KNOWS = "another photograph of the patient with its label, and all that reaches the coordinator"


def treated_where(
    rounds: Sequence[tuple[Float[np.ndarray, " g"], Sequence[Float[np.ndarray, " g"]]]],
    treated: Sequence[Int64[np.ndarray, " p"]],
    patients: Int64[np.ndarray, " q"],
    gradients: Callable[[Float[np.ndarray, " g"]], Float[np.ndarray, "q g"]],
) -> Hits:
    """Return how often the attacker names the site that a patient is treated at.

    `rounds` holds the model and the sites' sums of every round; a coordinator who sees one sum
    alone has the same sum for every site, and guesses. `treated` (P,) are the patients of each
    site; `gradients` maps a model to the gradient on the attacker's photographs of each of the
    `patients` (Q,), ascending. A site's sum is a sum of its patients' gradients, so the attacker
    asks by least squares which patients' gradients, over all rounds and numbers, add up to it (with
    a small ridge), and names for each patient the site where its share is largest.
    """
    numbers = patients
    place = np.full(len(numbers), -1)
    for site, own in enumerate(treated):
        place[np.isin(numbers, own)] = site
    parts, targets = [], []
    for model, sums in rounds:
        parts.append(gradients(model).T)
        shown = np.stack(sums) if len(sums) == len(treated) else np.stack([sums[0]] * len(treated))
        targets.append((shown - shown.mean(axis=0)).T)
    known, target = np.concatenate(parts), np.concatenate(targets)
    square = known.T @ known
    ridge = RIDGE * np.trace(square) / len(square) * np.eye(len(square))
    score = np.linalg.solve(square + ridge, known.T @ target)
    there = place >= 0
    # equal scores are a guess: the largest site
    largest = int(np.argmax([len(own) for own in treated]))
    flat = np.ptp(score, axis=1) < 1e-12
    guess = np.where(flat, largest, score.argmax(axis=1))
    chance = float((place[there] == largest).mean())
    return Hits((guess == place)[there], numbers[there], chance)
