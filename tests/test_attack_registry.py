"""The list of attacks: what it holds, what is caught and what is not, and how draws are joined."""

import numpy as np
import pytest
from small_cohorts import scene_of, toy_cohort

import medpriv_lib.attacks.registry as registry
from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.best import best
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.finding import Finding, missing
from medpriv_lib.attacks.registry import attack, attacks, run
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.suspicion import below_guessing
from medpriv_lib.attacks.towers import Schedule
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import ClassMean
from medpriv_lib.recognition.networks import Recogniser

SHORT = Schedule(steps=2, rate=1e-3, batch=16)
SMALL = Budget(
    SHORT, SHORT, SHORT, restorer_epochs=1, gallery_runs=4, generators=2, generator_rounds=1,
    orders=20, code_decodes=64,
    code_errors=16, several=3,
)  # fmt: skip


def setting_of(method, cohort=None, identity=None):
    cohort = toy_cohort() if cohort is None else cohort
    release = method.privatize(cohort)
    scene = scene_of(cohort, release.images[: len(cohort)])
    team = Attackers(cohort, budget=SMALL)
    return Setting([scene], team, release.method, release.parameters, type(method), identity)


@pytest.fixture
def _own_list(monkeypatch):
    """Attacks that a test registers are gone after the test."""
    attacks()
    monkeypatch.setattr(registry, "_KNOWN", dict(registry._KNOWN))


def test_the_list_is_ordered_and_every_attack_says_what_its_attacker_knows():
    listed = attacks()
    assert len(listed) >= 26
    assert [one.place for one in listed] == sorted(one.place for one in listed)
    assert len({one.name for one in listed}) == len(listed)
    for one in listed:
        assert len(one.knowledge) > 20, one.name
        assert one.asked in ("draw", "release", "cohort")


def test_every_attack_ends_in_a_finding_and_what_is_not_possible_says_why():
    found = run(setting_of(Blur(3)))
    assert [one.attack for one in found] == [one.name for one in attacks()]
    for one in found:
        assert one.measures or one.note.startswith("not possible here: "), one.attack
        assert one.kind
        assert one.target
    why = {one.attack: one.note.removeprefix("not possible here: ") for one in found}
    assert why["naive"] == "no recogniser of these patients was given"
    assert why["contributors linked"].startswith("the method uses no images")
    assert why["membership in the training"].startswith("the method has no network")
    assert why["homogeneity"] == "no two released images are equal: there are no groups"


@pytest.mark.usefixtures("_own_list")
def test_only_not_applicable_is_caught():
    @attack(name="faulty", kind="naming", target="source", place=1)
    def faulty(setting):
        """Knowledge: nothing at all."""
        raise ValueError("a wrong shape")

    @attack(name="impossible", kind="naming", target="source", place=2)
    def impossible(setting):
        """Knowledge: nothing at all."""
        raise NotApplicable("no such images")

    setting = setting_of(Blur(3))
    assert run(setting, ["impossible"]) == [
        missing("impossible", "nothing at all.", "naming", "source", "no such images")
    ]
    with pytest.raises(ValueError, match="a wrong shape"):
        run(setting, ["faulty"])
    with pytest.raises(ValueError, match="no attack is called 'nothing'"):
        run(setting, ["nothing"])


@pytest.mark.usefixtures("_own_list")
def test_two_attacks_of_one_name_and_one_without_knowledge_are_refused():
    with pytest.raises(ValueError, match="two attacks are called 'naive'"):

        @attack(name="naive", kind="naming", target="source", place=1)
        def other(setting):
            """Knowledge: nothing at all."""

    with pytest.raises(ValueError, match="does not say what its attacker knows"):

        @attack(name="silent", kind="naming", target="source", place=1)
        def silent(setting):
            """Attack."""


def test_a_blur_is_undone_where_the_method_says_that_it_is_one():
    """Not where some parameter is called `kernel`."""
    identity = Recogniser(8, 16).eval()
    names = ("inversion", "inversion before rounding")
    rounded, exact = run(setting_of(Blur(3), identity=identity), names)
    assert {"wiener", "network", "rank1"} <= set(rounded.measures)
    assert exact.kind == "bound"
    assert exact.measures["error_wiener"] < 1e-3 < rounded.measures["error_wiener"]
    cohort = toy_cohort()
    other = setting_of(ClassMean().fit(cohort), identity=identity)
    other.parameters["kernel"] = 9
    for one in run(other, names):
        assert one.note == "not possible here: the method is not a blur"


def test_a_coloured_blur_is_undone_colour_by_colour():
    from dataclasses import replace

    from medpriv_lib.attacks.inversion import EXACT, ROUNDING, Blurred, deblur, exactly

    grey = toy_cohort()
    images = np.stack([grey.images, 255 - grey.images, grey.images // 2], 3)
    colours = replace(grey, images=images)
    weights = Blur.linear_blur({"kernel": 5})
    exact = exactly(colours.images, weights)
    for channel in range(3):
        np.testing.assert_allclose(exact[..., channel], exactly(images[..., channel], weights))
    nobody = np.full(len(images), -1)
    task = Blurred(exact, weights, EXACT, images, exact)
    found = deblur(task, images, grey.patient, lambda shown: nobody)
    assert found.measures["error_wiener"] < 0.1 < found.measures["error_as_released"]
    import torch

    shown = np.rint(exact).astype(np.uint8)
    task = Blurred(shown, weights, ROUNDING, images, shown)
    generator = torch.Generator().manual_seed(0)
    found = deblur(task, images, grey.patient, lambda shown: nobody, generator, epochs=1)
    assert found.measures["error_network"] < found.measures["error_as_released"]


def finding(name, kind, target, **measures):
    return Finding(name, "nothing.", measures, kind=kind, target=target)


def test_winners_are_chosen_by_what_an_attack_does_to_whom_and_never_by_its_name():
    found = [
        finding("naive", "naming", "source", rank1=0.2),
        finding("a new attack", "naming", "source", rank1=0.3),
        finding("bound", "bound", "source", rank1=1.0),
        finding("members", "naming", "member", rank1=1.0),
        finding("several", "intersection", "source", rank1=1.0),
        finding("link", "linking", "source", linkage_auc=0.6, own_auc=0.7),
        finding("lent", "contributors", "contributor", linkage_auc=0.9, rank1=1.0),
        finding("match", "matching", "source", linkage_auc=0.8, own_auc=0.9),
    ]
    assert best(found, "rank1").attack == "a new attack"
    assert best(found, "linkage_auc").attack == "link"
    assert best(found, "own_auc").attack == "match"


def test_a_rate_clearly_below_guessing_is_marked():
    low = Finding(
        "parrot", "nothing.", {"rank1": 0.005}, {"rank1": (0.0, 0.011)}, {"rank1": 1 / 60}, 301,
        kind="naming", target="source", note="seen",
    )  # fmt: skip
    assert below_guessing(low).note.startswith(
        "seen; rank1 0.005 is clearly below guessing (0.017)"
    )
    from dataclasses import replace

    for fair in (
        replace(low, intervals={"rank1": (0.0, 0.02)}),
        replace(low, n=60),  # one hit is expected: none at all is no wonder
        replace(low, kind="bound"),
    ):
        assert below_guessing(fair) == fair


def test_draws_share_networks_and_the_outcomes_say_whose_they_are():
    setting = setting_of(Blur(3))
    scene = setting.scene
    both = Setting(
        [scene, scene.drawn(255 - scene.released, scene.contributors)],
        setting.attackers,
        "blur",
        setting.parameters,
        Blur,
    )
    assert both.of_draw(1).verifiers is both.verifiers
    reverse, parrot, once = run(both, ["reverse", "parrot", "homogeneity of contributors"])
    assert once.draws == ()  # asked once per release: no draw stands for others
    assert len(reverse.draws) == 2
    np.testing.assert_array_equal(parrot.rows, scene.source)  # the images under attack
    assert set(reverse.rows.tolist()) <= set(scene.others.tolist())  # originals looked for
