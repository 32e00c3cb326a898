"""Small hospitals that several test files share, and the same training without messages."""

import torch
from small_cohorts import patterned_cohort

from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.average import average
from medpriv_lib.federation.local import LocalTraining, fit_site
from medpriv_lib.federation.plan import Plan
from medpriv_lib.federation.sites import deal

QUICK = LocalTraining(batch=16, strength=0.0)


def hospitals(sites=3, patients=15, images=6, how="even"):
    """Return hospitals whose patients networks can learn, images of 16x16."""
    cohort = patterned_cohort(patients, images, by_patient=True)
    return deal(cohort, sites, how, seeded(0, "deal"))


def plan_of(rounds=2, **more):
    """Return a plan for `hospitals`."""
    return Plan(rounds, 16, **{"training": QUICK} | more)


def draw(site):
    """Return where a site's random numbers come from, round by round."""
    return lambda number: seeded(0, site.name, number)


def first(plan):
    """Return the weights that a federation of the tests starts from."""
    return plan.first_weights(seeded(0, "first"))


def by_hand(plan, sites, weights):
    """Return the weights after all rounds, without Flower."""
    for number in range(1, plan.rounds + 1):
        updates = []
        for site in sites:
            network = plan.network()
            network.load_state_dict(weights)
            settings = plan.training.of_round(number, plan.rounds)
            updates.append(fit_site(network, site, settings, draw(site)(number)))
        weights = average(updates)
    return weights


def same(one, two):
    """Return whether two sets of weights are equal, bit for bit."""
    return list(one) == list(two) and all(torch.equal(one[name], two[name]) for name in one)
