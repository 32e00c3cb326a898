"""Recomputation: a method that draws nothing is run again on every candidate."""

import numpy as np
import pytest
from small_cohorts import scene_of, toy_cohort

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.recomputation import recomputation
from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import ClassMean, RealOther
from medpriv_lib.privatizers.k_same import KSameSelect


def attacked(cohort, method):
    release = method.privatize(cohort.of("test"))
    scene = scene_of(cohort, cohort.images)
    scene = scene.drawn(release.images[: len(scene.source)], scene.contributors)
    setting = Setting([scene], Attackers(cohort), method.name, {}, type(method), maker=method)
    return run(setting, ["recomputation"])[0]


def test_k_same_in_query_form_tells_its_source():
    """On the package's cohort: the trial found 359 of 359."""
    cohort = default_cohort()
    found = attacked(cohort, KSameSelect(6, "query").fit(cohort.of("train")))
    assert found.measures["exact"] == 1
    assert found.measures["rank1_own"] > 0.99
    assert found.measures["own_auc"] > 0.999
    assert found.kind == "matching"
    assert found.by_label["diseased"]["own_auc"][0] > 0.99


def test_one_answer_for_all_tells_nothing_but_the_label():
    cohort = toy_cohort(patients=12)
    found = attacked(cohort, ClassMean().fit(cohort.of("train")))
    assert found.measures["exact"] == 1
    assert found.measures["own_auc"] == pytest.approx(0.5)
    assert found.measures["rank1_own"] < 2 / 24  # one of all with its label


def test_a_method_that_draws_is_not_recomputed():
    cohort = toy_cohort()
    found = attacked(cohort, RealOther().fit(cohort.of("train")))
    assert found.note.startswith("not possible here: the method draws")


def test_places_are_those_of_the_slow_twin():
    cohort, rng = toy_cohort(), np.random.default_rng(0)
    answers = rng.integers(0, 4, (len(cohort), 1, 2)).astype(np.uint8)
    source = np.flatnonzero(cohort.split == "test")
    released = answers[source] + rng.integers(0, 2, (len(source), 1, 2)).astype(np.uint8)
    found = recomputation(released, source, answers, np.arange(len(cohort)), cohort)
    first, areas = [], []
    for image, row in zip(released.astype(int), source, strict=True):
        far = ((answers.astype(int) - image) ** 2).sum(axis=(1, 2))
        first.append(float(far[row] == far.min()) / (far == far.min()).sum())
        rivals = (cohort.patient != cohort.patient[row]) & (cohort.diseased == cohort.diseased[row])
        areas.append((far[rivals] > far[row]).mean() + 0.5 * (far[rivals] == far[row]).mean())
    assert found.measures["rank1_own"] == pytest.approx(np.mean(first))
    assert found.measures["own_auc"] == pytest.approx(np.mean(areas))


def test_a_blur_is_recomputed():
    assert attacked(toy_cohort(), Blur(3)).measures["rank1_own"] == 1
