"""How much of a feature belongs to the subject, and how much to the single photograph."""

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.core.not_applicable import NotApplicable


def intraclass_correlation(
    values: Float[np.ndarray, "n f"], subject: Int64[np.ndarray, " n"]
) -> Float[np.ndarray, " f"]:
    """Return ICC(1, 1) of each feature: one-way random effects, single measurement (Shrout and
    Fleiss 1979, Psychological Bulletin 86:420).

    (MSB - MSW) / (MSB + (m - 1) MSW), with the mean squares between and within subjects and m the
    measurements of each; where their numbers m_i differ, m = (n - sum m_i^2 / n) / (subjects - 1).
    1: all photographs of a subject give one value; 0: two photographs of one subject are no more
    alike than those of two. Estimates can lie below 0. `values` (N, F) are measurements, `subject`
    (N,) whose each is; subjects are drawn at random from many, and the photographs of one are
    interchangeable. NaN for a feature that never varies. Raises `NotApplicable` for less than two
    subjects, and where no subject has two measurements.
    """
    if values.ndim != 2 or len(subject) != len(values):
        raise ValueError(
            f"values must be (N, F) with a subject each, not {values.shape} with {len(subject)}"
        )
    _, index, times = np.unique(subject, return_inverse=True, return_counts=True)
    n, subjects = len(values), len(times)
    if subjects < 2 or n == subjects:
        raise NotApplicable(
            f"an intraclass correlation compares several photographs of each of several subjects; "
            f"here are {n} of {subjects}"
        )
    values = values - values.mean(axis=0)  # differences of large numbers would lose digits
    sums = np.zeros((subjects, values.shape[1]))
    np.add.at(sums, index, values)
    means = sums / times[:, None]
    between = (times[:, None] * means**2).sum(axis=0) / (subjects - 1)
    within = ((values - means[index]) ** 2).sum(axis=0) / (n - subjects)
    m = (n - (times**2).sum() / n) / (subjects - 1)
    total = between + (m - 1) * within
    varies = np.ptp(values, axis=0) > 0
    return np.where(varies, (between - within) / np.where(varies, total, 1), np.nan)
