"""The attackers find what is there and nothing else: unprotected images, noise, K-Same's promise.

On the package's cohort: 359 test images of 115 patients are attacked, the networks of originals are
the shipped ones."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from small_cohorts import scene_of

from medpriv_lib.attacks.attackers import Attackers, Verifier
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.identification import best_of_patient, hits, naive
from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.scene import PARTS
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.towers import RELEASED, embed
from medpriv_lib.attacks.verification import alike
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.privatizers.k_same import KSame
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.train import logits

SHORT = Budget(released=replace(RELEASED, steps=40))
NAMES = ("naive", "reverse", "parrot", "naive linkage", "retrained linkage", "parrot linkage")


@pytest.fixture(scope="module")
def cohort():
    return default_cohort()


def by_name(findings):
    return {one.attack: one for one in findings}


def never(what):
    raise AssertionError(
        f"{what}: the shipped networks of originals do not fit the package's cohort"
    )


@pytest.mark.slow
def test_unprotected_images_are_named_and_linked(cohort):
    scene = scene_of(cohort, cohort.images)
    attackers, judges = Attackers(cohort, budget=SHORT), Judges.load(None, cohort)
    found = by_name(
        run(Setting([scene], attackers, "unprotected", {}, None, judges.identity), NAMES)
    )
    for attack in ("naive linkage", "retrained linkage", "parrot linkage"):
        assert found[attack].measures["linkage_auc"] >= 0.95, attack
        assert found[attack].patients == 115
    for attack in ("naive", "reverse", "parrot"):
        assert found[attack].measures["rank1"] >= 0.8, attack
        assert found[attack].measures["rank5"] >= 0.95, attack
    assert found["reverse"].measures["rank1_own"] >= 0.99


@pytest.mark.slow
def test_on_noise_every_attack_guesses(cohort):
    """Releases without any information, learned from and attacked; bounds are 99.9 % intervals of
    guessing.

    Linkage: the places of 359 independent images have a standard deviation of at most 0.289 /
    sqrt(359) = 0.0153 around 0.5, times 3.3: 0.051. Accepted at 1 %: one image in a hundred with
    all its pairs, binomial (359, 0.01): at most 3.3 %. Naming 359 releases among 115 patients:
    binomial (359, 1/115), at most 10 hits, 2.8 %. Reverse names at worst one and the same released
    image for all originals: the share of the patient with the most originals."""
    noise = np.random.default_rng(0).integers(0, 256, cohort.images.shape, dtype=np.uint8)
    scene = scene_of(cohort, noise)
    attackers, judges = Attackers(cohort, budget=SHORT), Judges.load(None, cohort)
    found = by_name(run(Setting([scene], attackers, "noise", {}, None, judges.identity), NAMES))
    for attack in ("naive linkage", "retrained linkage", "parrot linkage"):
        assert abs(found[attack].measures["linkage_auc"] - 0.5) <= 0.051, attack
        assert found[attack].measures["tar_1"] <= 0.033, attack
    for attack in ("naive", "parrot"):
        assert found[attack].measures["rank1"] <= 0.028, attack
    rest = cohort.patient[cohort.split != "test"]
    assert found["reverse"].measures["rank1"] <= np.bincount(rest).max() / len(rest) + 0.01


def test_k_same_keeps_its_promise_on_a_person_specific_set(cohort):
    """One image each of 115 patients, K = 5: no attack that matches releases names more than
    floor(115 / 5) = 23."""
    test = cohort.of("test")
    one_each = test.take(np.unique(test.patient, return_index=True)[1])
    release = KSame(5).privatize(one_each)
    assert len(one_each) == 115
    judges = Judges.load(None, cohort)
    found = naive(logits(judges.identity, release.images).numpy(), one_each.patient)
    assert found.hits.sum() <= 23 + 1e-9
    attackers, scene = Attackers(cohort, advance=never), scene_of(cohort, cohort.images)
    for part in PARTS:  # a verifier that has seen half of the patients, or all of them
        _, network = attackers.original(scene, part)
        verifier = Verifier(np.empty((0, 0)), partial(embed, network), None)
        likeness = alike(verifier.original(one_each.images), verifier.original(release.images))
        reverse = hits(best_of_patient(likeness, one_each.patient, 115), one_each.patient)
        assert reverse.sum() <= 23 + 1e-9
        nearest = hits(
            likeness.T, np.arange(115)
        )  # each release among the originals it was made of
        assert nearest.sum() <= 23 + 1e-9
    unprotected = hits(
        alike(verifier.original(one_each.images), verifier.original(one_each.images)),
        np.arange(115),
    )
    assert unprotected.sum() == 115  # the same attack on the images themselves
