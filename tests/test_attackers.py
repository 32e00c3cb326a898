"""The attackers' networks: pairs in a batch, halves, training that goes on, and what a scene
refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import patterned_cohort, scene_of, toy_cohort

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.contributors.who import lessons
from medpriv_lib.attacks.copying import pixels
from medpriv_lib.attacks.draws import averaged
from medpriv_lib.attacks.identification import parrot
from medpriv_lib.attacks.registry import attacks, run
from medpriv_lib.attacks.report import Report
from medpriv_lib.attacks.scene import PARTS, dealt, halves
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.suspicion import clearly_below
from medpriv_lib.attacks.towers import Embedder, Schedule, _order, embed, fit_originals, identities
from medpriv_lib.core.distances import distances
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.measures.anonymity import audit
from medpriv_lib.privatizers.k_same import KSameSelect

SHORT = Schedule(steps=4, rate=1e-3, batch=16)
SMALL = Budget(originals=SHORT, released=SHORT, scratch=SHORT)


def attackers(cohort, folder=None, told=None, **changes):
    return Attackers(
        cohort,
        folder,
        budget=SMALL,
        advance=(told.append if told is not None else lambda what: None),
        **changes,
    )


def battery(team, *scenes):
    """What the attacks of every draw find, without a recogniser."""
    setting = Setting(scenes, team, "half", {}, None)
    return run(setting, [one.name for one in attacks() if one.asked == "draw"])


def test_every_eye_has_its_number():
    cohort = replace(toy_cohort(), eye=np.tile(np.array(["L", "R"]), 24))
    numbers = identities(cohort)
    pairs = list(zip(cohort.patient.tolist(), cohort.eye.tolist(), strict=True))
    assert len(set(numbers.tolist())) == len(set(pairs)) == 16
    for number in set(numbers.tolist()):
        assert len({pair for pair, n in zip(pairs, numbers, strict=True) if n == number}) == 1


def test_batches_hold_pairs_and_every_image_once():
    label = np.random.default_rng(0).integers(0, 20, 200)
    order = _order(label, 4, torch.Generator().manual_seed(0)).numpy()
    assert sorted(order.tolist()) == list(range(200))
    beside = (label[order[1:]] == label[order[:-1]]).mean()
    assert beside > 0.6  # runs of four: three of four neighbours; at random it would be 0.05
    other = _order(label, 4, torch.Generator().manual_seed(1)).numpy()
    assert not np.array_equal(order, other)


def test_halves_divide_patients_with_and_without_the_disease_alike():
    cohort = toy_cohort(20)
    half = halves(cohort, 0)
    sick = np.unique(cohort.patient[cohort.diseased])
    assert half.sum() == 10
    assert abs(int(half[sick].sum()) - len(sick) / 2) <= 0.5
    assert not np.array_equal(half, halves(cohort, 1))
    with pytest.raises(ValueError, match="at least four patients"):
        halves(cohort.take(cohort.patient < 3), 0)


def test_who_is_attacked_is_not_among_those_learned_from():
    cohort = toy_cohort()
    scene, half = scene_of(cohort, cohort.images), halves(cohort, 0)
    for part in PARTS[1:]:
        attacked = set(scene.patient[scene.attacked(part, half)].tolist())
        learned = set(cohort.patient[scene.originals(part, half)].tolist())
        lessons = set(cohort.patient[scene.lessons(part, half)[1]].tolist())
        assert attacked
        assert attacked.isdisjoint(learned)
        assert attacked.isdisjoint(lessons)
    assert set(scene.originals("all", half).tolist()).isdisjoint(scene.source.tolist())
    both = np.concatenate([scene.attacked(part, half) for part in PARTS[1:]])
    assert sorted(both.tolist()) == list(range(len(scene.source)))


def test_the_same_seed_gives_the_same_network_another_seed_another():
    cohort = toy_cohort()
    first, again, other = (
        embed(fit_originals(cohort.images, cohort.patient, seed, SHORT), cohort.images)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, rtol=1e-5)


def test_training_goes_on_where_it_was_stopped(tmp_path):
    """A second run finds all networks and its findings are the same; other images or another seed
    train anew."""
    cohort, told = toy_cohort(), []
    scene = scene_of(cohort, cohort.images // 2)
    first = attackers(cohort, tmp_path, told)
    found = battery(first, scene)
    assert [what.split()[0] for what in told] == ["trained"] * 6
    told.clear()
    last = sorted(tmp_path.glob("half-half-1-*.safetensors"))[0]
    last.unlink()  # killed before the last network was kept
    second = attackers(cohort, tmp_path, told)
    again = battery(second, scene)
    assert [what.split()[0] for what in told] == ["found"] * 5 + ["trained"]
    assert [one.plain() for one in again] == [one.plain() for one in found]
    told.clear()
    changed = scene_of(cohort, cohort.images // 3)
    attackers(cohort, tmp_path, told).verifiers(changed, "half")
    assert sorted(what.split()[0] for what in told) == ["found"] * 3 + ["trained"] * 3
    told.clear()
    attackers(cohort, tmp_path, told, seed=1).verifiers(scene, "half")
    assert {what.split()[0] for what in told} == {"trained"}


def test_whoever_lends_his_image_is_found_by_those_who_learned_to_see_him():
    """Every release is another patient's original: the contributor is found, and no verifier had
    seen him before."""
    cohort, rng = patterned_cohort(30, 10), np.random.default_rng(0)
    scene = scene_of(cohort, cohort.images)
    lent = np.concatenate(
        [
            rng.permutation(np.flatnonzero(cohort.patient != p))[:1]
            for p in cohort.patient[np.concatenate([scene.source, scene.known_source])]
        ]
    )
    n = len(scene.source)
    scene = replace(
        scene,
        released=cohort.images[lent[:n]],
        known=cohort.images[lent[n:]],
        contributors=cohort.patient[lent[:n], None],
        known_contributors=cohort.patient[lent[n:], None],
    )
    team = Attackers(
        cohort,
        budget=Budget(
            originals=Schedule(steps=120, rate=3e-3), released=Schedule(steps=60, rate=2e-3)
        ),
    )
    for part in PARTS[1:]:
        images, who = lessons(scene, part, team.half)
        assert len(images) == len(who) > 0
        assert (team.half[who] == PARTS.index(part) - 1).all()
    names = [f"contributors {way}" for way in ("retrained linkage", "reverse", "parrot")]
    setting = Setting([scene], team, "lent", {}, None)
    found = {one.attack: one.measures for one in run(setting, names)}
    assert found["contributors retrained linkage"]["linkage_auc"] > 0.95
    assert found["contributors reverse"]["rank1"] > 0.9
    assert found["contributors parrot"]["rank1"] > 0.9
    with pytest.raises(NotApplicable, match="nobody knows who contributed"):
        team.of_contributors(replace(scene, known_contributors=None), "lent")
    with pytest.raises(ValueError, match="rows of contributors"):
        replace(scene, known_contributors=scene.known_contributors[1:])


def test_what_is_in_memory_is_what_is_kept(tmp_path):
    cohort = toy_cohort()
    scene = scene_of(cohort, cohort.images)
    alone = attackers(cohort).verifiers(scene, "x")
    attackers(cohort, tmp_path).verifiers(scene, "x")
    kept = attackers(cohort, tmp_path).verifiers(scene, "x")
    for part in PARTS:
        np.testing.assert_array_equal(alone[part].bank, kept[part].bank)
        np.testing.assert_array_equal(
            alone[part].released(scene.released), kept[part].released(scene.released)
        )


def test_a_tower_from_scratch_does_not_begin_with_the_first():
    cohort = toy_cohort()
    scene = scene_of(cohort, cohort.images)
    short = attackers(cohort).verifiers(scene, "x")["all"]
    other = attackers(cohort, scratch=True).verifiers(scene, "x")["all"]
    np.testing.assert_array_equal(short.bank, other.bank)
    assert np.abs(short.released(scene.released) - other.released(scene.released)).max() > 0.01


def test_scenes_refuse_what_does_not_fit():
    cohort = toy_cohort()
    scene = scene_of(cohort, cohort.images)
    with pytest.raises(ValueError, match="may not be among the attacker's own"):
        replace(scene, known=cohort.images[scene.source], known_source=scene.source)
    with pytest.raises(ValueError, match="give the cohort that was privatised"):
        replace(scene, source=scene.source + 1000)
    with pytest.raises(ValueError, match="nothing to attack"):
        replace(scene, released=scene.released[:0], source=scene.source[:0])
    with pytest.raises(ValueError, match="must be uint8"):
        replace(scene, released=scene.released[:, :8])
    with pytest.raises(ValueError, match="16, 32, 48"):
        Embedder(20)


def test_a_release_alone_is_dealt_out():
    """Of each patient's images every other becomes known; an image that was released twice is on
    one side only."""
    cohort = toy_cohort()
    source = np.concatenate([np.arange(48), [0]])
    images = cohort.images[source]
    scene = dealt(cohort, images, source, np.empty((49, 0), np.int64), np.random.default_rng(0))
    assert set(scene.source.tolist()).isdisjoint(scene.known_source.tolist())
    assert len(scene.source) + len(scene.known_source) in (48, 49)
    counts = np.bincount(cohort.patient[scene.known_source], minlength=8)
    assert counts.min() >= 2


def test_a_release_of_different_images_is_dealt_out_as_the_random_numbers_say():
    """The slow twin: each patient's images in the random order, the second, fourth, … are told."""
    cohort = toy_cohort()
    scene = dealt(
        cohort, cohort.images, np.arange(48), np.empty((48, 0), np.int64), np.random.default_rng(3)
    )
    order, told = np.random.default_rng(3).permutation(48).tolist(), []
    for patient in range(8):
        told += [row for row in order if cohort.patient[row] == patient][1::2]
    assert sorted(scene.known_source.tolist()) == sorted(told)


def whole_cohort_release():
    """24 patients with 3 to 6 images each, all of them released by K-Same-Select's release form."""
    cohort = patterned_cohort(24, 6)
    keep = np.arange(len(cohort)) % 6 < 3 + cohort.patient % 4
    cohort = replace(cohort, diseased=cohort.patient % 2 == 0).take(keep)
    return cohort, KSameSelect(3, "release").privatize(cohort)


@pytest.mark.parametrize("seed", range(5))
def test_equal_images_are_told_or_attacked_together(seed):
    """No image under attack has a copy that was told under another name, and none is told under the
    name of a source under attack."""
    cohort, release = whole_cohort_release()
    rng = np.random.default_rng(seed)
    scene = dealt(cohort, release.images, release.source, release.contributors, rng)
    told = {image.tobytes() for image in scene.known}
    assert told.isdisjoint(image.tobytes() for image in scene.released)
    assert set(scene.source.tolist()).isdisjoint(scene.known_source.tolist())
    assert 0.25 < len(scene.source) / len(release) < 0.75
    assert len(np.unique(scene.patient)) > 12


def test_a_release_form_of_a_whole_cohort_is_not_flattered():
    """Whoever compares the images under attack with the told ones names one of K, not nobody.

    K = 3: each image under attack is as like each of the told images of its group, so that the
    patient is first with 1 / 3; dealt image by image, its copies were told under the other names."""
    cohort, release = whole_cohort_release()
    rng = np.random.default_rng(0)
    scene = dealt(cohort, release.images, release.source, release.contributors, rng)
    gap = distances(pixels(scene.released), pixels(scene.known))
    found = parrot(-gap, scene.patient, cohort.patient[scene.known_source], cohort.patients)
    assert found.measures["rank1"] >= 1 / 5  # groups of 3 to 5 patients, and rounds that differ
    assert not clearly_below(found, "rank1")
    report = Report(
        release.method, len(scene.source), 24, [found], None, None, np.arange(1, 25),
        audit(release, cohort),
    )  # fmt: skip
    assert report.audit.smallest == 3
    low = replace(
        found,
        n=301,
        measures={"rank1": 0.005},
        intervals={"rank1": (0.0, 0.011)},
        chance={"rank1": 1 / 60},
    )
    text = replace(report, findings=[low]).verdict()
    assert "33.3 %" in text  # never less than who knows the groups
    assert "Error of the experiment" in text
    assert "Error of the experiment" not in report.verdict()


def test_draws_are_averaged_and_attacks_not_mixed():
    cohort = toy_cohort()
    scene = scene_of(cohort, cohort.images)
    team = attackers(cohort)
    other = scene.drawn(255 - scene.released, scene.contributors)
    both = {one.attack: one for one in battery(team, scene, other)}
    one = {one.attack: one for one in battery(team, scene)}
    mean = both["parrot"]
    assert mean.draws[0] == one["parrot"].measures
    assert mean.draws[1] != mean.draws[0]
    for key in mean.measures:
        assert mean.measures[key] == pytest.approx(np.mean([draw[key] for draw in mean.draws]))
    two = averaged([one["parrot"], replace(one["parrot"], hits=1 - one["parrot"].hits)])
    np.testing.assert_allclose(two.hits, 0.5)
    with pytest.raises(ValueError, match="one attack"):
        averaged([one["parrot"], one["reverse"]])


def test_the_package_s_networks_are_taken_unless_they_are_to_be_trained_anew():
    cohort = default_cohort()
    assert len(Attackers(cohort)._shipped) == len(PARTS)
    assert Attackers(cohort, shipped=False)._shipped == {}
    assert Attackers(toy_cohort())._shipped == {}  # of another cohort


def test_a_kept_network_that_is_not_the_one_of_its_name_is_refused(tmp_path):
    """Two kept files with their cards, swapped: before, the other network attacked without a word."""
    cohort, told = toy_cohort(), []
    scene = scene_of(cohort, cohort.images // 2)
    attackers(cohort, tmp_path, told).verifiers(scene, "half")
    one, two = sorted(tmp_path.glob("half-half-*.safetensors"))
    for suffix in (".safetensors", ".json"):
        first, second = one.with_suffix(suffix), two.with_suffix(suffix)
        first.rename(tmp_path / "away")
        second.rename(first)
        (tmp_path / "away").rename(second)
    with pytest.raises(ValueError, match="another attacker than its name says") as error:
        attackers(cohort, tmp_path).verifiers(scene, "half")
    assert str(one) in str(error.value)
    assert "delete" in str(error.value)
    one.write_bytes(two.read_bytes())
    with pytest.raises(ValueError, match="tampered.*; delete this one with its card"):
        attackers(cohort, tmp_path).verifiers(scene, "half")


def test_the_card_tells_the_command_of_its_caller(tmp_path):
    cohort = toy_cohort()
    scene = scene_of(cohort, cohort.images)
    attackers(cohort, tmp_path, command="a command").original(scene, "all")
    card = json.loads(next(iter(tmp_path.glob("*.json"))).read_text())
    assert card["command"] == "a command"


def test_training_leaves_the_process_as_it_was():
    """Numbers below 1e-38 are taken as zero while a network is trained, and not afterwards."""
    tiny = torch.full((1,), 1e-39)
    assert (tiny * 1).item() > 0
    fit_originals(toy_cohort().images, toy_cohort().patient, 0, SHORT)
    assert (tiny * 1).item() > 0


def test_coloured_images_are_attacked_like_grey_ones():
    """All attacks of every draw, on 16x16 colours; what cannot be had says why."""
    grey = toy_cohort()
    cohort = replace(grey, images=np.stack([grey.images, 255 - grey.images, grey.images // 2], 3))
    scene = scene_of(cohort, cohort.images // 2)
    found = {one.attack: one for one in battery(attackers(cohort), scene)}
    for name in ("reverse", "parrot", "retrained linkage", "parrot linkage"):
        assert found[name].measures, (name, found[name].note)
    for name in ("residue linkage", "whitened residue linkage"):
        assert 0 <= found[name].measures["own_auc"] <= 1
    assert found["naive"].note == "not possible here: no recogniser of these patients was given"
