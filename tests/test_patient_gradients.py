"""Gradients of patients, beside a loop over patients and beside Opacus' gradients of images."""

import pytest
import torch
from torch.nn import functional

from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.private.patient_gradients import (
    Mechanism,
    clipped_sum,
    draw_images,
    draw_patients,
    noised,
    patient_gradients,
)
from medpriv_lib.recognition.grouped import Grouped
from medpriv_lib.recognition.networks import Recogniser

WEIGHTS = torch.tensor([0.65, 2.1])


@pytest.fixture
def drawn():
    """Three patients with 2, 1 and 3 images of 16x16, and a network."""
    g = seeded(0, "images")
    torch.manual_seed(0)
    members = [torch.tensor([0, 1]), torch.tensor([2]), torch.tensor([3, 4, 5])]
    x = torch.randn(6, 1, 16, 16, generator=g)
    y = torch.tensor([0, 1, 1, 0, 0, 1])
    return Grouped(2, 16), x, y, members


def slow(network, x, y, members):
    """Each patient's mean gradient, one patient at a time, by autograd."""
    found = []
    network.eval()
    for rows in members:
        network.zero_grad()
        loss = functional.cross_entropy(network(x[rows]), y[rows], WEIGHTS, reduction="none")
        loss.mean().backward()
        found.append({k: p.grad.clone() for k, p in network.named_parameters()})
    return {k: torch.stack([one[k] for one in found]) for k in found[0]}


def test_gradients_are_those_of_a_loop_over_patients(drawn):
    network, x, y, members = drawn
    rows, weight = draw_images(members, 3, seeded(1))
    fast = patient_gradients(network, x[rows], y[rows], weight, WEIGHTS)
    for key, value in slow(network, x, y, members).items():
        torch.testing.assert_close(fast[key], value, atol=1e-5, rtol=1e-4)


def test_gradients_are_the_means_of_opacus_gradients_of_images(drawn):
    module = pytest.importorskip("opacus.grad_sample").GradSampleModule
    network, x, y, members = drawn
    rows, weight = draw_images(members, 3, seeded(1))
    fast = patient_gradients(network, x[rows], y[rows], weight, WEIGHTS)
    network.dropout.p = 0.0  # Opacus keeps gradients of images in training mode only
    network.train()
    wrapped = module(network, loss_reduction="sum")
    functional.cross_entropy(wrapped(x), y, WEIGHTS, reduction="none").sum().backward()
    for key, parameter in network.named_parameters():
        mean = torch.stack([parameter.grad_sample[rows].mean(0) for rows in members])
        torch.testing.assert_close(fast[key], mean, atol=1e-5, rtol=1e-4)


def test_no_patient_moves_the_sum_by_more_than_the_clip(drawn):
    network, x, y, members = drawn
    x = x * torch.tensor([1.0, 1, 50, 1, 1, 1]).view(-1, 1, 1, 1)  # a patient who shouts
    rows, weight = draw_images(members, 3, seeded(1))
    each = patient_gradients(network, x[rows], y[rows], weight, WEIGHTS)
    total, norms = clipped_sum(each, 0.1)
    assert (norms > 0.1).all()
    for left in range(3):
        others = [k for k in range(3) if k != left]
        without, _ = clipped_sum({k: v[others] for k, v in each.items()}, 0.1)
        moved = torch.stack([(total[k] - without[k]).norm() for k in total]).norm()
        assert moved == pytest.approx(0.1, rel=1e-3)
    loose, _ = clipped_sum(each, 1e9)
    for key, value in each.items():
        torch.testing.assert_close(loose[key], value.sum(0))


def test_at_most_so_many_images_count_and_each_patient_weighs_the_same():
    members = [torch.arange(10), torch.tensor([20])]
    rows, weight = draw_images(members, 4, seeded(2))
    assert rows.shape == (2, 4)
    assert len(set(rows[0].tolist())) == 4
    assert rows[1].eq(20).all()
    assert weight.sum(1).tolist() == [1, 1]
    assert weight[1].tolist() == [1, 0, 0, 0]
    with pytest.raises(ValueError, match="a patient without image"):
        draw_images([torch.arange(0)], 4, seeded(2))


def test_patients_are_drawn_independently():
    g = seeded(3)
    counts = torch.tensor([len(draw_patients(40, 0.25, g)) for _ in range(4000)]).double()
    # binomial(40, .25): mean 10, variance 7.5; 4,000 draws know the mean to .043, the variance to .17
    assert counts.mean() == pytest.approx(10, abs=0.2)
    assert counts.var() == pytest.approx(7.5, abs=0.8)


def test_noise_has_the_stated_size():
    value = noised({"a": torch.zeros(50_000)}, 3.0, seeded(4))["a"]
    assert value.std() == pytest.approx(3.0, rel=0.02)  # known to .3 %
    assert noised({"a": torch.ones(2)}, 0.0, seeded(4))["a"].tolist() == [1, 1]


def test_what_protects_nobody_is_refused(drawn):
    _, x, y, _ = drawn
    with pytest.raises(ValueError, match="batch norm"):
        patient_gradients(Recogniser(2, 16), x[None], y[None], torch.ones(1, 6) / 6)
    with pytest.raises(ValueError, match="noise without clipping"):
        Mechanism(0.2, float("inf"), 1.0)
    with pytest.raises(ValueError, match="rate in 0..1"):
        Mechanism(1.5)
    with pytest.raises(ValueError, match="at least one image"):
        Mechanism(0.5, most=0)
