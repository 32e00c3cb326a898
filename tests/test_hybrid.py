"""CKKS for the linear layers, shares for the comparisons: the network of the clear, and no more."""

import numpy as np
import pytest
import torch

pytest.importorskip("tenseal")

from medpriv_lib.encrypted import hybrid
from medpriv_lib.encrypted.ckks import RectifiedNetwork, drawn
from medpriv_lib.encrypted.gates import DATA_OWNER, MODEL_OWNER
from medpriv_lib.encrypted.hybrid import Convolution, Dense, HybridNetwork, in_the_clear
from medpriv_lib.encrypted.slots import all_slots


@pytest.fixture(scope="module")
def vectors():
    """A network of nine numbers with four hidden ones."""
    rng = np.random.default_rng(0)
    first = Dense(rng.normal(size=(9, 4)), rng.normal(size=4))
    return HybridNetwork([first, Dense(rng.normal(size=(4, 1)), np.array([0.3]))], keep=True)


def test_a_network_of_pictures_one_pixel_at_a_time():
    """All of a trained network's form, drawn at random: three layers, 326 comparisons."""
    network = drawn(0, RectifiedNetwork).eval()
    picture = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    layers = hybrid.layers_of(network)
    found, ledger = HybridNetwork(layers).infer(picture.flatten().double().numpy())
    with torch.no_grad():
        want = network(picture)[0].numpy()
    assert np.abs(found - want).max() < 1e-3
    assert ledger.comparisons == 6 * 7 * 7 + 32
    assert ledger.rounds == 12  # two a layer, and for each ReLU two gates and one number to encrypt
    assert ledger.sent[DATA_OWNER] > ledger.sent[MODEL_OWNER] > 0


def slowly(network, x):
    first, second = network.layers
    hidden = [
        max(0.0, sum(w * v for w, v in zip(column, x, strict=True)) + b)
        for column, b in zip(first.weights.T, first.bias, strict=True)
    ]
    column = second.weights[:, 0]
    return sum(h * w for h, w in zip(hidden, column, strict=True)) + second.bias[0]


def test_a_network_of_vectors_and_what_a_client_reads_in_all_slots(vectors):
    x = np.random.default_rng(1).normal(size=9)
    answers = []
    for _ in range(2):
        (found,), ledger = vectors.infer(x)
        assert found == pytest.approx(slowly(vectors, x), abs=1e-3)
        assert in_the_clear(vectors.layers, x)[0] == pytest.approx(slowly(vectors, x))
        answers.append(all_slots(vectors._client, vectors.returned[0]))
        assert np.abs(answers[-1] - found).max() < 1e-3  # the logit, and nothing else
    assert ledger.comparisons == 4
    before = vectors.layers[0].outputs(
        [vectors._tenseal.ckks_vector_from(vectors._server, vectors.received[0])],
        mask := hybrid.masks(4),
    )
    plain = x @ vectors.layers[0].weights + vectors.layers[0].bias
    for one, value in zip(before, plain + mask, strict=True):
        assert np.abs(all_slots(vectors._client, one.serialize()) - value).max() < 1e-3
    assert sum(map(len, vectors.received)) == ledger.sent[DATA_OWNER]


def test_a_convolution_has_a_mask_in_every_slot(vectors):
    """No slot of what comes back is small: 4096 values below 1 in 2^26 happen once in 10^4 runs."""
    rng = np.random.default_rng(2)
    layer = Convolution(rng.normal(size=(1, 2, 2)), np.zeros(1), 2, 4)
    picture = rng.normal(size=16)
    sent = [vectors._tenseal.ckks_vector(vectors._client, one) for one in layer.inputs(picture)]
    mask = hybrid.masks(4)
    (back,) = layer.outputs(sent, mask)
    opened = all_slots(vectors._client, back.serialize())
    slow = [
        (picture.reshape(4, 4)[y : y + 2, x : x + 2] * layer.weights[0]).sum()
        for y in (0, 2)
        for x in (0, 2)
    ]
    assert opened[:4] - mask == pytest.approx(slow, abs=1e-3)
    assert (np.abs(opened) > 1).all()


def test_masks_span_their_range_and_say_how_much_they_hide():
    found = hybrid.masks(4000)
    assert 0.95 * 2**26 < found.max() < 2**26
    assert -(2**26) <= found.min() < -0.95 * 2**26
    assert abs(found.mean()) < 5 * 2**26 / np.sqrt(3 * 4000)
    assert hybrid.hidden_bits() == 20
    assert str(hybrid.hidden_bits()) in hybrid.PROMISE.not_against


def test_the_prime_by_which_seal_divides():
    prime = hybrid.dropped_prime()
    assert prime % (2 * hybrid.DEGREE) == 1
    assert 0 < 2**hybrid.SCALE - prime < 2**24


def test_what_does_not_fit_is_refused(vectors):
    with pytest.raises(ValueError, match="reads 9 numbers"):
        vectors.infer(np.zeros(8))
    with pytest.raises(ValueError, match="reads 4x4 pixels"):
        Convolution(np.zeros((1, 2, 2)), np.zeros(1), 2, 4).inputs(np.zeros(15))
