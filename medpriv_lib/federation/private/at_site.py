"""A site's side of private rounds: its own ledger decides, and its own entropy makes the noise."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from medpriv_lib.core.pixels import require_images, to_tensor
from medpriv_lib.core.randomness import fresh
from medpriv_lib.federation.local import LocalTraining, Update, weights_of
from medpriv_lib.federation.private.demand import Demand
from medpriv_lib.federation.private.ledger import Ledger
from medpriv_lib.federation.private.patient_gradients import (
    clipped_sum,
    draw_images,
    draw_patients,
    noised,
    patient_gradients,
)
from medpriv_lib.federation.sites import Site
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.probe import Probe

PLAIN = (1.0, 1.0)  # class weights that are no statistic of these patients


@dataclass(frozen=True, eq=False)
class Guard:
    """What a site insists on, whatever the coordinator asks.

    `ledger` None: nothing is promised and nothing charged, for a clip without noise. `shares`: the
    fewest honest sites behind any sum that is ever opened, 1 without secure aggregation; noise in
    more shares than that is refused. `seeded`: the noise comes from the generator of the round,
    which protects nobody, for studies and tests.
    """

    ledger: Ledger | None = None
    shares: int = 1
    seeded: bool = False


def fit_privately(
    network: Recogniser,
    site: Site,
    settings: LocalTraining,
    demand: Demand | None,
    guard: Guard | None,
    generator: torch.Generator,
    ahead: int = 0,
) -> Update:
    """Charge the site's ledger, then train one round with noise, in place; return what leaves.

    A step of plain gradient descent (rate of `settings`, whose batches, epochs and augmentation do
    not apply): then the average of the sites' weights, weighted by patients, is the step over all
    patients, with the sum of all sites' noise. Nothing about the images leaves but the weights: no
    loss and no number of images. `ahead` rounds are expected to follow. Raises `ValueError` where
    the site and the coordinator do not want the same, and `BudgetSpent`, before anything is
    computed, where the ledger does not hold the round.
    """
    guard = _agreed(site, demand, guard)
    assert demand is not None
    if guard.ledger is not None:
        guard.ledger.pay(demand.charge(), ahead)
    patients, members = members_of(site)
    if guard.ledger is None and demand.noise:
        raise ValueError(f"site {site.name}: noise without a ledger promises nothing; name one")
    draw = generator if guard.seeded else fresh()
    inputs, module = _read(network, site)
    labels = torch.from_numpy(site.train.diseased.astype(np.int64))
    weights = torch.tensor(settings.class_weights or PLAIN)
    mechanism = demand.mechanism()
    scale = mechanism.noise * mechanism.clip if mechanism.noise else 0.0
    for _ in range(demand.steps):
        drawn = draw_patients(patients, mechanism.rate, draw)
        total = {key: torch.zeros_like(one) for key, one in module.named_parameters()}
        if len(drawn):
            rows, share = draw_images([members[k] for k in drawn], mechanism.most, draw)
            each = patient_gradients(module, inputs[rows], labels[rows], share, weights)
            total, _ = clipped_sum(each, mechanism.clip)
        total = noised(total, scale, draw)
        expected = mechanism.rate * patients  # how many were drawn would be a statistic
        with torch.no_grad():
            for key, parameter in module.named_parameters():
                parameter.sub_(settings.rate * total[key] / expected)
    network.eval()
    return Update(site.name, weights_of(network), patients, {"steps": float(demand.steps)})


def members_of(site: Site) -> tuple[int, list[Tensor]]:
    """Return how many training patients a site has, and the rows of each one's images."""
    numbers, index = np.unique(site.train.patient, return_inverse=True)
    rows = [torch.from_numpy(np.flatnonzero(index == k)) for k in range(len(numbers))]
    return len(numbers), rows


def _read(network: Recogniser, site: Site) -> tuple[Tensor, nn.Module]:
    """Return what the trained part of the network reads of the site's images, and that part."""
    images = site.train.images
    try:
        require_images(images, network.size, network.channels, "recogniser")
    except ValueError as error:
        raise ValueError(f"site {site.name}: {error}") from error
    if isinstance(network, Probe):
        return network.read(images), network.head
    return to_tensor(images), network


def _agreed(site: Site, demand: Demand | None, guard: Guard | None) -> Guard:
    if demand is None:
        raise ValueError(
            f"site {site.name} learns with differential privacy only, and the coordinator asks for "
            "none; start the coordinator with --epsilon"
        )
    if guard is None:
        if demand.noise:
            raise ValueError(
                f"site {site.name}: the coordinator asks for differential privacy, and this site "
                "keeps no ledger; start it with --epsilon and --ledger"
            )
        return Guard()
    if demand.shares > guard.shares:
        raise ValueError(
            f"site {site.name}: the coordinator asks for noise in {demand.shares} shares, and here "
            f"a sum over {guard.shares} site(s) may be opened, which would have too little of it; "
            "use secure aggregation with a larger threshold, or local noise"
        )
    if not math.isfinite(demand.noise):
        raise ValueError(f"site {site.name}: the coordinator asks for noise {demand.noise}")
    return guard
