"""Scores of images as cells of the table: mean or ratio, with an interval over patients."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.core.intervals import bootstrap, mean_interval

Score = Float[np.ndarray, " n"]


def mean_of(
    draws: Sequence[Score], patient: Int64[np.ndarray, " n"], name: str
) -> dict[str, float | None]:
    """Return mean and 95 % interval over patients of a score in percent.

    `draws` are the same N images in several random draws; a patient is resampled with all draws of
    all its images. nan are left out; None where nothing is left.
    """
    values, owner = np.concatenate(draws), np.tile(patient, len(draws))
    there = np.isfinite(values)
    if not there.any():
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    low, high = mean_interval(values[there], owner[there])
    return _percent(name, float(values[there].mean()), low, high)


def ratio_of(
    tops: Sequence[Score], bottoms: Sequence[Score], patient: Int64[np.ndarray, " n"], name: str
) -> dict[str, float | None]:
    """Return the ratio of two sums and its interval over patients in percent; None where the
    denominator is 0.
    """
    sums = np.stack([np.concatenate(tops), np.concatenate(bottoms)], axis=1)
    if len(sums) == 0 or sums[:, 1].sum() <= 0:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    low, high = bootstrap(
        sums, np.tile(patient, len(tops)), lambda total: total[:, 0] / total[:, 1]
    )
    return _percent(name, float(sums[:, 0].sum() / sums[:, 1].sum()), low, high)


def _percent(name: str, value: float, low: float, high: float) -> dict[str, float | None]:
    return {name: 100 * value, f"{name}_low": 100 * low, f"{name}_high": 100 * high}
