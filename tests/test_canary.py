"""The canary's bound: exact intervals, a mechanism whose epsilon is known, and no false alarm."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from medpriv_lib.attacks.canary import bound_of, canary_bound, clopper_pearson


def test_intervals_are_exact():
    # Clopper, Pearson: no hit in n trials is bounded by 1 - (alpha / 2)^(1 / n)
    assert clopper_pearson(0, 50) == (0.0, pytest.approx(1 - 0.025 ** (1 / 50)))
    assert clopper_pearson(50, 50) == (pytest.approx(0.025 ** (1 / 50)), 1.0)
    low, high = clopper_pearson(7, 20)
    from scipy.stats import binom

    assert binom.sf(6, 20, low) == pytest.approx(0.025)
    assert binom.cdf(7, 20, high) == pytest.approx(0.025)
    with pytest.raises(ValueError, match="count again"):
        clopper_pearson(3, 2)


def exact(noise, delta):
    """Epsilon of the Gaussian mechanism (Balle, Wang 2018)."""
    return brentq(
        lambda e: (
            norm.cdf(0.5 / noise - e * noise)
            - math.exp(e) * norm.cdf(-0.5 / noise - e * noise)
            - delta
        ),
        0,
        60,
    )


@pytest.mark.parametrize("noise", [0.5, 1.0, 4.0])
def test_the_bound_lies_below_the_epsilon_of_a_known_mechanism(noise):
    rng = np.random.default_rng(int(10 * noise))
    without = noise * rng.normal(size=4000)
    found = canary_bound(1 + noise * rng.normal(size=4000), without, 0.01)
    promised = exact(noise, 0.01)
    assert found.epsilon <= promised
    if noise <= 1:
        assert found.epsilon > 0.2 * promised  # not an empty bound


def test_what_is_told_apart_every_time_is_bounded_by_the_number_of_runs_alone():
    found = canary_bound(np.arange(100) + 1000.0, np.arange(100) + 0.0, 0.01)
    assert (found.tpr, found.fpr, found.runs) == (1, 0, 50)
    assert found.epsilon == found.most == bound_of(50, 0, 50, 0.01) > 2


def test_equal_models_bound_nothing():
    rng = np.random.default_rng(5)
    assert canary_bound(rng.normal(size=1000), rng.normal(size=1000), 0.01).epsilon < 0.2


def test_both_directions_count():
    # nine of ten negatives are certain: TNR / FNR says more than TPR / FPR
    assert bound_of(100, 50, 100, 0.0) > bound_of(75, 50, 100, 0.0)
    assert bound_of(100, 50, 100, 0.0) == pytest.approx(bound_of(50, 0, 100, 0.0))


def test_too_few_models_are_refused():
    with pytest.raises(ValueError, match="at least 20"):
        canary_bound(np.zeros(10), np.zeros(10), 0.01)
