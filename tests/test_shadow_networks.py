"""Membership in small federated networks: the halves, the sites' average, going on after a stop."""

import json

import numpy as np
import pytest
import torch
from small_cohorts import noise_cohort

from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.local import LocalTraining, fit_site
from medpriv_lib.federation.plan import Plan
from medpriv_lib.federation.sites import deal
from medpriv_lib.study import shadow_networks
from medpriv_lib.study.shadow_networks import Case, attacked, halves, images_of, run, trained

PATIENTS, MODELS = 12, 16
COHORT = noise_cohort(np.random.default_rng(0).permutation(np.repeat(np.arange(PATIENTS), 3)))
ONE_ROUND = Case(1, LocalTraining(), most=2, models=MODELS)


def test_every_network_sees_a_half_and_every_patient_is_in_and_out():
    inside = halves(COHORT, MODELS)
    assert inside.shape == (MODELS, PATIENTS)
    assert (inside.sum(axis=1) == PATIENTS // 2).all()
    assert inside.sum(axis=0).min() >= 3
    assert inside.sum(axis=0).max() <= MODELS - 3


def test_the_first_images_of_each_patient_are_kept_in_their_order():
    kept = images_of(COHORT, ONE_ROUND)
    wanted, seen = [], dict.fromkeys(range(PATIENTS), 0)
    for row, patient in enumerate(COHORT.patient.tolist()):
        seen[patient] += 1
        if seen[patient] <= 2:
            wanted.append(row)
    np.testing.assert_array_equal(kept.images, COHORT.images[wanted])
    assert len(images_of(COHORT, Case(1, LocalTraining()))) == len(COHORT)


def test_a_round_is_the_mean_of_what_the_sites_learnt():
    sites = deal(images_of(COHORT, ONE_ROUND), 3, "even", seeded(0, "deal"))
    found = trained(sites, ONE_ROUND, 16, "name").state_dict()
    plan, total = Plan(1, 16, pooling="max"), {}
    for site in sites:
        network = plan.network()
        network.load_state_dict(plan.first_weights(seeded(0, "shadow", "first weights")))
        draws = seeded(0, "name", site.name, 1)
        for name, one in fit_site(network, site, LocalTraining(), draws).weights.items():
            total[name] = total.get(name, 0) + site.patients / PATIENTS * one.double()
    for name, one in found.items():
        torch.testing.assert_close(one.double(), total[name], rtol=1e-5, atol=1e-7)


def test_the_study_goes_on_where_it_was_stopped(tmp_path):
    said = []

    def stop(text):
        said.append(text)
        if len(said) == 3:
            raise KeyboardInterrupt

    cases = {"one round": ONE_ROUND}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop, COHORT, cases)
    kept = json.loads((tmp_path / shadow_networks.FILE).read_text())["cases"]["one round"]
    assert len(kept["told"]) == 3
    whole = run(tmp_path, said.append, COHORT, cases)["cases"]["one round"]
    assert len(said) == 3 + MODELS - 3
    assert whole["told"][:3] == kept["told"]
    assert whole["found"]["n"] == MODELS * PATIENTS
    assert whole["found"]["auc_interval"][0] <= whole["found"]["auc"]


def test_a_network_that_remembers_is_found_and_one_that_does_not_is_guessed():
    rng = np.random.default_rng(0)
    inside = np.argsort(rng.random((65, 40)), axis=1) < 20
    noise = rng.normal(size=inside.shape)
    leaks, silent = attacked(noise + 4 * inside, inside), attacked(noise, inside)
    assert leaks["auc"] > 0.95
    assert leaks["tpr_0.1"] > 0.3
    # 1,300 pairs inside and as many outside: five standard errors of an area
    assert abs(silent["auc"] - 0.5) < 5 * 0.5 / np.sqrt(3 * 650)
    assert silent["tpr_0.1"] < 0.02
