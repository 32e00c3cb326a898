"""The layer attack: the stranger taken away, what is left leads to the source, or to nobody."""

from dataclasses import replace

import numpy as np
import pytest
from cohorts_with_visits import bank, confounded
from eyes_on_strangers import attacked, own, part_of, strangers, transfer

from medpriv_lib.attacks import layer_linkage as module
from medpriv_lib.attacks.best import best_figures
from medpriv_lib.attacks.layer_linkage import beside_rivals, layer_linkage, likeness
from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.stranger_search import FoundStrangers
from medpriv_lib.pipeline import attack as verb
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import Stranger, Transplant
from medpriv_lib.privatizers.painting import Painting


@pytest.fixture(scope="module")
def cohort():
    return part_of("crossed")


def some_layers(n, seed=0, size=32, share=0.1):
    rng = np.random.default_rng(seed)
    alpha = rng.uniform(0, 1, (n, size, size)) * (rng.random((n, size, size)) < share)
    v = rng.uniform(0, 255, (n, size, size))
    return Painting(bank(), alpha.astype(np.float32), (alpha * v).astype(np.float32))


def test_the_likeness_is_the_difference_of_two_squares(monkeypatch):
    painting, rng = some_layers(7), np.random.default_rng(1)
    painting.alpha[2], painting.ink[2] = 0, 0
    painting.alpha[5] = 0  # a layer may be ink alone
    s = rng.uniform(0, 255, (4, 32, 32)).astype(np.float32)
    released = np.clip(np.rint(painting.over(np.tile(s[:1], (7, 1, 1)))), 0, 255)[:4]
    slow = np.empty((4, 7))
    for i in range(4):
        for j in range(7):
            painted = s[i] + painting.ink[j].astype(float) - painting.alpha[j] * s[i].astype(float)
            bare = ((released[i] - s[i].astype(float)) ** 2).sum()
            slow[i, j] = bare - ((released[i] - painted) ** 2).sum()
    for at_once in (256, 2):
        monkeypatch.setattr(module, "AT_ONCE", at_once)
        np.testing.assert_allclose(likeness(released, s, painting), slow, rtol=1e-6, atol=1.0)
    assert (likeness(released, s, painting)[:, 2] == 0).all()


def test_a_likeness_is_compared_with_those_of_its_rivals():
    rng = np.random.default_rng(0)
    for columns in (4, 30):
        likely = rng.normal(size=(5, columns))
        for row, found in zip(likely, beside_rivals(likely), strict=True):
            best = sorted(row.tolist(), reverse=True)[:10]
            np.testing.assert_allclose(found, row - sum(best) / len(best))


def scene_of_layers(leaks, n=80):
    """Return the arguments of the attack on layers over known strangers; without `leaks` each
    release shows the layer of another patient's image."""
    cohort = confounded(patients=n, each=3)
    test = np.flatnonzero(cohort.split == "test")
    painting, rng = some_layers(len(cohort), seed=3, share=0.02), np.random.default_rng(4)
    shown = test if leaks else np.roll(test, 2)  # two patients on: the label is the same
    s = rng.uniform(0, 255, (n, 32, 32)).astype(np.float32)
    over = replace(painting, alpha=painting.alpha[shown], ink=painting.ink[shown]).over(s)
    images = np.clip(np.rint(over), 0, 255).astype(np.uint8)
    nothing = cohort.images[:0], test[:0], np.empty((n, 0), np.int64)
    scene = Scene(cohort, images, test, *nothing)
    return [images], [FoundStrangers(np.zeros(n, int), np.zeros(n), s)], painting, scene


def test_a_layer_of_one_s_own_leads_to_the_source_and_another_s_does_not():
    """80 images: an area that means nothing has a standard deviation of .289 / sqrt(80) = .032."""
    found = layer_linkage(*scene_of_layers(leaks=True))
    assert found.measures["own_auc"] > 0.99
    assert found.measures["own_tar_1"] > 0.95
    assert abs(found.measures["linkage_auc"] - 0.5) < 4 * 0.032  # layers of the eye's others differ
    lost = layer_linkage(*scene_of_layers(leaks=False))
    assert lost.measures["own_auc"] < 0.5 + 4 * 0.032
    _, rows = found.linked.T
    assert not np.isin(rows, scene_of_layers(leaks=True)[3].source).all()


def test_faint_layers_of_healthy_eyes_lead_where_no_other_attack_gets(cohort):
    """What the floor of .05 leaves to be painted; the existing attacks see next to nothing."""
    setting = attacked(cohort, transfer(pupil="freed", floor=0.05), known=True)
    others = ["iris ring linkage", "residue linkage", "whitened residue linkage", "pupil size"]
    layer, *rest = run(setting, ["layer", *others])[::-1]
    assert layer.attack == "layer"
    assert own(layer, "healthy") > 0.6
    assert own(layer, "healthy", "own_tar_1") > 0.08
    assert own(layer, "diseased") > 0.97
    for one in rest:
        assert own(one, "healthy") < own(layer, "healthy") - 0.05, one.attack
        assert own(one, "diseased") < own(layer, "diseased") - 0.05, one.attack
    assert best_figures([layer, *rest])["healthy"]["source"]["attack"] == "layer"


def test_several_releases_add_up_and_keep_their_figures_by_label(cohort):
    setting = attacked(cohort, transfer(pupil="freed", floor=0.05), several=3)
    one, three = run(setting, ["layer", "several releases, layer"])
    assert three.note == "3 releases"
    assert three.kind == "intersection"
    for label in ("healthy", "diseased"):
        assert own(three, label) > own(one, label) - 0.01
    figures = best_figures([one, three])
    assert figures["diseased"]["several_source"]["attack"] == "several releases, layer"
    assert (
        figures["healthy"]["several_others"]["value"] == three.by_label["healthy"]["linkage_auc"][0]
    )
    assert figures["healthy"]["source"]["attack"] == "layer"


def test_a_bare_stranger_tells_nothing_and_the_true_signs_lead_to_ill_sources(cohort):
    bare = run(attacked(cohort, Stranger(strangers())), ["layer"])[0]
    assert bare.measures["own_auc"] == bare.measures["linkage_auc"] == 0.5
    assert bare.measures["own_tar_1"] == 0
    signs = run(attacked(cohort, Transplant(strangers())), ["layer"])[0]
    assert own(signs, "diseased") > 0.9


def test_without_a_painter_it_says_so(cohort):
    names = ["layer", "several releases, layer", "pupil of the stranger"]
    for one in run(attacked(cohort, Blur(9)), names):
        assert one.note == "not possible here: the method paints on no strangers of a public bank"
    for one in run(attacked(cohort, Stranger(strangers()), maker=False), names):
        assert one.note == "not possible here: the attacker cannot run the method"


def test_the_verb_runs_a_public_method_on_one_s_own_cohort_without_weights(monkeypatch, cohort):
    """The network that ships knows no patient, so that whoever attacks has it, too."""
    asked = []
    monkeypatch.setattr(
        verb, "run", lambda setting: asked.append(setting) or run(setting, ["layer"])
    )
    test = cohort.of("test")
    release = transfer(pupil="fixed", floor=0.05).privatize(test, None)
    report = verb.attack(release, cohort)
    assert own(report.findings[0], "diseased") > 0.9
    assert not any("could not be run again" in note for note in report.notes)
    assert len(asked[0].scene.known) == len(cohort) - len(test)
    other = replace(release, method="pprl-vgan", parameters={})
    verb.attack(other, cohort)
    assert asked[1].maker is None  # its weights are of patients
