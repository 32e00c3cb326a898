"""The attackers' networks: pairs in a batch, halves, training that goes on, and what a scene
refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import patterned_cohort, scene_of, toy_cohort

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.battery import battery
from medpriv_lib.attacks.contributing import seen_by_retrained
from medpriv_lib.attacks.contributors import lessons
from medpriv_lib.attacks.draws import averaged
from medpriv_lib.attacks.scene import PARTS, dealt, halves
from medpriv_lib.attacks.towers import Embedder, Schedule, _order, embed, fit_originals, identities
from medpriv_lib.data.default import default_cohort

SHORT = Schedule(steps=4, rate=1e-3, batch=16)


def attackers(cohort, folder=None, told=None, **changes):
    return Attackers(
        cohort,
        folder,
        originals=SHORT,
        released=SHORT,
        advance=(told.append if told is not None else lambda what: None),
        **changes,
    )


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
    found = battery(scene, first.verifiers(scene, "half"), first.half, None)
    assert [what.split()[0] for what in told] == ["trained"] * 6
    told.clear()
    last = sorted(tmp_path.glob("half-half-1-*.safetensors"))[0]
    last.unlink()  # killed before the last network was kept
    second = attackers(cohort, tmp_path, told)
    again = battery(scene, second.verifiers(scene, "half"), second.half, None)
    assert [what.split()[0] for what in told] == ["found"] * 5 + ["trained"]
    assert [one.rows() for one in again] == [one.rows() for one in found]
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
        cohort, originals=Schedule(steps=120, rate=3e-3), released=Schedule(steps=60, rate=2e-3)
    )
    for part in PARTS[1:]:
        images, who = lessons(scene, part, team.half)
        assert len(images) == len(who) > 0
        assert (team.half[who] == PARTS.index(part) - 1).all()
    attacks = seen_by_retrained(scene, team.of_contributors(scene, "lent"), team.half, rng)
    found = {one.attack: one.measures for one in (attack() for attack in attacks)}
    assert found["contributors retrained linkage"]["linkage_auc"] > 0.95
    assert found["contributors reverse"]["rank1"] > 0.9
    assert found["contributors parrot"]["rank1"] > 0.9
    assert team.of_contributors(replace(scene, known_contributors=None), "lent") is None
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
    fresh = attackers(cohort, scratch=True)
    fresh.released = SHORT
    other = fresh.verifiers(scene, "x")["all"]
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
    """Of each patient's images every other becomes known; an image that was released twice stays
    under attack."""
    cohort = toy_cohort()
    source = np.concatenate([np.arange(48), [0]])
    images = cohort.images[source]
    scene = dealt(cohort, images, source, np.empty((49, 0), np.int64), np.random.default_rng(0))
    assert set(scene.source.tolist()).isdisjoint(scene.known_source.tolist())
    assert len(scene.source) + len(scene.known_source) in (48, 49)
    counts = np.bincount(cohort.patient[scene.known_source], minlength=8)
    assert counts.min() >= 2


def test_draws_are_averaged_and_attacks_not_mixed():
    cohort = toy_cohort()
    scene = scene_of(cohort, cohort.images)
    team = attackers(cohort)
    verifiers = team.verifiers(scene, "x")
    one = battery(scene, verifiers, team.half, None)
    two = battery(scene.drawn(255 - scene.released, scene.contributors), verifiers, team.half, None)
    mean = averaged([one[0], two[0]])
    for key in one[0].measures:
        assert mean.measures[key] == pytest.approx(
            (one[0].measures[key] + two[0].measures[key]) / 2
        )
    np.testing.assert_allclose(mean.hits, (one[0].hits + two[0].hits) / 2)
    with pytest.raises(ValueError, match="one attack"):
        averaged([one[0], one[1]])


def test_the_package_s_networks_are_taken_unless_they_are_to_be_trained_anew():
    cohort = default_cohort()
    assert len(Attackers(cohort)._shipped) == len(PARTS)
    assert Attackers(cohort, shipped=False)._shipped == {}
    assert Attackers(toy_cohort())._shipped == {}  # of another cohort
