"""Patients dealt to hospitals, one hospital's round, and the average of updates."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from federation_sites import QUICK, first, hospitals, plan_of, same
from small_cohorts import patterned_cohort, toy_cohort

from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.average import average
from medpriv_lib.federation.local import LocalTraining, Update, begin, fit_site, plain_step
from medpriv_lib.federation.scanner import Scanner
from medpriv_lib.federation.sites import HOWS, Site, deal, split_by_patient

COHORT = patterned_cohort(40, 4, by_patient=True)


def people(cohort):
    return set(cohort.patient.tolist())


@pytest.mark.parametrize("how", HOWS)
def test_patients_are_dealt_once_and_test_patients_to_nobody(how):
    sites = deal(COHORT, 3, how, seeded(0))
    groups = [people(site.cohort) for site in sites]
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert set.union(*groups) == people(COHORT) - people(COHORT.of("test"))
    assert sum(len(site.cohort) for site in sites) == (COHORT.split != "test").sum()
    assert all(site.val is not None for site in sites)
    again = deal(COHORT, 3, how, seeded(0))
    assert [one.cohort.hash() for one in again] == [one.cohort.hash() for one in sites]
    other = deal(COHORT, 3, how, seeded(1))
    assert [one.cohort.hash() for one in other] != [one.cohort.hash() for one in sites]


def test_ways_to_deal_do_what_they_say():
    even = [site.patients for site in deal(COHORT, 3, "even", seeded(0))]
    assert max(even) - min(even) <= 1
    one, two, three = (site.patients for site in deal(COHORT, 3, "size", seeded(0)))
    assert one < two < three
    assert three >= 2 * two - 3
    ill = [site.train.diseased.mean() for site in deal(COHORT, 3, "label", seeded(0))]
    assert ill[0] + 0.2 < ill[1] < ill[2] - 0.1
    plain, taken = (deal(COHORT, 3, how, seeded(0)) for how in ("even", "scanner"))
    for before, after in zip(plain, taken, strict=True):
        assert people(before.cohort) == people(after.cohort)
        assert (before.cohort.images != after.cohort.images).mean() > 0.5
    means = [site.cohort.images.mean() for site in taken]
    assert max(means) - min(means) > 10


def test_a_cohort_split_by_image_is_refused_and_split_by_patient_is_not():
    cohort = toy_cohort(12)
    with pytest.raises(ValueError, match="0 patients have training images and no test image"):
        deal(cohort, 2, "even", seeded(0))
    split = split_by_patient(cohort, seeded(0))
    assert people(split.of("train")).isdisjoint(people(split.of("test")))
    assert len(deal(split, 2, "even", seeded(0))) == 2


def test_bad_sites_are_named():
    with pytest.raises(ValueError, match="unknown way to deal patients 'odd'"):
        deal(COHORT, 2, "odd", seeded(0))
    with pytest.raises(ValueError, match="too few for 30 site"):
        deal(COHORT, 30, "even", seeded(0))
    with pytest.raises(ValueError, match="site here: its cohort has test images"):
        Site("here", COHORT)
    lonely = COHORT.take(COHORT.patient == 0)
    with pytest.raises(ValueError, match=r"site here: 1 training patient"):
        Site.of(lonely, "here")
    with pytest.raises(ValueError, match="no training images"):
        Site.of(COHORT.of("test"), "here")
    assert Site.of(COHORT.of("train"), "here").val is None


def test_a_scanner_changes_levels_as_its_formula_says():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    scanner = Scanner(gain=0.5, black=20, gamma=2.0, blur=0.0, noise=0.0)
    shown = scanner.photograph(images, seeded(0)).ravel()
    assert [shown[0], shown[128], shown[255]] == [20, round(128**2 / 255 * 0.5 + 20), 148]
    noisy = replace(scanner, noise=10.0).photograph(np.full((1, 64, 64), 128, np.uint8), seeded(0))
    assert 9 < noisy.std() < 11


def test_a_round_is_the_same_again_and_leaves_the_generator_alone():
    site, plan = hospitals()[0], plan_of()
    before = torch.get_rng_state()
    results = []
    for _ in range(2):
        network = plan.network() if not results else results[0][0]
        network.load_state_dict(first(plan))
        torch.set_rng_state(before)
        update = fit_site(network, site, LocalTraining(epochs=2, dropout=0.5), seeded(3))
        assert torch.equal(torch.get_rng_state(), before)
        results.append((network, update))
    assert same(results[0][1].weights, results[1][1].weights)
    assert not same(results[0][1].weights, first(plan))
    assert results[0][1].patients == site.patients
    assert results[0][1].metrics["steps"] == 2 * -(-len(site.train) // 16)


def test_one_step_is_the_gradient_of_the_loss_and_the_proximal_pull():
    site, plan = hospitals()[0], plan_of()
    settings = replace(QUICK, proximal=2.0, class_weights=(1.0, 3.0))
    network = plan.network()
    network.load_state_dict(first(plan))
    learning = begin(network, site, settings)
    for one in network.parameters():
        one.data += 0.01
    rows = torch.arange(6)
    plain_step(learning, rows, seeded(0))
    found = [one.grad.clone() for one in network.parameters()]
    twin = plan.network()
    twin.load_state_dict(first(plan))
    twin.dropout.p = 0.0
    for one in twin.parameters():
        one.data += 0.01
    label = learning.labels[:6]
    loss = -torch.log_softmax(twin(learning.images[:6]), 1)[torch.arange(6), label]
    weight = torch.tensor([1.0, 3.0])[label]
    ((loss * weight).sum() / weight.sum()).backward()
    for one, other in zip(found, twin.parameters(), strict=True):
        assert torch.allclose(one, other.grad + 2.0 * 0.01, atol=1e-5)


def test_the_proximal_term_keeps_a_site_near():
    site, plan = hospitals()[0], plan_of()
    start, far = first(plan), []
    for mu in (0.0, 10.0):
        network = plan.network()
        network.load_state_dict(start)
        update = fit_site(network, site, replace(QUICK, proximal=mu, epochs=3), seeded(0))
        far.append(sum(float(((update.weights[k] - start[k]) ** 2).sum()) for k in start))
    assert far[1] < 0.5 * far[0]


def test_the_average_equals_a_slow_one():
    rng = np.random.default_rng(0)
    updates = [
        Update(
            f"site-{k}",
            {"a": torch.tensor(rng.normal(size=(3, 2)), dtype=torch.float32), "n": torch.tensor(k)},
            patients,
        )
        for k, patients in enumerate((3, 5, 11))
    ]
    found = average(updates)
    for i in range(3):
        for j in range(2):
            slow = sum(u.patients * float(u.weights["a"][i, j]) for u in updates) / 19
            assert float(found["a"][i, j]) == pytest.approx(slow, rel=1e-7)
    assert found["a"].dtype == torch.float32
    assert int(found["n"]) == round((0 * 3 + 1 * 5 + 2 * 11) / 19)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"w": torch.tensor([1.0, float("nan")])}, "not finite, in w"),
        ({"w": torch.tensor([1.0, float("inf")])}, "not finite, in w"),
        ({"w": torch.zeros(3)}, r"w is torch.float32 \(3,\), expected torch.float32 \(2,\)"),
        ({"w": torch.zeros(2, dtype=torch.float64)}, "w is torch.float64"),
        ({"v": torch.zeros(2)}, "tensors of another network"),
    ],
)
def test_an_update_that_is_no_update_is_refused_by_name(change, words):
    good = Update("site-1", {"w": torch.zeros(2)}, 3)
    with pytest.raises(ValueError, match="the update of site-2.*" + words):
        average([good, Update("site-2", change, 3)])


def test_an_update_of_nobody_and_no_update_are_refused():
    with pytest.raises(ValueError, match="learnt from 0 patients"):
        average([Update("site-1", {"w": torch.zeros(2)}, 0)])
    with pytest.raises(ValueError, match="no update to average"):
        average([])


def test_settings_that_cannot_be_are_refused_and_the_rate_falls():
    with pytest.raises(ValueError, match="at least one epoch"):
        LocalTraining(epochs=0)
    rates = [LocalTraining(rate=1.0).of_round(k, 4).rate for k in range(1, 5)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[2] == pytest.approx(0.5)
    assert rates[3] > 0
