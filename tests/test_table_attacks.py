"""The attacks on vectors, models and sums: they find what leaks, and guess where nothing does."""

import numpy as np
import pytest

from medpriv_lib.attacks.table import lists
from medpriv_lib.attacks.table.membership import member
from medpriv_lib.attacks.table.naming import named
from medpriv_lib.attacks.table.rate import Hits, rate
from medpriv_lib.attacks.table.site import treated_where

PEOPLE = 60


def vectors(own, seed=0, each=3):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(PEOPLE), each)
    base = np.random.default_rng(99).normal(size=(PEOPLE, 8))
    return own * base[patient] + rng.normal(size=(len(patient), 8)), patient


def test_vectors_of_their_own_are_named_and_noise_is_not():
    seen, patient = vectors(5)
    gallery, owner = vectors(5, seed=1)
    alone = np.arange(len(seen))
    found = named(seen, patient, alone, gallery, owner)
    assert found.right.mean() > 0.8
    assert found.chance == pytest.approx(1 / PEOPLE)
    noise, _ = vectors(0)
    assert named(noise, patient, alone, gallery, owner).right.mean() < 0.1  # 3 of 180 by chance


def test_a_pseudonym_joins_photographs_and_helps_the_attacker():
    seen, patient = vectors(1.0, each=8)
    gallery, owner = vectors(1.0, seed=1, each=8)
    one = named(seen, patient, np.arange(len(seen)), gallery, owner)
    joined = named(seen, patient, patient, gallery, owner)
    assert len(joined.right) == PEOPLE
    assert joined.right.mean() > one.right.mean()


def test_naming_equals_the_nearest_mean_one_at_a_time():
    gallery, owner = vectors(2, seed=1, each=1)
    seen, patient = vectors(2, each=1)
    found = named(seen, patient, patient, gallery, owner)
    off = gallery - gallery.mean(0)
    covariance = off.T @ off / len(off)
    scale = np.sqrt(np.diag(covariance))
    correlation = 0.9 * covariance / np.outer(scale, scale) + 0.1 * np.eye(8)
    inverse = np.linalg.inv(correlation)
    for row, vector in enumerate(seen):
        far = [d @ inverse @ d for d in ((vector - one) / scale for one in gallery)]
        assert (int(np.argmin(far)) == patient[row]) == found.right[row]


def test_constant_columns_tell_nothing():
    gallery, owner = vectors(5, seed=1)
    seen, patient = vectors(5)
    flat = [np.column_stack([x, np.ones(len(x))]) for x in (seen, gallery)]
    one = named(flat[0], patient, np.arange(len(seen)), flat[1], owner)
    assert (one.right == named(seen, patient, np.arange(len(seen)), gallery, owner).right).all()
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(500, 8)))[0].T  # lengths stay
    wide = named(seen @ turn, patient, np.arange(len(seen)), gallery @ turn, owner)
    assert wide.right.mean() > 0.8
    with pytest.raises(ValueError, match="do not fit a gallery"):
        named(seen, patient, patient, gallery[:, :3], owner)


def test_a_model_that_remembers_is_found_and_one_that_does_not_is_not():
    rng = np.random.default_rng(0)
    x, ill, patient = rng.normal(size=(PEOPLE, 5)), rng.random(PEOPLE) < 0.5, np.arange(PEOPLE)
    inside = np.arange(0, PEOPLE, 2)

    def remembers(features):
        sure = np.where(np.isin(np.arange(len(features)), inside), 5.0, 0.5)
        return sure * np.where(ill, 1, -1)

    def knows_nothing(features):
        return features[:, 0]

    assert member([remembers], [inside], x, ill, patient).value == 1
    none = member([knows_nothing], [inside], x, ill, patient)
    assert none.low < 0.5 < none.high
    assert none.chance == 0.5


def test_a_site_that_sends_its_sum_is_named_and_one_sum_names_nobody():
    rng = np.random.default_rng(0)
    own = rng.normal(size=(9, 40))
    treated = [np.arange(0, 3), np.arange(3, 6), np.arange(6, 9)]
    sums = [own[list(part)].sum(0) for part in treated]
    args = (treated, np.arange(9), lambda model: own)
    assert treated_where([(np.zeros(40), sums)], *args).right.all()
    hidden = treated_where([(np.zeros(40), [np.sum(sums, axis=0)])], *args)
    assert hidden.right.mean() == hidden.chance == pytest.approx(1 / 3)


def test_a_rate_over_two_trainings():
    hits = (
        Hits(np.array([True, False]), np.arange(2), 0.1),
        Hits(np.array([True]), np.array([0]), 0.3),
    )
    found = rate("a", "b", hits)
    assert (found.value, found.chance, found.n) == (pytest.approx(2 / 3), pytest.approx(0.2), 3)
    assert found.above == pytest.approx((2 / 3 - 0.2) / 0.8)
    assert found.as_dict()["value"] == 0.6667


def test_lists_are_read_where_nothing_hides_and_not_elsewhere():
    own = {3: "a", 7: "b", 9: "c"}
    assert lists.read(own, own, str).right.tolist() == [True] * 3
    assert lists.read({3: "x", 7: "b", 9: "y"}, own, str).right.tolist() == [False, True, False]
    assert lists.read(own, own, str.upper).chance == pytest.approx(1 / 3)
    full = lists.listed(["a", "b", "c", "z"], own, ["u", "v", "z"])
    assert full.right.tolist() == [True, True, True, True, True, False]
    assert lists.listed([], own, ["u", "v", "z"]).right.mean() == full.chance == 0.5
    drawn = lists.found(np.array([4, 4, 8, 4]), np.arange(4))
    assert drawn.right == pytest.approx([1 / 3, 1 / 3, 1, 1 / 3])
    assert drawn.chance == 1 / 4
