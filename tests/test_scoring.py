"""A vector is scored under CKKS: the encrypted number equals that in the clear to a stated error."""

import numpy as np
import pytest

pytest.importorskip("tenseal")

from medpriv_lib.encrypted.scoring import (
    HEAD,
    SLOTS,
    ScoreClient,
    ScoreServer,
    cubic,
    sigmoid_cubic,
)
from medpriv_lib.encrypted.slots import all_slots


def test_the_cubic_is_the_nearest_one():
    reach = 5.0
    a, b = sigmoid_cubic(reach)
    x = np.linspace(-reach, reach, 4001)
    target = 1 / (1 + np.exp(-x))

    def off(a, b):
        return ((0.5 + a * x + b * x**3 - target) ** 2).mean()

    assert np.abs(cubic(x, reach) - target).max() < 0.08
    assert all(off(a, b) <= off(a + d, b + e) for d in (-1e-3, 0, 1e-3) for e in (-1e-4, 0, 1e-4))
    assert cubic(np.array([0.0]), reach)[0] == 0.5
    for reach in (0.0, -1.0, np.inf):
        with pytest.raises(ValueError, match="positive"):
            sigmoid_cubic(reach)


def test_encrypted_scores_and_what_is_refused():
    rng = np.random.default_rng(0)
    weights, vector, bias = rng.normal(size=30) / 5, rng.normal(size=30), 0.4
    client = ScoreClient()
    server = ScoreServer(client.public(), weights, bias)
    sent = client.encrypt(vector)
    logit = sum(w * x for w, x in zip(weights, vector, strict=True)) + bias
    assert client.decrypt(server.logit(sent)) == pytest.approx(logit, abs=1e-3)
    found = client.decrypt(server.probability(sent, 6.0))
    assert found == pytest.approx(cubic(np.array([logit]), 6.0)[0], abs=1e-3)
    assert client.encrypt(vector) != sent  # the same vector never looks the same
    # a client reads every slot with its key: the number asked for, and nothing beside it
    for answer, number in ((server.logit(sent), logit), (server.probability(sent, 6.0), found)):
        assert np.abs(client.slots(answer) - number).max() < 1e-4
    import tenseal

    short = tenseal.ckks_vector(client._context, vector.tolist())
    naive = all_slots(client._context, short.dot(weights.tolist()).serialize())  # the control
    told = naive[:30] - naive[1:31]
    told = np.where(np.abs(told - weights * vector) < np.abs(naive[:30]), told, naive[:30])
    assert (np.abs(told - weights * vector) < 1e-3).mean() > 0.3  # weights, after one question
    with pytest.raises(ValueError, match=f"must fill its {SLOTS} slots"):
        server.logit((30).to_bytes(HEAD, "big") + bytes(short.serialize()))
    with pytest.raises(ValueError, match="30 numbers and the model 29"):
        ScoreServer(client.public(), weights[1:], bias).logit(sent)
    with pytest.raises(ValueError, match="1 that are not finite"):
        client.encrypt(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="secret key"):
        ScoreServer(client._context.serialize(save_secret_key=True), weights, bias)
