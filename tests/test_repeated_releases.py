"""Several releases of one case, and a tower trained for long on several of each known image."""

from dataclasses import replace

import numpy as np
import pytest
from test_code_reading import SMALL, setting_of
from toy_generator import LinearGenerator, coded_cohort

from medpriv_lib.attacks.attackers import Verifier
from medpriv_lib.attacks.best import best_figures
from medpriv_lib.attacks.budget import FIXED, LONG, Budget
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.linkage import linkage_retrained
from medpriv_lib.attacks.long_linkage import known_again
from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.repeated_releases import by_towers, mean_direction, releases_of
from medpriv_lib.attacks.run import Attacked, attack_release, flattened
from medpriv_lib.attacks.towers import Schedule
from medpriv_lib.privatizers.blur import Blur


def test_releases_add_up_to_what_one_hides_and_nothing_adds_up_to_nothing():
    cohort, code = coded_cohort(patients=120, each=4)
    setting = setting_of(cohort, LinearGenerator(120))
    scene, half = setting.scene, setting.half
    bank = code / np.linalg.norm(code, axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    for leaks in (True, False):

        def verifier(part, leaks=leaks):
            mine = scene.source[scene.attacked(part, half)]

            def see(images):
                shown = code[mine] if leaks else np.zeros(code[mine].shape)
                points = shown + 4 * rng.normal(size=shown.shape)
                return points / np.linalg.norm(points, axis=1, keepdims=True)

            return Verifier(bank, see, see)

        team = {part: verifier(part) for part in ("half-0", "half-1")}
        one = linkage_retrained(scene, team, half).measures["linkage_auc"]
        ten = by_towers(scene, team, half, [scene.released] * 10).measures["linkage_auc"]
        if leaks:
            assert ten > one + 0.1
        else:  # 120 images: sd .289 / sqrt(120) = .026
            assert abs(ten - 0.5) < 4 * 0.026


def test_codes_of_ten_releases_say_more_than_one():
    cohort, _ = coded_cohort(patients=60)
    setting = setting_of(cohort, LinearGenerator(60, sigma=1.5), replace(SMALL, several=10))
    one, ten = run(setting, ["code reading", "several releases, codes"])
    assert ten.measures["own_auc"] > one.measures["own_auc"] + 0.05
    assert ten.measures["own_auc"] > 0.93
    for key in ("rank1_own", "rank5_own", "rank1_sources"):
        assert ten.measures[key] > one.measures[key]
        assert key in ten.intervals
        assert key in ten.by_label["healthy"]
    assert ten.note == "10 releases"
    blind = setting_of(cohort, LinearGenerator(60, looks=False), replace(SMALL, several=10))
    none = run(blind, ["several releases, codes"])[0]  # sd .289 / sqrt(60) = .037
    assert abs(none.measures["own_auc"] - 0.5) < 4 * 0.037


def test_releases_are_the_draws_there_are_and_more_with_fresh_randomness():
    cohort, _ = coded_cohort(patients=8, each=4)
    setting = setting_of(cohort, LinearGenerator(8), replace(SMALL, several=5), draws=2)
    found = releases_of(setting)
    assert len(found) == 5
    for number in range(2):
        np.testing.assert_array_equal(found[number], setting.scenes[number].released)
    assert len({one.tobytes() for one in found}) == 5
    fixed = run(setting_of(cohort, Blur(3)), ["several releases, linked"])[0]
    assert fixed.note.endswith("the method draws nothing: all releases of a case are the same")
    points = np.random.default_rng(0).normal(size=(3, 4, 2))
    for row, one in enumerate(mean_direction(list(points))):
        mean = sum(points[k, row] for k in range(3)) / 3
        np.testing.assert_allclose(one, mean / np.sqrt((mean**2).sum()))


@pytest.mark.slow
def test_the_long_tower_learns_from_several_releases_of_each_known_image():
    cohort, _ = coded_cohort(patients=40, each=6)
    long = Schedule(steps=60, rate=3e-3, batch=32)
    learned = replace(SMALL, originals=long, long=long)
    setting = setting_of(cohort, LinearGenerator(40, sigma=0.1), learned)
    scene = known_again(setting, 3)
    first = setting.scene
    assert len(scene.known) == 3 * len(first.known)
    np.testing.assert_array_equal(scene.known_source, np.tile(first.known_source, 3))
    assert not np.array_equal(scene.known[: len(first.known)], scene.known[-len(first.known) :])
    assert len(known_again(setting_of(cohort, Blur(3)), 3).known) == len(first.known)
    blind = setting_of(cohort, LinearGenerator(40, looks=False), learned)
    seen, unseen = (run(one, ["long linkage"])[0] for one in (setting, blind))
    assert seen.measures["linkage_auc"] > 0.7
    assert abs(unseen.measures["linkage_auc"] - 0.5) < 4 * 0.289 / np.sqrt(40)  # 40 images
    short = run(setting_of(cohort, LinearGenerator(40)), ["long linkage"])[0]
    assert short.note == "not possible here: the budget trains no tower for long"


def test_a_doubled_budget_doubles_every_effort_and_says_what_has_flattened():
    doubled = LONG.doubled()
    assert doubled.long.steps == 2 * LONG.long.steps
    assert doubled.released.steps == 2 * LONG.released.steps
    assert doubled.code_decodes == 2 * LONG.code_decodes
    assert all(getattr(doubled, name) == getattr(LONG, name) for name in FIXED)
    assert Budget().doubled().long is None

    def of(**each):
        found = [Finding(k, "nothing.", {"rank1": v}, kind="naming") for k, v in each.items()]
        return Attacked(found, {})

    told = flattened(of(flat=0.5, rising=0.3, gone=1.0), of(flat=0.51, rising=0.4))
    assert told["flat"]["flat"]
    assert not told["rising"]["flat"]
    assert told["rising"]["gain"]["rank1"] == pytest.approx(0.1)
    assert "gone" not in told


def test_the_best_attacker_may_be_another_for_each_label():
    def of(name, kind, healthy, diseased, **measures):
        by = {
            label: {key: (value, value - 0.1, value + 0.1) for key in measures}
            for label, value in (("healthy", healthy), ("diseased", diseased))
        }
        return Finding(
            name, "nothing.", measures, {}, {"linkage_auc": 0.5}, kind=kind, target="source",
            by_label=by,
        )  # fmt: skip

    figures = best_figures(
        [
            of("a", "linking", 0.6, 0.7, linkage_auc=0.62),
            of("b", "linking", 0.5, 0.9, linkage_auc=0.61),
            of("c", "intersection", 0.99, 0.99, linkage_auc=0.99),
            of("d", "matching", 0.95, 0.8, own_auc=0.9),
            of("e", "naming", 0.2, 0.1, rank1=0.15),
        ]
    )
    assert figures["all"]["others"] == {
        "attack": "a", "value": 0.62, "low": None, "high": None, "chance": 0.5,
    }  # fmt: skip
    assert figures["healthy"]["others"]["attack"] == "a"
    assert figures["diseased"]["others"]["attack"] == "b"
    assert figures["diseased"]["others"]["low"] == pytest.approx(0.8)
    assert figures["healthy"]["several_others"]["value"] == 0.99
    assert figures["diseased"]["source"]["attack"] == "d"
    assert figures["all"]["named"]["value"] == 0.15
    assert "contributors" not in figures["all"]


def test_one_call_attacks_a_release_and_names_the_best_by_label():
    cohort, _ = coded_cohort(patients=16, each=4)
    setting = setting_of(cohort, LinearGenerator(16, sigma=0.1), draws=2)
    release = LinearGenerator(16).privatize(cohort.of("test"), torch_generator())
    names = ["code reading", "named by code", "several releases, codes", "long linkage"]
    found = attack_release(
        setting.scenes, release, setting.maker, budget=SMALL, names=names, shipped=False
    )
    assert [one.attack for one in found.findings] == names
    assert found.figures["healthy"]["source"]["attack"] == "code reading"
    assert found.figures["diseased"]["several_source"]["value"] > 0.7
    plain = found.plain()
    assert plain["findings"][0]["per_patient"] == {}
    assert plain["findings"][0]["by_label"]["healthy"]["own_auc"]


def torch_generator():
    import torch

    return torch.Generator().manual_seed(0)
