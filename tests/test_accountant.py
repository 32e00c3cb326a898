"""Both accountants beside each other, beside a formula, and the noise for a target."""

import math

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

pytest.importorskip("opacus")
pytest.importorskip("dp_accounting")

from medpriv_lib.federation.private.accountant import (  # noqa: E402
    Charge,
    agreed,
    by_moments,
    epsilon,
    noise_for,
)

PLANS = [
    ([Charge(1.75, 0.25, 60)], 1 / 92),
    ([Charge(0.98, 0.25, 60)], 1 / 92),
    ([Charge(1.0, 0.05, 100)], 1e-3),
    ([Charge(2.5, 0.25, 60), Charge(8.0, 1.0, 1, "statistics")], 1 / 92),
]


@pytest.mark.parametrize(("charges", "delta"), PLANS)
def test_the_accountants_agree_within_two_percent(charges, delta):
    one, other = (epsilon(charges, delta, how) for how in ("prv", "pld"))
    assert abs(one - other) < 0.02 * min(one, other)
    assert agreed(charges, delta) == max(one, other)


def gaussian(noise, delta):
    """Epsilon of one Gaussian mechanism, exactly (Balle, Wang 2018)."""

    def excess(e):
        return (
            norm.cdf(0.5 / noise - e * noise) - math.exp(e) * norm.cdf(-0.5 / noise - e * noise)
        ) - delta

    return brentq(excess, 0, 100)


@pytest.mark.parametrize("how", ["prv", "pld"])
def test_a_statistic_told_once_costs_what_the_formula_says(how):
    exact = gaussian(4 / 3, 1e-2)  # nine looks with noise 4 are one with 4 / 3
    assert epsilon([Charge(4.0, 1.0, 9)], 1e-2, how) == pytest.approx(exact, rel=0.02)


def test_no_charge_costs_nothing_and_no_noise_everything():
    assert epsilon([], 0.01) == 0
    assert epsilon([Charge(0.0, 0.5, 1)], 0.01) == math.inf
    assert agreed([Charge(0.0, 0.5, 1)], 0.01) == math.inf


def test_a_noise_of_a_hundredth_protects_nobody_at_once():
    charges = [Charge(0.01, 0.1, 1000)]
    assert epsilon(charges, 1e-3) == by_moments(charges, 1e-3) > 1e6
    assert epsilon(charges, 1e-3, "pld") == pytest.approx(epsilon(charges, 1e-3), rel=0.02)


def test_the_noise_is_the_least_that_keeps_the_target():
    noise = noise_for(3.0, 0.01, 0.25, 20)
    assert epsilon([Charge(noise, 0.25, 20)], 0.01) <= 3.0
    assert epsilon([Charge(0.995 * noise, 0.25, 20)], 0.01) > 3.0
    assert noise_for(math.inf, 0.01, 0.25, 20) == 0
    tiny = noise_for(1e-9, 1 / 12, 1.0, 1)  # a little more noise, and the cost is counted as 0
    assert epsilon([Charge(tiny, 1.0, 1)], 1 / 12) <= 1e-9


def test_what_was_charged_before_leaves_less():
    before = [Charge(2.0, 1.0, 1, "tuning")]
    with pytest.raises(ValueError, match="raise the budget"):
        noise_for(0.5, 0.01, 0.25, 20, before)

    def cheap(charges, delta):
        return sum(c.steps * c.rate / c.noise for c in charges)

    assert noise_for(3.0, 0.01, 0.25, 20, before, cheap) == pytest.approx(5 / 2.5, rel=0.003)


def test_accountants_that_differ_stop_everything():
    with pytest.raises(ArithmeticError, match="train no further"):
        agreed([Charge(1.0, 1.0, 1)], 0.01, lambda c, d, how: 1.0 if how == "prv" else 1.1)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="at least one step"):
        Charge(1.0, 0.5, 0)
    with pytest.raises(ValueError, match="training, tuning or statistics"):
        Charge(1.0, 0.5, 1, "fun")
    with pytest.raises(ValueError, match="delta must lie"):
        epsilon([Charge(1.0, 0.5, 1)], 0.0)
    with pytest.raises(ValueError, match="above 0"):
        noise_for(0.0, 0.01, 0.25, 20)
