"""What a training costs in epsilon: two accountants that share no code and must agree.

Opacus composes privacy loss random variables (Gopi, Lee, Wutschitz 2021), Google's dp-accounting
privacy loss distributions (Koskela et al. 2020). Both count for data sets that differ by one
patient who is there or not, drawn by Poisson sampling.
"""

import contextlib
import functools
import logging
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from scipy.optimize import brentq

from medpriv_lib.core.extra import PRIVATE

AGREEMENT = 0.02  # of the smaller: more is a fault of one of them
SMALL = 1e-3  # epsilons that differ by less agree, however small both are
FINE, COARSEST, FINEST = 0.002, 0.01, 5e-4  # how exact the composition is made, of epsilon
LARGE = 100.0  # above, moments say enough: no digit matters any more
NARROW = 0.002  # of the noise multiplier
MOST_NOISE = 1e6
How = Literal["prv", "pld"]
Kind = Literal["training", "tuning", "statistics"]


@dataclass(frozen=True)
class Charge:
    """What was released about the patients: `steps` noised sums, each over patients drawn with
    probability `rate`, with this `noise` multiplier; `kind` says for what.

    A statistic that is told once is one step with rate 1. Noise 0 is an epsilon without bound.
    Raises `ValueError` for numbers out of range.
    """

    noise: float
    rate: float
    steps: int
    kind: Kind = "training"

    def __post_init__(self) -> None:
        """Refuse what nobody could account for."""
        if not (self.noise >= 0 and 0 < self.rate <= 1 and self.steps >= 1):
            raise ValueError(
                f"noise {self.noise}, rate {self.rate}, {self.steps} steps: a charge has a noise "
                "of at least 0, a rate above 0 and up to 1, and at least one step"
            )
        if self.kind not in ("training", "tuning", "statistics"):
            raise ValueError(f"a charge is for training, tuning or statistics, not {self.kind!r}")


Cost = Callable[[Sequence[Charge], float], float]  # the epsilon of charges at a delta
Counting = Callable[[Sequence[Charge], float, How], float]  # the same by one of the accountants


def epsilon(charges: Sequence[Charge], delta: float, how: How = "prv") -> float:
    """Return the epsilon of all charges together at this delta: "prv" by Opacus, "pld" by
    dp-accounting; 0 for no charge, infinite for one without noise.

    Where epsilon is above 100 both count by Rényi moments (Mironov 2017), which are somewhat
    larger. Raises `ValueError` for a delta outside 0..1.
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie between 0 and 1, not {delta}; 1 / patients is usual")
    if not charges:
        return 0.0
    if any(charge.noise == 0 for charge in charges):
        return math.inf
    bound = by_moments(charges, delta, how)
    if bound > LARGE:
        return bound
    return _opacus(charges, delta, bound) if how == "prv" else _google(charges, delta)


def agreed(charges: Sequence[Charge], delta: float, count: Counting = epsilon) -> float:
    """Return the larger of both accountants' epsilons, each as `count` counts.

    Raises `ArithmeticError` where they differ by more than 2 %: then one of them is wrong, and
    nobody should train on.
    """
    return _agreed(tuple(charges), delta, count)


@functools.lru_cache(maxsize=64)
def _agreed(charges: tuple[Charge, ...], delta: float, count: Counting) -> float:
    """Ask both once for the same charges: sites with the same ledger ask the same."""
    one, other = (count(charges, delta, how) for how in get_args(How))
    if one != other and abs(one - other) > max(SMALL, AGREEMENT * min(one, other)):
        raise ArithmeticError(
            f"Opacus says epsilon {one:.4f} and dp-accounting {other:.4f} for the same charges; "
            "train no further, and compare the versions of both packages with requirements.txt"
        )
    return max(one, other)


def by_moments(charges: Sequence[Charge], delta: float, how: How = "prv") -> float:
    """Return the larger, simpler bound from Rényi moments: "prv" by Opacus, "pld" by
    dp-accounting.
    """
    if how == "prv":
        accountant = PRIVATE.need("opacus.accountants").RDPAccountant()
        accountant.history = _history(charges)
        with _quietly():
            return float(accountant.get_epsilon(delta))
    accountant = PRIVATE.need("dp_accounting.rdp").RdpAccountant()
    with _quietly():
        for event in _events(charges):
            accountant.compose(event)
        return float(accountant.get_epsilon(delta))


def noise_for(
    target: float,
    delta: float,
    rate: float,
    steps: int,
    before: Sequence[Charge] = (),
    count: Cost = epsilon,
) -> float:
    """Return the least noise multiplier with which `steps` steps cost at most `target`, together
    with the charges `before`, as `count` counts; 0 for an infinite target. Within .2 %, and never
    below.

    Raises `ValueError` where what was charged before leaves nothing.
    """
    if target == math.inf:
        return 0.0
    if not target > 0:
        raise ValueError(f"epsilon must be above 0, not {target}")

    def cost(noise: float) -> float:
        return count([*before, Charge(noise, rate, steps)], delta)

    if before and count(before, delta) >= target:
        raise ValueError(
            f"what was charged before costs more than epsilon {target}; raise the budget, which "
            "needs the patients' consent, or train on other patients"
        )
    low = high = 1.0
    while cost(high) > target:
        low, high = high, 2 * high
        if high > MOST_NOISE:
            raise ValueError(f"no noise brings {steps} steps below epsilon {target}")
    while low == high or cost(low) <= target:
        low, high = low / 2, low
    least = sys.float_info.min  # a cost may be counted as 0

    def off(x: float) -> float:
        return math.log(max(cost(math.exp(x)), least) / target)

    found = brentq(off, math.log(low), math.log(high), xtol=NARROW / 2)
    return math.exp(found + NARROW / 2)  # the root is at most half as far away


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep silent about orders of moments that do not converge: the bound leaves them out."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _history(charges: Sequence[Charge]) -> list[tuple[float, float, int]]:
    return [(charge.noise, charge.rate, charge.steps) for charge in charges]


def _opacus(charges: Sequence[Charge], delta: float, bound: float) -> float:
    accountant = PRIVATE.need("opacus.accountants").PRVAccountant()
    accountant.history = _history(charges)
    # the error is absolute, and a small epsilon would drown in Opacus' .01
    error = min(COARSEST, max(FINEST, FINE * bound))
    with _quietly():
        return max(0.0, float(accountant.get_epsilon(delta, eps_error=error)))


def _google(charges: Sequence[Charge], delta: float) -> float:
    accountant = PRIVATE.need("dp_accounting.pld").PLDAccountant()
    for event in _events(charges):
        accountant.compose(event)
    return float(accountant.get_epsilon(delta))


def _events(charges: Sequence[Charge]) -> list:
    da = PRIVATE.need("dp_accounting")
    return [
        da.SelfComposedDpEvent(
            da.PoissonSampledDpEvent(charge.rate, da.GaussianDpEvent(charge.noise)), charge.steps
        )
        for charge in charges
    ]
