"""A small network between two parties, on shares."""

import numpy as np
import pytest

pytest.importorskip("cryptography")

from medpriv_lib.encrypted.vector_network import Layers, SharedNetwork


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
