"""LiRA on models that leak, on models that do not, and beside a loop."""

import numpy as np
import pytest
from scipy.stats import norm

from medpriv_lib.attacks.patient_membership import lira, patient_confidence, rate_at


def halves(models, patients, rng):
    return np.argsort(rng.random((models, patients)), axis=1) < patients // 2


def test_who_leaks_is_found_and_guessing_finds_nobody():
    rng = np.random.default_rng(0)
    inside = halves(70, 40, rng)
    own = rng.normal(size=40)  # patients differ in how easy they are: no evidence of membership
    noise = rng.normal(size=inside.shape)
    leaks = lira(own + noise + 4 * inside, inside, rng).finding
    silent = lira(own + noise, inside, rng).finding
    assert leaks.measures["auc"] > 0.99
    assert leaks.measures["tpr_1"] > 0.8
    # 1,400 pairs of each kind know an area of .5 to .011
    assert silent.measures["auc"] == pytest.approx(0.5, abs=0.045)
    assert silent.measures["tpr_1"] < 0.05
    low, high = silent.intervals["auc"]
    assert low < silent.measures["auc"] < high
    assert "of 40 patients" in silent.note


def test_one_patient_who_leaks_stands_in_the_worst_decile_and_not_in_the_mean():
    rng = np.random.default_rng(1)
    inside = halves(70, 40, rng)
    told = rng.normal(size=inside.shape)
    told[:, 0] += 10 * inside[:, 0]
    found = lira(told, inside, rng)
    assert found.finding.measures["auc"] < 0.6
    assert found.risk.rate[0] > 0.95
    assert found.risk.worst_decile > found.risk.equal_interval[1]


def test_the_ratio_is_that_of_a_loop_that_leaves_the_own_model_out():
    rng = np.random.default_rng(2)
    inside = halves(66, 6, rng)
    told = rng.normal(size=inside.shape) + inside
    ratio = lira(told, inside, rng).ratio
    for m, p in ((0, 0), (5, 3), (65, 5)):
        others = np.arange(66) != m
        logs = [
            norm.logpdf(told[m, p], clouds.mean(), clouds.std())
            for clouds in (told[others & inside[:, p], p], told[others & ~inside[:, p], p])
        ]
        assert ratio[m, p] == pytest.approx(logs[0] - logs[1])


def test_a_rate_counts_at_most_the_allowed_false_positives():
    score = np.array([5.0, 4, 3, 2, 1, 0])
    member = np.array([True, False, True, False, True, False])
    assert rate_at(score, member, 0.001) == pytest.approx(1 / 3)
    assert rate_at(score, member, 0.34) == pytest.approx(2 / 3)
    assert rate_at(np.zeros(6), member, 0.5) == 0  # ties are no evidence


def test_confidence_is_the_mean_signed_logit():
    logit = np.array([[1.0, 2.0, -3.0]])
    found = patient_confidence(logit, np.array([True, False, False]), np.array([7, 7, 9]))
    np.testing.assert_allclose(found, [[-0.5, 3.0]])


def test_too_few_shadows_are_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match="more than 64 shadows"):
        lira(np.zeros((64, 5)), np.zeros((64, 5), bool), rng)
    always = np.ones((70, 5), bool)
    with pytest.raises(ValueError, match="train more models"):
        lira(np.zeros((70, 5)), always, rng)
