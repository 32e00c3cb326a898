"""The federated comparison: who tests whom, slow twins of its intervals, going on after a stop."""

import json

import numpy as np
import pytest
from small_cohorts import patterned_cohort

from medpriv_lib.core.intervals import area
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.study import federated
from medpriv_lib.study.federated_rows import NAME, read, reference_of, summary

COHORT = patterned_cohort(40, 4)


def test_every_patient_is_a_test_patient_once_and_at_no_site():
    tested = []
    for seed in range(federated.SEEDS):
        cohort = federated.split_for(COHORT, seed)
        mine = set(cohort.of("test").patient.tolist())
        tested += mine
        for arm in federated.ARMS:
            for site in federated.sites_of(cohort, arm, seed):
                assert mine.isdisjoint(site.cohort.patient.tolist())
    assert sorted(tested) == list(range(40))


def test_arms_of_the_linear_layer_are_held_against_their_own_pooled_one():
    names = {arm.name for arm in federated.ARMS if arm.probe}
    assert {"probe pooled", "probe secure", "probe clipped", "probe epsilon 8"} < names
    assert reference_of("probe epsilon 1") == "probe pooled"
    assert reference_of("fedprox") == "pooled"
    promised = [arm for arm in federated.ARMS if arm.epsilon < 9]
    assert all(arm.secure and arm.clip == 1 for arm in promised)
    runs = runs_of()
    runs += [run | {"arm": f"probe {run['arm']}"} for run in runs_of()]
    rows = {row["arm"]: row for row in summary(runs, {"toy": COHORT}, federated.split_for)}
    assert rows["probe alone"]["difference"] == rows["alone"]["difference"]


def test_shrunk_images_are_means_of_blocks():
    cohort = packaged_cohort("crossed")
    small = federated.shrunk(cohort)
    assert small.images.shape == (1795, 32, 32)
    assert small.images[7, 3, 4] == np.rint(cohort.images[7, 6:8, 8:10].mean())
    with pytest.raises(ValueError, match="cannot be shrunk to 24"):
        federated.shrunk(cohort, 24)


def runs_of(seeds=(0, 1)):
    rng, runs = np.random.default_rng(0), []
    for seed in seeds:
        test = federated.split_for(COHORT, seed).of("test")
        for arm, dealt, site, pull in (
            *(("pooled", "", "", 0.6), ("federated", "even", "", 0.5)),
            *(("alone", "even", "site-1", 0.2), ("alone", "even", "site-2", 0.3)),
        ):
            scores = pull * test.diseased + rng.random(len(test))
            runs.append(
                {"cohort": "toy", "seed": seed, "dealt": dealt, "arm": arm, "site": site}
                | {"threshold": 0.7, "scores": scores.tolist(), "cpu": 2.0, "rounds": 3}
                | {"sent_per_site": 10, "left_per_site": 20}
            )
    return runs


def test_rows_equal_slow_ones():
    runs = runs_of()
    rows = {row["arm"]: row for row in summary(runs, {"toy": COHORT}, federated.split_for)}
    tests = {seed: federated.split_for(COHORT, seed).of("test") for seed in (0, 1)}

    def slow(arm, people=None):
        values = []
        for run in runs:
            test = tests[run["seed"]]
            rows = np.arange(len(test))
            if people is not None:
                rows = np.concatenate([np.flatnonzero(test.patient == p) for p in people])
            if run["arm"] == arm:
                values.append(area(np.array(run["scores"])[rows], test.diseased[rows]))
        return np.mean(values)

    for arm in ("pooled", "federated", "alone"):
        assert rows[arm]["auc"] == pytest.approx(slow(arm), abs=1e-4)
        assert rows[arm]["auc_low"] < rows[arm]["auc"] < rows[arm]["auc_high"]
    found = rows["alone"]["difference"]
    assert found == pytest.approx(slow("alone") - slow("pooled"), abs=2e-4)
    assert rows["pooled"]["difference"] == 0
    assert rows["pooled"]["difference_high"] == 0
    people = np.random.default_rng(1).integers(0, 40, 40)
    statistic = federated_auc(runs, "alone", tests)
    assert statistic(np.bincount(people, minlength=40)[None].astype(float))[0] == pytest.approx(
        slow("alone", people)
    )
    ill = np.concatenate([test.diseased for test in tests.values()]).mean()
    assert rows["pooled"]["all_ill"] == pytest.approx(2 * ill / (1 + ill), abs=1e-4)
    assert rows["alone"]["best"] >= rows["alone"]["auc"]


def federated_auc(runs, arm, tests):
    from medpriv_lib.study.federated_rows import _auc_of

    return _auc_of([run for run in runs if run["arm"] == arm], tests)


def test_the_study_goes_on_and_keeps_rows_of_others(tmp_path):
    course = federated.Course(1, 16, LocalTraining(batch=64, strength=0.0))
    tiny = {"own": patterned_cohort(60, 4), "course": course}
    arms, said = federated.ARMS[:3], []
    federated.measure(tmp_path, said.append, seeds=1, arms=arms[:1], **tiny)
    content = json.loads((tmp_path / NAME).read_text())
    content["runs"].append(content["runs"][0] | {"arm": "of others"})
    (tmp_path / NAME).write_text(json.dumps(content))
    found = federated.measure(tmp_path, said.append, seeds=1, arms=arms, **tiny)
    assert said == [
        "own, seed 0, pooled ",
        *(f"own, seed 0, {a.name} even" for a in arms[1:]),
    ]
    assert [row["arm"] for row in found["rows"]] == ["pooled", "of others", "federated", "alone"]
    assert {run["site"] for run in found["runs"]} == {"", "site-1", "site-2", "site-3"}
    assert found["rows"][2]["left_per_site"] > 0
    other = read(tmp_path / NAME, found["provenance"] | {"settings": {}})
    assert other["runs"] == []
