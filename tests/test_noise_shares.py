"""Shares of noise: their sum, what drop-outs and colluding sites take away; the private scale."""

import numpy as np
import pytest
import torch

from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.private.feature_scale import private_scale
from medpriv_lib.federation.private.noise_shares import add_share, noise_left, share_scale

N = 40_000


def summed(sites, there, planned=0, noise=2.0, clip=0.5):
    shares = [
        add_share(torch.zeros(N), noise, clip, sites, seeded(k, "site"), planned)
        for k in range(there)
    ]
    return float(torch.stack(shares).sum(0).std())


def test_all_shares_make_the_whole():
    assert summed(5, 5) == pytest.approx(2.0 * 0.5, rel=0.02)  # known to .4 %


def test_a_site_that_drops_out_takes_its_share_along():
    assert summed(5, 3) == pytest.approx(noise_left(2.0, 5, 2) * 0.5, rel=0.02)
    assert noise_left(2.0, 5, 2) < 2.0


def test_shares_for_the_worst_case_are_enough_in_it_and_too_much_else():
    assert summed(5, 3, planned=2) == pytest.approx(1.0, rel=0.02)
    assert noise_left(2.0, 5, 2, planned=2) == pytest.approx(2.0)
    assert noise_left(2.0, 5, 0, planned=2) > 2.0
    assert share_scale(2.0, 0.5, 5, lost=4) == 1.0  # the last honest site adds it all


def test_nobody_left_is_refused():
    with pytest.raises(ValueError, match="at least one honest site"):
        share_scale(1.0, 1.0, 3, lost=3)
    with pytest.raises(ValueError, match="at least one honest site"):
        noise_left(1.0, 3, 3)


def test_a_private_scale_without_noise_is_the_mean_over_patients():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(40), 3)
    x = rng.uniform(2, 4, (120, 2))
    mean, spread = private_scale(x, patient, np.full(2, 0.0), np.full(2, 6.0), 0.0, seeded(0))
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(spread, x.std(0))


def test_one_patient_moves_a_private_scale_by_no_more_than_the_noise_is_measured_in():
    patient = np.arange(50)
    low, high = np.full(3, -1.0), np.full(3, 1.0)
    one = np.zeros((50, 3))
    other = one.copy()
    other[0] = 1e9  # cut at the public bound
    (a, _), (b, _) = (private_scale(x, patient, low, high, 0.0, seeded(0)) for x in (one, other))
    assert np.linalg.norm(50 * (a - b)) <= np.sqrt(6)
    loud = private_scale(one, patient, low, high, 2.0, seeded(0))
    assert not np.allclose(loud[0], a)
    with pytest.raises(ValueError, match="public upper bound"):
        private_scale(one, patient, high, low, 1.0, seeded(0))
