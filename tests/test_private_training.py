"""The private loop: what a step is, that a killed training goes on, what is refused."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.private import private_training
from medpriv_lib.federation.private.patient_gradients import Mechanism
from medpriv_lib.federation.private.private_training import (
    PrivateTraining,
    Settings,
    disease_scores,
)
from medpriv_lib.learning.rounds import run


def training(mechanism, seed=0, entropy=True, patients=6):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    g = seeded(seed, "data")
    x = torch.randn(2 * patients, 1, 3, 3, generator=g)
    y = (x.mean((1, 2, 3)) > 0).long()
    whose = np.repeat(np.arange(patients), 2)
    steps = (lambda step: seeded(seed, "step", step)) if entropy else None
    return PrivateTraining(network, x, y, whose, Settings(mechanism, 0.05), steps)


def weights(one):
    return torch.cat([p.detach().flatten() for p in one.network.parameters()])


def test_a_step_is_adam_on_the_mean_of_clipped_gradients():
    one = training(Mechanism(1.0, clip=0.2, most=2))
    twin = copy.deepcopy(one.network)
    optimiser = torch.optim.Adam(twin.parameters(), 0.05)
    total = [torch.zeros_like(p) for p in twin.parameters()]
    for rows in one.members:
        twin.zero_grad()
        nn.functional.cross_entropy(twin(one.images[rows]), one.labels[rows]).backward()
        length = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
        for s, p in zip(total, twin.parameters(), strict=True):
            s += p.grad * min(1.0, 0.2 / float(length))
    for s, p in zip(total, twin.parameters(), strict=True):
        p.grad = s / 6
    optimiser.step()
    one.step()
    torch.testing.assert_close(
        weights(one), torch.cat([p.flatten() for p in twin.parameters()]).detach()
    )


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path):
    mechanism = Mechanism(0.5, noise=0.7)
    whole = training(mechanism)
    run(whole, 6, 6, lambda: None)
    part = training(mechanism)
    run(part, 3, 3, lambda: None, tmp_path)
    again = training(mechanism)
    assert again.load(tmp_path)
    assert again.done == 3
    run(again, 6, 6, lambda: None, tmp_path)
    torch.testing.assert_close(weights(again), weights(whole), rtol=0, atol=0)
    with pytest.raises(ValueError, match="other settings"):
        training(Mechanism(0.5, noise=0.6)).load(tmp_path)


def test_noise_comes_from_the_operating_system_where_no_seed_is_given(monkeypatch):
    asked = []
    monkeypatch.setattr(private_training, "fresh", lambda: asked.append(1) or seeded(len(asked)))
    one = training(Mechanism(0.5, noise=1.0), entropy=False)
    one.step()
    one.step()
    assert len(asked) == 2
    monkeypatch.undo()
    first, second = (training(Mechanism(0.5, noise=1.0), entropy=False) for _ in range(2))
    first.step()
    second.step()
    assert not torch.equal(weights(first), weights(second))


def test_a_step_without_anybody_is_a_step_of_noise():
    one = training(Mechanism(1e-9, noise=1.0))
    before = weights(one)
    one.step()
    assert not torch.equal(before, weights(one))
    still = training(Mechanism(1e-9))
    before = weights(still)
    still.step()
    torch.testing.assert_close(weights(still), before)


def test_it_learns_without_noise_and_not_under_a_flood_of_it():
    clear, flooded = training(Mechanism(1.0, most=2), patients=60), None
    flooded = training(Mechanism(1.0, noise=500.0, most=2), patients=60)
    for one in (clear, flooded):
        run(one, 40, 40, lambda: None)
    right = [
        np.mean((disease_scores(one.network, one.images) > 0) == (one.labels.numpy() == 1))
        for one in (clear, flooded)
    ]
    assert right[0] > 0.95
    assert right[1] < 0.8


def test_what_does_not_fit_is_refused():
    x, y = torch.zeros(4, 1, 3, 3), torch.zeros(4, dtype=torch.long)
    network, settings = nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), Settings(Mechanism(0.5))
    with pytest.raises(ValueError, match="give one of each per image"):
        PrivateTraining(network, x, y, np.zeros(3, int), settings)
    with pytest.raises(ValueError, match="cannot hide among others"):
        PrivateTraining(network, x, y, np.zeros(4, int), settings)
    mixing = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(9, 2))
    with pytest.raises(ValueError, match="batch norm"):
        PrivateTraining(mixing, x, y, np.arange(4), settings)
