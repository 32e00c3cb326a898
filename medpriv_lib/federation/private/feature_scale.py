"""Mean and spread of features, told once under differential privacy, and charged."""

import numpy as np
import torch
from jaxtyping import Float, Int64

FLOOR = 0.05  # of the public half-width: the least spread, so that noise makes no feature explode


def private_scale(
    features: Float[np.ndarray, "n f"],
    patient: Int64[np.ndarray, " n"],
    low: Float[np.ndarray, " f"],
    high: Float[np.ndarray, " f"],
    noise: float,
    generator: torch.Generator,
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"]]:
    """Return mean and standard deviation of each feature over patients: `Charge(noise, 1, 1,
    "statistics")`.

    `low` and `high` (F,) bound each feature and come from outside, from physics or from other
    people; what lies beyond is cut. A patient adds the mean over the images of u and u^2, with u
    the feature in -1..1: 2 F numbers of length at most sqrt(2 F), which is what the noise is
    measured in. The number of patients is taken as public. Raises `ValueError` where a bound is not
    above the other.
    """
    if not (high > low).all():
        raise ValueError("every feature needs a public upper bound above its lower one")
    half, middle = (high - low) / 2, (high + low) / 2
    u = np.clip((features - middle) / half, -1, 1)
    _, index, count = np.unique(patient, return_inverse=True, return_counts=True)
    each = np.zeros((len(count), 2 * u.shape[1]))
    np.add.at(each, index, np.hstack([u, u**2]))
    each /= count[:, None]
    scale = noise * np.sqrt(each.shape[1])
    drawn = torch.randn(each.shape[1], generator=generator, dtype=torch.float64).numpy()
    first, second = np.split((each.sum(axis=0) + scale * drawn) / len(count), 2)
    spread = np.sqrt(np.maximum(second - first**2, FLOOR**2))
    return middle + half * np.clip(first, -1, 1), half * spread
