"""A canary patient: a lower bound on epsilon from what an attacker really told apart.

Train many times with the canary and many times without, and guess from each model which it was.
(epsilon, delta) promises TPR <= e^epsilon FPR + delta; so rates that were reached bound epsilon
from below (Jagielski, Ullman, Oprea 2020). The rates are bounded by Clopper and Pearson (1934).
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import beta


@dataclass(frozen=True)
class LowerBound:
    """`epsilon` that holds with 95 % confidence; `tpr` and `fpr` as counted on `runs` models of
    each kind; `most` the largest epsilon that so many runs could show.
    """

    epsilon: float
    tpr: float
    fpr: float
    runs: int
    most: float


def clopper_pearson(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a rate; each end is passed with half of what is no confidence.

    Raises `ValueError` for more hits than trials.
    """
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"{hits} hits in {trials} trials; count again")
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(beta.ppf(1 - tail, hits + 1, trials - hits))
    return low, high


def bound_of(hits: int, false: int, trials: int, delta: float) -> float:
    """Return the epsilon below which no mechanism gives so many hits and so few false alarms.

    Both kinds of models may be called the positive one, so the better of both directions counts;
    the two rates share the 5 %.
    """

    def one(hits: int, false: int) -> float:
        low, high = clopper_pearson(hits, trials)[0], clopper_pearson(false, trials)[1]
        return math.log((low - delta) / high) if low > delta else 0.0

    return max(0.0, one(hits, false), one(trials - false, trials - hits))


def canary_bound(
    with_canary: Float[np.ndarray, " r"], without: Float[np.ndarray, " r"], delta: float
) -> LowerBound:
    """Bound epsilon from a number that each model gives away, larger where the canary was in.

    Knowledge: the attacker chose the canary's images and label, sees the whole model, and knows
    everything but whether the canary was in. The threshold is chosen on the first half of the
    models, and counted on the second. Raises `ValueError` for fewer than 20 models of a kind and
    for numbers of models that differ.
    """
    if len(with_canary) != len(without) or len(without) < 20:
        raise ValueError(
            f"{len(with_canary)} models with the canary and {len(without)} without: train as many "
            "of both, at least 20"
        )
    half = len(without) // 2
    threshold = _best(with_canary[:half], without[:half], delta)
    hits = int((with_canary[half:] > threshold).sum())
    false = int((without[half:] > threshold).sum())
    runs = len(without) - half
    return LowerBound(
        bound_of(hits, false, runs, delta), hits / runs, false / runs, runs,
        bound_of(runs, 0, runs, delta),
    )  # fmt: skip


def _best(high: np.ndarray, low: np.ndarray, delta: float) -> float:
    """Return the threshold that bounds epsilon best, one of 99 quantiles of all values."""
    both = np.concatenate([high, low])
    tried = np.quantile(both, np.linspace(0.01, 0.99, 99))
    bounds = [bound_of(int((high > t).sum()), int((low > t).sum()), len(low), delta) for t in tried]
    if max(bounds) == 0:
        return float(np.median(both))
    return float(tried[int(np.argmax(bounds))])
