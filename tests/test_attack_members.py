"""Who was in: K-Same's members, its gallery, a generator's training; and the same for one patient
apart."""

import json
from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import parted, people, toy_cohort

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.gallery_membership import of_gallery
from medpriv_lib.attacks.generator_membership import of_generator, vgan_shadow
from medpriv_lib.attacks.known_members import hidden, members_of, reveal
from medpriv_lib.attacks.membership import inside_and_outside
from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.k_same import KSameSelect

FROM = {"query": "train", "release": "given"}
FEW = Budget(generators=4, generator_rounds=1)


def persons(seed=0):
    """Images of one person resemble each other; the split is train, train, …, test; every third has
    the disease."""
    return people(24, 5, noise=12.0, seed=seed, split=parted(24, 5, ("test", "test")))


def scene_and_parameters(method, cohort):
    """Return the test images released by a method, and what the release says of it."""
    tests = np.flatnonzero(cohort.split == "test")
    release = method.fit(cohort.of("train")).privatize(cohort.take(tests), None)
    n = len(tests)
    scene = Scene(
        cohort,
        release.images[:n],
        tests[release.source[:n]],
        release.images[:0],
        tests[:0],
        release.contributors[:n],
    )
    return scene, release.parameters


@pytest.mark.parametrize("form", ["query", "release"])
def test_the_members_are_those_whose_mean_was_released(form):
    """In query form all images are means of exactly K; in release form those of the groups that
    have K members."""
    cohort = persons()
    scene, parameters = scene_and_parameters(KSameSelect(3, form), cohort)
    assert KSameSelect.averages_from(parameters) == FROM[form]
    rows, members = members_of(scene, 3, FROM[form])
    exactly = np.flatnonzero((scene.contributors >= 0).sum(axis=1) == 3)
    if form == "query":
        assert len(rows) == len(scene.source)
    np.testing.assert_array_equal(rows, exactly)
    for row, who in zip(rows, members, strict=True):
        mean = sum(cohort.images[one].astype(int) for one in who) / 3
        np.testing.assert_array_equal(np.rint(mean), scene.released[row])
        assert set(cohort.patient[who].tolist()) == set(scene.contributors[row].tolist()) - {-1}
        assert (cohort.split[who] == ("train" if form == "query" else "test")).all()
        if form == "release":
            assert who[-1] == scene.source[row]


@pytest.mark.parametrize("form", ["query", "release"])
def test_with_all_but_one_known_the_last_is_exact_before_rounding_and_within_half_k_after(form):
    cohort = persons()
    scene, _ = scene_and_parameters(KSameSelect(4, form), cohort)
    by_bytes = {
        image.tobytes(): patient
        for image, patient in zip(cohort.images, cohort.patient, strict=True)
    }

    def name(images):
        return np.array([by_bytes.get(image.tobytes(), -1) for image in images])

    rows, members = members_of(scene, 4, FROM[form])
    one = hidden(rows, members, scene, np.random.default_rng(0))
    rounded, exact = (reveal(scene, one, name, way) for way in (True, False))
    assert exact.measures["largest_error"] < 1e-9
    assert exact.measures["rank1"] == 1
    assert 0 < rounded.measures["largest_error"] <= rounded.measures["bound"] == 2
    assert set(exact.per_patient.values()) == {1.0}
    if form == "release":
        assert "in 1.00 of them the unknown one is the source" in exact.note


def test_methods_without_groups_have_no_members():
    """Whatever parameters a release carries, the method says whether it averages K patients."""
    cohort = persons()
    scene, parameters = scene_and_parameters(Blur(3), cohort)
    with pytest.raises(NotApplicable, match="no released image is the mean"):
        members_of(scene, 3, "train")
    setting = Setting([scene], Attackers(cohort), "blur", {**parameters, "k": 3}, Blur)
    names = ("known members", "membership in the gallery")
    for one in run(setting, names):
        assert one.measures == {}
        assert one.note.endswith("the method does not average the images of K patients")
    other = persons(
        seed=1
    )  # another gallery: nothing is reproduced, so nobody is claimed to be a member
    mixed = Scene(
        other,
        *[
            getattr(scene_and_parameters(KSameSelect(3), cohort)[0], key)
            for key in ("released", "source", "known", "known_source", "contributors")
        ],
    )
    with pytest.raises(NotApplicable, match="no released image is the mean"):
        members_of(mixed, 3, "train")


@pytest.mark.parametrize("form", ["query", "release"])
def test_the_gallery_gives_its_patients_away_one_by_one(form):
    """24 patients, eight runs with and eight without each: by chance an AUC has sd 0.149, the mean
    of 24 0.030."""
    scene, _ = scene_and_parameters(KSameSelect(3, form), persons())

    def attack(k):
        return of_gallery(
            scene, lambda: KSameSelect(k, form), FROM[form], np.random.default_rng(0), 16
        )

    found = attack(3)
    assert found.measures["auc"] > 0.8
    assert found.patients == 0 or set(found.per_patient) == set(range(24))
    assert max(found.per_patient.values()) == 1
    assert found.measures["certain"] > 10 * max(found.chance["certain"], 0.001)
    with pytest.raises(
        NotApplicable, match="choose a smaller k"
    ):  # half of 8 diseased patients are too few
        attack(6)


def test_kinds_are_dealt_to_both_halves_alike_and_without_kinds_nothing_changes():
    kind = np.array([1] * 7 + [0] * 14)
    seen = []
    runs = inside_and_outside(
        lambda members: seen.append(members) or np.zeros(21), 21, 10, np.random.default_rng(0), kind
    )
    assert {int(kind[one].sum()) for one in seen} <= {3, 4}
    assert (runs.member.sum(axis=0) == 5).all()
    plain = inside_and_outside(lambda members: np.zeros(21), 21, 4, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    assert set(np.flatnonzero(plain.member[0])) == set(rng.permutation(21)[:10].tolist())


def test_shadow_generators_are_kept_and_a_killed_attack_goes_on(tmp_path):
    cohort, trained, again = toy_cohort(), [], []

    def stops(train, both, members, rounds, seed):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(members.tolist())
        return vgan_shadow(train, both, members, rounds, seed)

    def told(train, both, members, rounds, seed):
        again.append(members.tolist())
        return vgan_shadow(train, both, members, rounds, seed)

    with pytest.raises(KeyboardInterrupt):
        of_generator(cohort, tmp_path, 0, FEW, stops)
    kept = sorted(tmp_path.glob("shadow-*.json"))
    assert len(kept) == 2
    assert all(len(json.loads(path.read_text())["scores"]) == 8 for path in kept)
    found = of_generator(cohort, tmp_path, 0, FEW, told)
    assert len(again) == 2  # the other two were found
    assert sorted(trained[0] + trained[1]) == list(range(8))  # a half and its complement
    assert set(found.per_patient) == set(range(8))
    assert "4 small generators" in found.note
    again.clear()
    assert of_generator(cohort, tmp_path, 0, FEW, told).plain() == found.plain()
    assert again == []
    alone = of_generator(cohort, None, 0, FEW)  # nothing kept: the same result
    assert alone.plain() == found.plain()


def test_a_generator_that_repeats_its_training_images_gives_all_members_away():
    """A copier in place of a network: its members' images are shown as they are."""

    def copier(train, both, members, rounds, seed):
        mine = train.images[np.isin(train.patient, members)]
        gap = np.array(
            [min(np.abs(one.astype(int) - other).sum() for other in mine) for one in train.images]
        )
        return -np.array([gap[train.patient == patient].mean() for patient in both])

    found = of_generator(toy_cohort(), None, 0, Budget(generators=8), copier)
    assert found.measures["auc"] == found.measures["certain"] == 1
    assert found.chance["certain"] < 0.3


def test_shadow_generators_learn_coloured_images():
    grey = toy_cohort()
    images = np.stack([grey.images, 255 - grey.images, grey.images // 2], 3)
    few = Budget(generators=2, generator_rounds=1)
    found = of_generator(replace(grey, images=images), None, 0, few)
    assert len(found.per_patient) == 8
