"""Unmixing: who is in a mean of decodes, and whose code it shows."""

import numpy as np
import pytest
from test_code_reading import setting_of
from toy_generator import LinearGenerator, coded_cohort

from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.unmixing import named_in_mean, unmixing

NAMES = ("unmixing", "named in a mean", "named by code")


def test_a_mean_gives_its_list_and_its_source_away():
    cohort, _ = coded_cohort(patients=60)
    by_code, mixed, named = run(setting_of(cohort, LinearGenerator(60, 0.1, number=4)), NAMES)
    assert mixed.measures["found"] > 0.9
    assert mixed.measures["first"] > 0.95
    assert mixed.measures["linkage_auc"] > 0.95
    assert mixed.chance["found"] == pytest.approx(4 / 60)
    assert named.measures["rank1"] >= by_code.measures["rank1"]  # the list helps
    assert named.measures["rank1"] > 0.7


def test_weights_that_know_nothing_guess():
    """60 images of 60 patients, K = 4: 240 contributors, found by chance 1 in 15: 16 expected, more
    than 36 (.15) come in under one of 10,000 trials; an area has sd .289 / sqrt(180) = .022."""
    cohort, _ = coded_cohort(patients=60)
    setting = setting_of(cohort, LinearGenerator(60, number=4))
    weight = np.random.default_rng(0).normal(size=(60, 60))
    found = unmixing(weight, setting.scene, np.random.default_rng(0))
    assert found.measures["found"] < 0.15
    assert abs(found.measures["linkage_auc"] - 0.5) < 4 * 0.022
    assert found.measures["first"] < 0.25


def test_shares_are_counted_as_the_slow_twin_counts():
    cohort, _ = coded_cohort(patients=12, each=4)
    setting = setting_of(cohort, LinearGenerator(12, number=3))
    scene, rng = setting.scene, np.random.default_rng(1)
    weight, likeness = rng.normal(size=(12, 12)), rng.normal(size=(12, 12))
    found = unmixing(weight, scene, np.random.default_rng(0))
    got, first, right = 0, 0, 0
    for n in range(12):
        members = set(scene.contributors[n].tolist())
        order = sorted(range(12), key=lambda p: -weight[n, p])
        got += len(members & set(order[:3])) / 3
        first += order[0] in members
        right += max(order[:3], key=lambda p: likeness[n, p]) == scene.patient[n]
    assert found.measures["found"] == pytest.approx(got / 12)
    assert found.measures["first"] == pytest.approx(first / 12)
    assert named_in_mean(likeness, weight, 3, scene).measures["rank1"] == pytest.approx(right / 12)


def test_a_single_decode_is_no_mean():
    cohort, _ = coded_cohort(patients=12, each=4)
    found = run(setting_of(cohort, LinearGenerator(12)), ["named in a mean"])[0]
    assert found.note == "not possible here: each released image is a single decode, and no mean"
