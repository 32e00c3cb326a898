"""The swap terms against a loop, the published fault, and every other loss against its definition."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from medpriv_lib.learning.reversal import reversed_gradient
from medpriv_lib.privatizers.disentangled.losses import (
    distances,
    gradient_loss,
    negative_entropy,
    pair_loss,
    psnr_loss,
    ssim,
    swap_terms,
    swaps,
)
from medpriv_lib.privatizers.disentangled.networks import Architecture, Networks, Vectors

SMALL = Architecture(patients=5, size=16, width=8, medical=3, identity=4, other=2)


def random_vectors(n, lengths=(3, 4, 2), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Vectors(*(torch.randn(n, length, generator=generator) for length in lengths))


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return Networks(SMALL).eval()


def slow_terms(networks, a, b, published):
    """Nine numbers, image by image, swap by swap."""
    terms = np.zeros((3, 3))
    n = len(a.medical)
    for i in range(n):
        for p in range(3):
            one = [part[i : i + 1].clone() for part in a]
            one[p] = b[p][i : i + 1]
            again = networks.encode(networks.generate(Vectors(*one)))
            for q in range(3):
                wanted = b if q == p and not published else a
                terms[p, q] += float((again[q][0] - wanted[q][i]).square().mean()) / n
    return terms


@torch.no_grad()
@pytest.mark.parametrize("form", ["donor", "published"])
def test_nine_terms_are_those_of_a_loop(networks, form):
    a, b = random_vectors(4), random_vectors(4, seed=1)
    found = swap_terms(networks.encode, networks.generate, a, b, form)
    slow = slow_terms(networks, a, b, form == "published")
    np.testing.assert_allclose(found.terms.numpy(), slow, rtol=1e-4)
    assert found.images.shape == (12, 1, 16, 16)


@torch.no_grad()
def test_the_published_form_differs_in_three_of_nine_terms(networks):
    a, b = random_vectors(4), random_vectors(4, seed=1)
    right, wrong = (
        swap_terms(networks.encode, networks.generate, a, b, form).terms
        for form in ("donor", "published")
    )
    assert torch.nonzero(right != wrong).tolist() == [[0, 0], [1, 1], [2, 2]]


@torch.no_grad()
def test_networks_that_are_exact_have_no_error_in_the_donor_form_and_some_in_the_published():
    """Vectors laid side by side as an image are encoded without loss: nothing is left to learn, and
    the published form still asks for something else."""

    def exact(vectors):
        return vectors.joined()

    def read(image):
        return Vectors(*image.split([3, 4, 2], dim=1))

    a, b = random_vectors(6), random_vectors(6, seed=1)
    assert swap_terms(read, exact, a, b, "donor").terms.abs().max() == 0
    wrong = swap_terms(read, exact, a, b, "published").terms
    assert (wrong.diagonal() > 0.1).all()
    assert wrong.sum() == wrong.diagonal().sum()


def test_targets_get_a_gradient_only_without_detach(networks):
    for detach in (True, False):
        a = random_vectors(2).mapped(lambda one: one.requires_grad_())
        b = random_vectors(2, seed=1).mapped(lambda one: one.requires_grad_())
        # the images are cut off, so that only the targets can lead back
        terms = swap_terms(
            networks.encode, lambda v: networks.generate(v).detach(), a, b, "donor", detach
        ).terms
        grads = (
            torch.autograd.grad(terms.sum(), [*a, *b], allow_unused=True) if not detach else [None]
        )
        assert any(one is not None and one.abs().sum() > 0 for one in grads) == (not detach)


def test_a_vector_that_was_left_out_contributes_nothing():
    architecture = Architecture(patients=5, size=16, width=8, medical=3, identity=4, other=0)
    networks = Networks(architecture)
    a, b = random_vectors(2, (3, 4, 0)), random_vectors(2, (3, 4, 0), seed=1)
    terms = swap_terms(networks.encode, networks.generate, a, b).terms
    assert (terms[:, 2] == 0).all()
    assert torch.isfinite(terms).all()
    assert architecture.parts == ("medical", "identity")
    assert [name for name in networks.adversaries] == ["patient_medical", "label_identity"]


def test_swaps_take_one_vector_of_the_donor():
    a, b = random_vectors(2), random_vectors(2, seed=1)
    for p, one in enumerate(swaps(a, b)):
        for q in range(3):
            assert one[q] is (b if p == q else a)[q]


def test_the_gradient_comes_back_reversed():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reversed_gradient(x, 0.5)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, 4.0])).sum().backward()
    assert x.grad.tolist() == [-1.5, -2.0]


def test_an_adversary_learns_while_its_source_unlearns():
    """One step with a reversed gradient: the head's loss falls by its own step and rises by the
    source's."""
    torch.manual_seed(0)
    source, head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)
    x, y = torch.randn(64, 4), (torch.randn(64) > 0).long()

    def loss():
        return torch.nn.functional.cross_entropy(head(reversed_gradient(source(x), 1.0)), y)

    before = loss()
    before.backward()
    for network, sign in ((head, -1), (source, 1)):
        kept = {k: v.clone() for k, v in network.state_dict().items()}
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= 0.1 * parameter.grad
            assert (loss() - before) * sign > 0
        network.load_state_dict(kept)


def test_pairs_are_pulled_together_and_pushed_apart():
    identity = torch.tensor([[0.0, 0.0], [0.4, 0.0], [3.0, 0.0]])
    partner = identity + torch.tensor([[0.0, 0.2]])
    patient = torch.tensor([0, 1, 2])
    near = [
        max(0.0, 1 - float((identity[i] - partner[j]).square().mean()))
        for i in range(3)
        for j in range(3)
        if i != j
    ]
    near = [one for one in near if one > 0]
    expected = 0.02 + sum(near) / len(near)
    assert len(near) == 2
    assert pair_loss(identity, partner, patient, 1.0).item() == pytest.approx(expected, rel=1e-5)
    far = torch.tensor([[0.0, 0.0], [5.0, 0.0], [10.0, 0.0]])
    assert pair_loss(far, far, patient, 1.0).item() == 0
    assert pair_loss(far, far, torch.zeros(3).long(), 1e9).item() == 0  # one patient: nobody apart


def test_distances_are_mean_squared_differences():
    a, b = torch.randn(3, 5), torch.randn(4, 5)
    slow = torch.tensor([[float((x - y).square().mean()) for y in b] for x in a])
    assert torch.allclose(distances(a, b), slow, atol=1e-6)


def test_ssim_is_that_of_torchmetrics():
    torch.manual_seed(0)
    a = torch.rand(3, 1, 24, 24) * 2 - 1
    b = (a + 0.3 * torch.randn(a.shape)).clamp(-1, 1)
    _, everywhere = structural_similarity_index_measure(
        a, b, data_range=2.0, reduction="none", return_full_image=True
    )
    inside = everywhere[..., 5:-5, 5:-5].flatten(1).mean(dim=1)  # theirs mirrors the borders
    assert torch.allclose(ssim(a, b), inside, atol=1e-4)
    assert torch.allclose(ssim(a, a), torch.ones(3), atol=1e-5)
    assert (ssim(a, b) < 0.99).all()


def test_psnr_and_slopes():
    image = torch.zeros(1, 1, 8, 8)
    assert psnr_loss(image + 0.2, image).item() == pytest.approx((48 - 20) / 24, abs=1e-5)
    assert gradient_loss(image + 0.7, image).item() == 0  # a level has no slope
    step = image.clone()
    step[..., 4:] = 1
    # at each of three scales one of the 7, 3, 1 differences across is 1
    assert gradient_loss(step, image).item() == pytest.approx((1 / 7 + 1 / 3 + 1) / 3, rel=1e-6)


def test_entropy_is_lowest_where_everybody_is_as_likely():
    even, sure = torch.zeros(1, 4), torch.tensor([[50.0, 0, 0, 0]])
    assert negative_entropy(even).item() == pytest.approx(-math.log(4))
    assert negative_entropy(sure).item() == pytest.approx(0, abs=1e-6)
    known = torch.tensor([0, 1])
    assert negative_entropy(even, known).item() == pytest.approx(-math.log(2))
