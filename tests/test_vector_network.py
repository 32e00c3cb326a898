"""A small network between two parties: on shares, and with CKKS before the comparisons."""

import numpy as np
import pytest

pytest.importorskip("cryptography")

from medpriv_lib.encrypted.vector_network import (
    HybridNetwork,
    Layers,
    SharedNetwork,
    hidden_bits,
    masks,
)


def layers(features=9, hidden=4):
    rng = np.random.default_rng(0)
    return Layers(
        rng.normal(size=(features, hidden)), rng.normal(size=hidden), rng.normal(size=hidden), 0.3
    )


def slowly(one, x):
    hidden = [
        max(0.0, sum(w * v for w, v in zip(column, x, strict=True)) + b)
        for column, b in zip(one.first.T, one.bias, strict=True)
    ]
    return sum(h * w for h, w in zip(hidden, one.second, strict=True)) + one.last


def test_shares_give_the_logit_of_the_clear():
    one, rng = layers(), np.random.default_rng(1)
    session = SharedNetwork(one)
    for x in rng.normal(size=(5, 9)):
        found, ledger = session.infer(x)
        assert found == pytest.approx(slowly(one, x), abs=1e-4)
        assert one.logits(x[None])[0] == pytest.approx(slowly(one, x))
    assert ledger.comparisons == 4
    assert ledger.rounds == 5
    assert min(ledger.sent) > 0


def test_encrypted_first_layer_gives_the_same():
    pytest.importorskip("tenseal")
    one, x = layers(), np.random.default_rng(1).normal(size=9)
    session = HybridNetwork(one)
    found, ledger = session.infer(x)
    assert found == pytest.approx(slowly(one, x), abs=1e-3)
    assert ledger.comparisons == 4
    shared = SharedNetwork(one).infer(x)[1]
    assert ledger.key_bytes < shared.key_bytes  # the dealer gives less


def test_masks_span_their_range_and_say_how_much_they_hide():
    found = masks(4000)
    assert 0.95 * 2**16 < found.max() < 2**16
    assert -(2**16) <= found.min() < -0.95 * 2**16
    assert abs(found.mean()) < 5 * 2**16 / np.sqrt(3 * 4000)
    assert hidden_bits() == 10
