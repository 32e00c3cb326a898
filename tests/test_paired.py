"""Comparisons image by image, the bootstrap of any statistic, ranks and areas."""

import json

import numpy as np
import pytest
from scipy.stats import rankdata

from medpriv_lib.core.intervals import area, mean_interval, paired, ranks, resampled
from medpriv_lib.measures.scores import per_image, positive_f1
from medpriv_lib.study.paired import (
    PAPER,
    Difference,
    compared,
    comparisons,
    difference,
    pairs_of,
    read_pairs,
)


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


def outcomes(rng, draws=3, n=60, right=0.7):
    ill = rng.random(n) < 0.4
    return [
        {
            "patient": np.arange(n) // 2,
            "actual": ill,
            "identity_hit": rng.random(n) < 0.2,
            "replacement_hit": None,
            "other_contributor_hit": None,
            "disease_predicted": np.where(rng.random(n) < right, ill, ~ill),
        }
        for _ in range(draws)
    ]


def test_what_each_image_adds_gives_the_rates_of_the_slow_way():
    drawn = outcomes(np.random.default_rng(4))
    found = per_image(drawn)
    assert set(found) == {"identity_accuracy", "disease_accuracy", "disease_f1"}
    assert all(len(one) == 60 for one in found.values())
    for n in (0, 7, 59):
        hits = [draw["identity_hit"][n] for draw in drawn]
        assert found["identity_accuracy"][n] == pytest.approx(sum(hits) / 3)
        right = [draw["disease_predicted"][n] == draw["actual"][n] for draw in drawn]
        assert found["disease_accuracy"][n] == pytest.approx(sum(right) / 3)
    together = positive_f1(
        *(np.concatenate([draw[key] for draw in drawn]) for key in ("disease_predicted", "actual"))
    )
    both = found["disease_f1"].sum(axis=0)
    assert both[0] / both[1] == pytest.approx(together)


def test_a_difference_of_two_f1_is_that_of_the_slow_way():
    rng = np.random.default_rng(5)
    one, two = (outcomes(rng, right=right) for right in (0.85, 0.75))
    for draw, other in zip(one, two, strict=True):  # the same images
        draw["actual"] = other["actual"] = one[0]["actual"]
    patient = one[0]["patient"]

    def f1(drawn, rows):
        called, ill = (
            np.concatenate([draw[key][rows] for draw in drawn])
            for key in ("disease_predicted", "actual")
        )
        return 100 * positive_f1(called, ill)

    fast = difference(per_image(one)["disease_f1"], per_image(two)["disease_f1"], patient)
    everything = np.arange(60)
    assert fast.value == pytest.approx(f1(one, everything) - f1(two, everything))
    slow = resampled(lambda rows: f1(one, rows) - f1(two, rows), patient, 2000)
    # two bootstraps of 1000 and 2000 draws: ends agree within a tenth of the width
    assert (fast.low, fast.high) == pytest.approx(slow, abs=0.1 * (slow[1] - slow[0]))


def test_no_difference_without_common_images_or_anybody_ill():
    gap = np.array([np.nan, 1.0])
    assert difference(gap, gap[::-1], np.arange(2)) is None
    assert difference(np.zeros((4, 2)), np.ones((4, 2)), np.arange(4)) is None


def test_each_two_rows_of_the_paper_are_compared_and_read_back(tmp_path):
    rng = np.random.default_rng(6)
    names = [("blur", "kernel 3"), ("pprl-vgan", "random identities"), ("control", "stranger")]
    drawn = {name: outcomes(rng) for name in names}
    for each in drawn.values():
        for draw in each:
            draw["actual"] = drawn[names[0]][0]["actual"]
    own = rng.random(60)
    values = {
        name: per_image(each) | {"own": own * k} for k, (name, each) in enumerate(drawn.items())
    }
    found = comparisons(values, drawn[names[0]][0]["patient"])
    asked = {(one["row"], one["against"], one["column"]) for one in found}
    paper = {one for one in asked if one[2] in PAPER}
    # the stranger is no row of the paper, and the image of the patient has no contributor
    two = {"blur/kernel 3", "pprl-vgan/random identities"}
    assert {frozenset(one[:2]) for one in paper} == {frozenset(two)}
    assert len(paper) == 3
    assert ("control/stranger", "pprl-vgan/random identities", "own") in asked
    (tmp_path / "table.json").write_text(json.dumps({"paired": found}))
    read = read_pairs(tmp_path)
    assert read == pairs_of(found)
    one, other = read[names[0], names[1], "disease_f1"], read[names[1], names[0], "disease_f1"]
    assert other == Difference(-one.value, -one.high, -one.low)
    assert one.low <= one.value <= one.high
    assert len(read) == 2 * len(found)


def test_a_table_that_holds_no_comparisons_is_read_as_none(tmp_path):
    assert read_pairs(tmp_path) == {}
    (tmp_path / "table.json").write_text("{}")
    assert read_pairs(tmp_path) == {}
    assert Difference(1.0, 0.5, 1.5).clear
    assert not Difference(1.0, -0.5, 1.5).clear
