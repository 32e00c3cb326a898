"""Intervals that know that images of one patient are not independent: the bootstrap over patients.

A rate over 359 images of 115 patients is less certain than one over 359 patients. Patients, not
images, are drawn with replacement, each with all its images (the cluster bootstrap: Davison and
Hinkley 1997, section 3.8), and the interval is the 2.5 to 97.5 % range of the statistic.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int64

DRAWS = 1000
LEVEL = 0.95


def bootstrap(
    sums: Float[np.ndarray, "n s"],
    patient: Int64[np.ndarray, " n"],
    statistic: Callable[[Float[np.ndarray, "d s"]], Float[np.ndarray, " d"]],
    draws: int = DRAWS,
    generator: np.random.Generator | None = None,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the ends of the interval of a statistic that is a function of sums over images.

    `sums` (N,) or (N, S) are the summands of each image; `patient` (N,) whose it is; `statistic`
    maps the totals of every draw, (draws, S), to its values, (draws,). With the sums of each
    patient in a (P, S) matrix, all draws are one matrix product with how often each patient was
    drawn. Draws where the statistic is nan (no positive in F1) are left out; with nothing left both
    ends are nan. `generator` None means a fixed seed: an interval is a number of a table. Raises
    `ValueError` where nothing is given, or `draws` < 1.
    """
    if len(sums) == 0 or len(patient) != len(sums):
        raise ValueError(
            "a bootstrap needs at least one image and a patient for each, not "
            f"{len(patient)} patients for {len(sums)} images"
        )
    if draws < 1:
        raise ValueError(f"a bootstrap needs at least one draw, not {draws}")
    sums = np.asarray(sums, dtype=np.float64).reshape(len(sums), -1)
    generator = np.random.default_rng(0) if generator is None else generator
    _, index = np.unique(patient, return_inverse=True)
    patients = index.max() + 1
    totals = np.stack(
        [np.bincount(index, weights=column, minlength=patients) for column in sums.T], axis=1
    )
    times = generator.multinomial(patients, np.full(patients, 1 / patients), size=draws)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = statistic(times.astype(np.float64) @ totals)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_interval(
    values: np.ndarray,
    patient: Int64[np.ndarray, " n"],
    draws: int = DRAWS,
    generator: np.random.Generator | None = None,
) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `values` (N,), bool (an accuracy) or numbers, over
    patients.
    """
    values = np.asarray(values, dtype=np.float64)
    sums = np.stack([values, np.ones_like(values)], axis=1)
    return bootstrap(sums, patient, lambda total: total[:, 0] / total[:, 1], draws, generator)


def f1_interval(
    predicted: Bool[np.ndarray, " n"],
    actual: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    draws: int = DRAWS,
    generator: np.random.Generator | None = None,
) -> tuple[float, float]:
    """Return the 95 % interval of the positive F1 = 2 TP / (predicted positives + actual positives)
    over patients.
    """
    predicted, actual = np.asarray(predicted, dtype=bool), np.asarray(actual, dtype=bool)
    sums = np.stack([predicted & actual, predicted, actual], axis=1)
    return bootstrap(
        sums, patient, lambda total: 2 * total[:, 0] / (total[:, 1] + total[:, 2]), draws, generator
    )


def ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[index]


def area(score: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float:
    """Return the area under the ROC curve, a tie counting half; errors as of `auc_interval`."""
    if positive.all() or not positive.any():
        raise ValueError("an area under the ROC curve needs images of both labels")
    rank, count = ranks(score), int(positive.sum())
    return float((rank[positive].sum() - count * (count + 1) / 2) / (count * (~positive).sum()))


def auc_interval(
    scores: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    draws: int = DRAWS,
    generator: np.random.Generator | None = None,
) -> tuple[float, float]:
    """Return the 95 % interval of the area under the ROC curve over patients.

    The area is the share of pairs of a positive and a negative image of which the positive has the
    higher score (a tie counts half). A pair counts as often as both its patients were drawn, so all
    draws are two products with the matrix of each two patients' pairs. A draw without both labels
    is left out. Raises what `bootstrap` raises, and `ValueError` where all images have one label.
    """
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if positive.all() or not positive.any():
        raise ValueError("an area under the ROC curve needs images of both labels")
    patients, index = np.unique(patient, return_inverse=True)
    high, low = scores[positive, None], scores[None, ~positive]
    won = (high > low) + 0.5 * (high == low)
    pairs = np.zeros((len(patients), len(patients)))
    np.add.at(pairs, (index[positive, None], index[None, ~positive]), won)
    count = [np.bincount(index[rows], minlength=len(patients)) for rows in (positive, ~positive)]

    def area(times: Float[np.ndarray, "d p"]) -> Float[np.ndarray, " d"]:
        return ((times @ pairs) * times).sum(axis=1) / (times @ count[0]) / (times @ count[1])

    return bootstrap(np.eye(len(patients)), np.arange(len(patients)), area, draws, generator)


def resampled(
    statistic: Callable[[Int64[np.ndarray, " m"]], float],
    patient: Int64[np.ndarray, " n"],
    draws: int = DRAWS,
    generator: np.random.Generator | None = None,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the interval of any statistic over patients, where it is no function of sums.

    `statistic` maps rows, int64 (M,), to a number; patients are drawn with replacement, each with
    all its rows. Slower than `bootstrap`: the statistic is computed once for each draw. Draws where
    it is nan are left out; with nothing left both ends are nan. Raises `ValueError` where nothing
    is given, or `draws` < 1.
    """
    if len(patient) == 0 or draws < 1:
        raise ValueError(
            f"a bootstrap needs images and draws, not {len(patient)} images and {draws} draws"
        )
    generator = np.random.default_rng(0) if generator is None else generator
    _, index = np.unique(patient, return_inverse=True)
    rows = [np.flatnonzero(index == number) for number in range(index.max() + 1)]
    values = np.array(
        [
            statistic(
                np.concatenate([rows[k] for k in generator.integers(len(rows), size=len(rows))])
            )
            for _ in range(draws)
        ]
    )
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired(
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    draws: int = DRAWS,
    generator: np.random.Generator | None = None,
) -> tuple[float, float, float]:
    """Return by how much the mean of `first` exceeds that of `second`, and the 95 % interval of it.

    Both are (N,), of the same images in the same order: what an image does to both methods alike
    cancels out, so that two methods whose own intervals overlap may still differ clearly. Images
    where either is nan are left out; nan where none is left. Raises `ValueError` for lengths that
    differ.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not first.shape == second.shape == np.shape(patient):
        raise ValueError(
            f"pairs need one value of each and a patient per image, not {first.shape}, "
            f"{second.shape} and {np.shape(patient)}"
        )
    difference = first - second
    there = np.isfinite(difference)
    if not there.any():
        return float("nan"), float("nan"), float("nan")
    low, high = mean_interval(difference[there], np.asarray(patient)[there], draws, generator)
    return float(difference[there].mean()), low, high


def mean_per_patient(
    values: np.ndarray, patient: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " p"], Float[np.ndarray, " p"], Int64[np.ndarray, " p"]]:
    """Return the patients' numbers, ascending, the mean of each one's `values` (N,), bool or
    numbers, and how many there were.
    """
    numbers, index, count = np.unique(patient, return_inverse=True, return_counts=True)
    means = np.bincount(index, weights=np.asarray(values, dtype=np.float64)) / count
    return numbers, means, count


def rate_per_patient(values: np.ndarray, patient: Int64[np.ndarray, " n"]) -> dict[int, float]:
    """Return patient number -> mean of the patient's values (N,), bool or numbers; ascending."""
    numbers, means, _ = mean_per_patient(values, patient)
    return dict(zip(numbers.tolist(), means.tolist(), strict=True))
