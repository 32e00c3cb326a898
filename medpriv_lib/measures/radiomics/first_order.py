"""First-order features: what the grey levels of a region are, without where they lie.

IBSI reference manual, 3.3 (intensity-based statistics). Any shuffling of the pixels leaves them as
they are.
"""

import numpy as np
from jaxtyping import Bool, Float, Real

from medpriv_lib.measures.radiomics.table import features
from medpriv_lib.measures.radiomics.undefined import refuse

FIRST_ORDER = features(
    "first order",
    "mean, Q4LE, stat_mean, grey",
    "variance, ECT3, stat_var, grey2",
    "skewness, KE2M, stat_skew,",
    "excess kurtosis, IPH6, stat_kurt,",
    "median, Y12H, stat_median, grey",
    "minimum, 1GSF, stat_min, grey",
    "10th percentile, QG58, stat_p10, grey",
    "90th percentile, 8DWT, stat_p90, grey",
    "maximum, 84IY, stat_max, grey",
    "interquartile range, SALO, stat_iqr, grey",
    "range, 2OJQ, stat_range, grey",
    "mean absolute deviation, 4FUA, stat_mad, grey",
    "robust mean absolute deviation, 1128, stat_rmad, grey",
    "median absolute deviation, N72L, stat_medad, grey",
    "coefficient of variation, 7TET, stat_cov,",
    "quartile coefficient of dispersion, 9S40, stat_qcod,",
    "energy, N8CA, stat_energy, grey2",
    "root mean square, 5ZWQ, stat_rms, grey",
)

ZERO = (
    "the region has {}; check the mask, leave the image out, or leave first order out of families"
)


def first_order(
    images: Real[np.ndarray, "n h w"], masks: Bool[np.ndarray, "n h w"]
) -> Float[np.ndarray, "n 18"]:
    """Return the eighteen features of `FIRST_ORDER` for each image's region (not empty).

    Raises `NotApplicable` where a region has one grey level, or where a ratio would divide by a
    mean or by a sum of quartiles that is 0.
    """
    n, inside = len(images), masks.reshape(len(masks), -1)
    x = images.reshape(n, -1).astype(np.float64)
    count = inside.sum(axis=1)

    def mean(values: np.ndarray, over: np.ndarray = inside) -> np.ndarray:
        return np.where(over, values, 0).sum(axis=1) / over.sum(axis=1)

    ordered = np.sort(np.where(inside, x, np.inf), axis=1)  # the region first, then infinities
    p10, p25, median, p75, p90 = (_quantile(ordered, count, q) for q in (0.1, 0.25, 0.5, 0.75, 0.9))
    low, high = ordered[:, 0], ordered[np.arange(n), count - 1]
    average = mean(x)
    away = x - average[:, None]
    variance = mean(away**2)
    refuse(low == high, ZERO.format("one grey level, so that skewness is 0 / 0"))
    refuse(average == 0, ZERO.format("a mean of 0, which the coefficient of variation divides by"))
    refuse(
        p25 + p75 == 0, ZERO.format("quartiles that sum to 0, which their dispersion divides by")
    )
    middle = inside & (x >= p10[:, None]) & (x <= p90[:, None])
    square = mean(x**2)
    columns = [
        average,
        variance,
        mean(away**3) / variance**1.5,
        mean(away**4) / variance**2 - 3,
        median,
        low,
        p10,
        p90,
        high,
        p75 - p25,
        high - low,
        mean(np.abs(away)),
        mean(np.abs(x - mean(x, middle)[:, None]), middle),
        mean(np.abs(x - median[:, None])),
        np.sqrt(variance) / average,
        (p75 - p25) / (p75 + p25),
        square * count,
        np.sqrt(square),
    ]
    return np.stack(columns, axis=1)


def _quantile(ordered: np.ndarray, count: np.ndarray, q: float) -> np.ndarray:
    """Return a quantile of the first `count` values of each ordered row, linear between them."""
    rows, place = np.arange(len(ordered)), q * (count - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, count - 1)
    share = place - below
    return ordered[rows, below] * (1 - share) + ordered[rows, above] * share
