"""A linear model from several sites equals that of pooled patients; noise is where it should be."""

import numpy as np
import pytest
import torch

from medpriv_lib.core.intervals import area
from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation import split_learning
from medpriv_lib.federation.linear import (
    Plan,
    SiteTable,
    federated_linear,
    patient_gradients,
    score,
)
from medpriv_lib.federation.private.accountant import Charge
from medpriv_lib.federation.split_learning import SplitPlan, split_scores, split_training


def table(people=30, each=4, seed=0):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(people), each)
    ill = patient % 2 == 0
    x = rng.normal(size=(len(patient), 5))
    x[:, 0] += 1.5 * ill
    return SiteTable(x, ill, patient)


def parts(whole, count=3):
    rows = [whole.patient % count == k for k in range(count)]
    return [SiteTable(whole.features[r], whole.diseased[r], whole.patient[r]) for r in rows]


def test_sites_equal_pooled_patients():
    whole, plan = table(), Plan(rounds=40)
    one = federated_linear([whole], plan, seeded(0))
    three = federated_linear(parts(whole), plan, seeded(0))
    assert np.abs(one - three).max() < 1e-9
    other = table(seed=1)
    assert area(score(one, other.features), other.diseased) > 0.75  # guessing: .5


def test_gradients_are_those_of_autograd():
    whole = table(people=5)
    model = torch.randn(6, generator=seeded(1), dtype=torch.float64).requires_grad_()
    x = torch.from_numpy(np.column_stack([whole.features, np.ones(20)]))
    y = torch.from_numpy(whole.diseased * 1.0)
    weight = torch.where(y > 0, 2.0, 0.5)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        x @ model, y, weight, reduction="none"
    )
    found = patient_gradients(model.detach().numpy(), whole, (0.5, 2.0))
    for p in range(5):
        (want,) = torch.autograd.grad(loss[4 * p : 4 * p + 4].mean(), model, retain_graph=True)
        assert np.allclose(found[p], want.numpy())


@pytest.mark.parametrize(("noised", "want"), [("each", 3**0.5), ("shares", 1.0)])
def test_how_much_noise_the_sum_holds(noised, want):
    none = SiteTable(np.zeros((1, 4000)), np.array([True]), np.array([0]))
    plan = Plan(rounds=1, clip=1e-9, noise=1e9, noised=noised)
    sums = []
    federated_linear([none] * 3, plan, seeded(0), see=lambda _, s: sums.append(np.sum(s, axis=0)))
    assert sums[0].std() == pytest.approx(want, rel=0.06)  # five standard errors of 4,001 numbers


def test_plans_that_protect_nobody():
    with pytest.raises(ValueError, match="noise without clipping"):
        Plan(noise=1.0)
    with pytest.raises(ValueError, match="'each' or in 'shares'"):
        Plan(noised="some")
    with pytest.raises(ValueError, match="at least one site"):
        federated_linear([], Plan(), seeded(0))
    with pytest.raises(ValueError, match="noise without clipping"):
        SplitPlan(noise=1.0)


def test_split_learning_learns_and_tells_the_labels():
    whole, other = table(people=60), table(seed=1)
    plan = SplitPlan(cut=8, epochs=20)
    network, crossed = split_training(
        whole.features, whole.diseased, whole.patient, plan, seeded(0)
    )
    scores, sent = split_scores(network, other.features, plan, seeded(1))
    assert area(scores, other.diseased) > 0.75
    assert sent.shape == (len(other.patient), 8)
    rows = np.concatenate(crossed.rows)
    told = np.concatenate(crossed.label_gradient) < 0
    assert (told == whole.diseased[rows]).all()  # every label of the epoch is read
    assert crossed.up == crossed.down == 20 * 240 * 4 * (8 + 1)


def test_split_gradients_equal_those_of_the_whole_network():
    whole = table(people=8)
    plan = SplitPlan(cut=4, epochs=1, batch=64, rate=1e-3, weights=(1.0, 1.0))
    network, _ = split_training(whole.features, whole.diseased, whole.patient, plan, seeded(0))
    generator = seeded(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        twin = split_learning.Split(5, 4)
    optimiser = torch.optim.Adam(twin.parameters(), 1e-3)
    x, y = torch.from_numpy(whole.features).float(), torch.from_numpy(whole.diseased * 1.0).float()
    logit = twin.upper(twin.lower(x))[:, 0]
    torch.nn.functional.binary_cross_entropy_with_logits(logit, y).backward()
    optimiser.step()
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_with_noise_a_patient_sends_one_image_an_epoch():
    whole = table()
    plan = SplitPlan(cut=4, epochs=3, clip=1.0, noise=0.5)
    _, crossed = split_training(whole.features, whole.diseased, whole.patient, plan, seeded(0))
    last = whole.patient[np.concatenate(crossed.rows)]
    assert sorted(last.tolist()) == list(range(30))
    assert plan.charge() == Charge(0.5, 1.0, 3)
