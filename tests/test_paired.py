"""Comparisons image by image, the bootstrap of any statistic, ranks and areas."""

import numpy as np
import pytest
from scipy.stats import rankdata

from medpriv_lib.core.intervals import area, mean_interval, paired, ranks, resampled
from medpriv_lib.study.paired import compared


def test_what_both_share_cancels():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(30), 4)
    hard = rng.normal(0, 10, 30)[patient]  # some images are hard for both
    one, two = hard + 1 + rng.normal(0, 0.5, 120), hard + rng.normal(0, 0.5, 120)
    mean, low, high = paired(one, two, patient)
    assert mean == pytest.approx((one - two).mean())
    assert 0.5 < low < mean < high < 1.5
    ends = [mean_interval(each, patient) for each in (one, two)]
    assert ends[0][0] < ends[1][1]  # their own intervals overlap by far


def test_pairs_with_a_gap_are_left_out():
    one, two = np.array([1.0, np.nan, 3]), np.array([0.0, 5, np.nan])
    assert paired(one, two, np.arange(3))[0] == 1
    assert np.isnan(paired(one * np.nan, two, np.arange(3))).all()
    with pytest.raises(ValueError, match="one value of each"):
        paired(one, two[:2], np.arange(3))


def test_any_statistic_is_resampled_as_the_mean_is():
    rng = np.random.default_rng(1)
    patient = rng.integers(0, 25, 200)
    values = rng.normal(size=25)[patient] + rng.normal(size=200)
    slow = resampled(lambda rows: float(values[rows].mean()), patient, 2000)
    # two bootstraps of 1000 and 2000 draws: ends agree within a tenth of the width
    fast = mean_interval(values, patient)
    assert slow == pytest.approx(fast, abs=0.1 * (fast[1] - fast[0]))
    assert np.isnan(resampled(lambda rows: float("nan"), patient, 5)).all()
    with pytest.raises(ValueError, match="images and draws"):
        resampled(lambda rows: 0.0, patient[:0])


def test_ranks_and_areas_are_those_of_the_slow_way():
    rng = np.random.default_rng(2)
    score, positive = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    assert ranks(score) == pytest.approx(rankdata(score))
    won = [
        1.0 if a > b else 0.5 if a == b else 0.0 for a in score[positive] for b in score[~positive]
    ]
    assert area(score, positive) == pytest.approx(np.mean(won))
    with pytest.raises(ValueError, match="both labels"):
        area(score, np.ones(40, dtype=bool))


def test_rows_are_held_against_the_references():
    patient = np.arange(40) // 2
    rng = np.random.default_rng(3)
    base = rng.normal(0, 1, 40)
    values = {
        ("pprl-vgan", "random identities"): {"own": base},
        ("x", "better"): {"own": base + 0.2 + rng.normal(0, 0.05, 40), "other": base},
        ("x", "alike"): {"own": base + rng.normal(0, 0.05, 40)},
    }
    found = {row["row"]: row for row in compared(values, patient)}
    assert set(found) == {"x/better", "x/alike"}
    assert found["x/better"]["clear"]
    assert found["x/better"]["difference"] == pytest.approx(20, abs=4)
    assert found["x/better"]["against"] == "pprl-vgan/random identities"
    assert found["x/better"]["column"] == "own"
    assert abs(found["x/alike"]["difference"]) < 4
