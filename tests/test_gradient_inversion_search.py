"""What a better search stands on: the coordinates of public images, and steps that have a slope."""

import numpy as np
import pytest
import scipy.fft
import torch
from test_gradient_inversion import PUBLIC, SIZE, generator, place_among, smooth_images
from torch import nn

from medpriv_lib.attacks.gradient_inversion.basis import Basis, from_waves, waves
from medpriv_lib.attacks.gradient_inversion.gradients import gradients_of
from medpriv_lib.attacks.gradient_inversion.invert import Search, invert
from medpriv_lib.attacks.gradient_inversion.kinks import Kink, with_kinks
from medpriv_lib.attacks.gradient_inversion.objective import Terms
from medpriv_lib.study.gradient_inversion.networks import network_of


def test_waves_are_the_cosine_transform_of_scipy():
    x = smooth_images(2)[..., :12]
    wanted = scipy.fft.dctn(x.double().numpy(), axes=(-2, -1), norm="ortho")
    np.testing.assert_allclose(waves(x.double()).numpy(), wanted, atol=1e-6)
    torch.testing.assert_close(from_waves(waves(x)), x, atol=1e-5, rtol=0)


def test_a_basis_is_that_of_the_covariance():
    """The slow twin takes the whole covariance apart, and the left-over wave by wave."""
    public = smooth_images(12)
    basis = Basis.of(public, 4)
    flat = public.flatten(1).double().numpy()
    covariance = np.cov(flat.T, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1][:4], vectors[:, ::-1][:, :4]
    found = basis.directions.double().numpy()
    np.testing.assert_allclose(found @ found.T, (vectors * values) @ vectors.T, atol=1e-5)
    apart = flat - flat.mean(0)
    left = (apart - apart @ vectors @ vectors.T).reshape(-1, SIZE, SIZE)
    power = (scipy.fft.dctn(left, axes=(1, 2), norm="ortho") ** 2).mean(0)
    i, j = np.mgrid[:SIZE, :SIZE]
    length = np.round(np.hypot(i, j))
    for u, v in ((0, 0), (0, 3), (2, 2), (9, 5)):
        wanted = np.sqrt(power[length == length[u, v]].mean())
        assert float(basis.spread[u, v]) == pytest.approx(wanted, abs=1e-4)


def test_coordinates_reach_every_image_and_begin_at_the_mean():
    basis = Basis.of(PUBLIC, 100)  # more directions than there are images
    assert basis.directions.shape == (SIZE**2, len(PUBLIC) - 1)
    torch.testing.assert_close(basis.images(*basis.start(2))[1], PUBLIC.mean(0))
    # in a basis with room for a single direction the waves reach what the direction does not
    basis, x = Basis.of(PUBLIC, 1), smooth_images(1, seed=3)
    along, _ = basis.start(1)
    rest = waves(x - basis.mean) / basis.spread
    torch.testing.assert_close(basis.images(along, rest), x, atol=1e-4, rtol=0)
    for public, most in ((PUBLIC[:1], 3), (PUBLIC, 0)):
        with pytest.raises(ValueError, match="at least two public images and one direction"):
            Basis.of(public, most)


def test_a_kink_is_a_relu_but_for_its_second_derivative():
    a = torch.tensor([-0.5, -0.1, 0.05, 0.2, 2.0], requires_grad=True)
    weight, width = torch.arange(1.0, 6.0), 0.4
    out = Kink(width)(a)
    assert torch.equal(out, torch.relu(a))
    (slope,) = torch.autograd.grad((weight * out).sum(), a, create_graph=True)
    assert torch.equal(slope, weight * (a > 0))
    (second,) = torch.autograd.grad(slope.sum(), a)
    wanted = [0.0, 2 * 0.3 / 0.16, 3 * 0.35 / 0.16, 4 * 0.2 / 0.16, 0.0]  # triangle of area 1
    torch.testing.assert_close(second, torch.tensor(wanted))
    with pytest.raises(ValueError, match="above 0"):
        Kink(0.0)


def test_a_kink_knows_the_jumps_that_a_relu_hides():
    """Summed over many units, the gradient changes by what the kink's derivative says."""
    count = 4000
    a = torch.linspace(-1, 1, count)
    shift = torch.tensor(0.0, requires_grad=True)

    def slope(by, rectified):
        (found,) = torch.autograd.grad(rectified(a + by).mean(), by, create_graph=True)
        return found

    ahead, behind = (slope(shift + s, nn.ReLU()) for s in (0.1, -0.1))
    change = float((ahead - behind).detach()) / 0.2
    seen = slope(shift, Kink(0.3))
    assert float(torch.autograd.grad(seen, shift)[0]) == pytest.approx(change, rel=0.05)
    assert change > 0.4
    hidden = torch.autograd.grad(slope(shift, nn.ReLU()), shift, allow_unused=True)[0]
    assert hidden is None or float(hidden) == 0  # a constant, as far as it knows


def test_a_copy_with_kinks_says_the_same_and_the_network_is_left_alone():
    network = network_of("average", SIZE, 0)
    before = [type(part) for part in network.modules()]
    copied, kinks = with_kinks(network, 0.3)
    assert len(kinks) == sum(kind is nn.ReLU for kind in before) == 5
    assert [type(part) for part in network.modules()] == before
    x, y = smooth_images(1), torch.tensor([1])
    wanted, found = (gradients_of(one, x, y) for one in (network, copied))
    assert wanted.keys() == found.keys()
    for name, one in wanted.items():
        torch.testing.assert_close(found[name], one)


def test_with_basis_and_kinks_the_search_finds_an_image_of_the_recogniser():
    network, images = network_of("average", SIZE, 0), smooth_images(4, seed=4)
    how = Search(steps=30, rate=0.1, width=0.3, terms=Terms(roughness=0.003))
    basis = Basis.of(smooth_images(40, seed=9), 20)
    g = gradients_of(network, images[:1], torch.tensor([1]))
    heard = []
    made = invert(
        network, g, PUBLIC, generator(), basis=basis, how=how,
        watch=lambda _, x, parts: heard.append((float(x.abs().max()), parts["gradients"])),
    )  # fmt: skip
    assert place_among(made.images, images, 0) == 1
    assert heard[-1][1] < 0.5 * heard[0][1]
    assert max(high for high, _ in heard) <= 1
    assert float(made.images.abs().max()) <= 1
    with pytest.raises(ValueError, match="public images of the same size"):
        invert(network, g, PUBLIC, generator(), basis=Basis.of(PUBLIC[..., :8], 2), how=how)
