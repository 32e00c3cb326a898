"""The tool's own order: a seeded shuffle is undone, one from the system's entropy is not."""

import numpy as np
import pytest
import torch
from small_cohorts import people, scene_of, toy_cohort

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.own_order import own_order
from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.setting import Setting, Shared
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import secret_order
from medpriv_lib.privatizers.k_same import KSameSelect

SEEDS = 50
NAME = "the tool's own order"


def attack(cohort, order, patient=None):
    patient = cohort.patient if patient is None else patient
    return own_order(cohort.images[order], order, patient, SEEDS)


def torch_order(count):
    return torch.randperm(count, generator=torch.Generator().manual_seed(7)).numpy()


@pytest.mark.parametrize(
    "shuffle",
    [
        lambda n: np.random.default_rng(0).permutation(n),
        lambda n: np.random.default_rng(SEEDS - 1).permutation(n),
        torch_order,
        np.arange,
    ],
)
def test_an_order_that_follows_from_a_small_seed_is_undone(shuffle):
    cohort = people(30, 4)
    found = attack(cohort, shuffle(len(cohort)))
    assert found.measures == {"rank1": 1.0, "placed": 1.0, "seed_found": 1.0}
    assert found.chance["rank1"] == pytest.approx(1 / 30)
    assert found.per_patient == dict.fromkeys(range(30), 1.0)


def test_an_order_of_the_system_s_entropy_stays_at_chance():
    """120 files: a guess that knows nothing places 1 of them on average and names 4; more than 7
    placed (Poisson, 1) come in under one of 90,000 trials, more than 19 named in under one of
    100,000 ones."""
    cohort = people(30, 4)
    found = attack(cohort, secret_order(len(cohort)))
    assert found.measures["seed_found"] == 0
    assert found.measures["placed"] <= 7 / 120
    assert found.measures["rank1"] <= 19 / 120
    assert found.chance["placed"] == pytest.approx(1 / 120)


def test_a_seed_is_found_in_a_release_form_that_no_attack_on_the_pictures_undoes():
    """K = 3: the pictures hide each patient among three, the order of the files hides nobody."""
    cohort = people(30, 4)
    release = KSameSelect(3, "release").privatize(cohort)
    order = np.random.default_rng(0).permutation(len(release))
    found = own_order(release.images[order], order, cohort.patient[release.source], SEEDS)
    assert found.measures["rank1"] == 1


def test_the_attack_is_one_of_the_list_and_says_what_it_lacks():
    cohort = toy_cohort()
    scene = scene_of(cohort, cohort.images)
    few = Attackers(cohort, budget=Budget(orders=SEEDS))
    setting = Setting([scene], few, "none", {}, None)
    assert run(setting, [NAME])[0].note == (
        "not possible here: the order of the shared files was not given"
    )
    rows = np.arange(len(cohort))
    shared = Shared(cohort.images, rows, np.random.default_rng(3).permutation(len(rows)))
    found = run(Setting([scene], few, "none", {}, None, shared=shared), [NAME])[0]
    assert found.measures["rank1"] == 1
    assert (found.kind, found.target) == ("naming", "source")
    np.testing.assert_array_equal(found.rows, shared.order)
    with pytest.raises(ValueError, match="each of the 48 rows"):
        Shared(cohort.images, rows, rows // 2)
    with pytest.raises(NotApplicable, match="fewer than 10 files"):
        own_order(cohort.images[:9], np.arange(9), cohort.patient[:9], SEEDS)
