"""The simulated enclave: what attestation refuses, what sealing binds, what a watcher sees."""

from dataclasses import replace

import numpy as np
import pytest

from medpriv_lib.encrypted.enclave import Enclave, EnclaveClient, Platform, measure
from medpriv_lib.learning.trees import grow


def trees(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(120, 5))
    return grow(x, x[:, 0] + x[:, 1] > 0, 6, rng)


def talking(platform, model, oblivious=False):
    enclave = Enclave(platform, model, oblivious)
    client = EnclaveClient(platform.manufacturer, measure(model, oblivious))
    client.accept(enclave.attest(client.nonce))
    return enclave, client


def test_scores_come_back_sealed():
    model, vector = trees(), np.array([0.3, -0.2, 1.0, 0.0, 2.0])
    enclave, client = talking(Platform(), model)
    sent = client.encrypt(vector)
    answer, touched = enclave.score(client.public, sent)
    want, path = model.walk(vector)
    assert client.decrypt(answer) == want
    assert (touched == path).all()
    assert vector.tobytes() not in sent
    with pytest.raises(ValueError, match="cannot be opened"):
        enclave.score(client.public, sent[:-1] + bytes([sent[-1] ^ 1]))


def test_the_watcher_sees_a_path_unless_all_is_touched():
    model, rng = trees(), np.random.default_rng(1)
    vectors = rng.normal(size=(20, 5))
    for oblivious in (False, True):
        enclave, client = talking(Platform(), model, oblivious)
        seen = [enclave.score(client.public, client.encrypt(x))[1] for x in vectors]
        assert (len(np.unique(seen, axis=0)) == 1) is oblivious


def test_what_attestation_refuses():
    platform, model = Platform(), trees()
    enclave = Enclave(platform, model)
    client = EnclaveClient(platform.manufacturer, measure(model, False))
    with pytest.raises(ValueError, match="no quote was accepted"):
        client.encrypt(np.zeros(5))
    quote = enclave.attest(client.nonce)
    with pytest.raises(ValueError, match="not signed by the manufacturer"):
        EnclaveClient(Platform().manufacturer, enclave.measurement).accept(quote)
    with pytest.raises(ValueError, match="not signed"):
        client.accept(replace(quote, measurement=bytes(32)))
    with pytest.raises(ValueError, match="another nonce"):
        client.accept(enclave.attest(bytes(32)))
    other = EnclaveClient(platform.manufacturer, measure(trees(1), False))
    with pytest.raises(ValueError, match="other code or another model"):
        other.accept(enclave.attest(other.nonce))
    assert measure(model, True) != measure(model, False)  # how it is run is measured, too


def test_sealing_binds_to_processor_and_code():
    platform, model = Platform(), trees()
    sealed = Enclave(platform, model).seal(b"the key of the archive")
    assert Enclave(platform, model).unseal(sealed) == b"the key of the archive"  # after a restart
    for other in (Enclave(Platform(), model), Enclave(platform, trees(1))):
        with pytest.raises(ValueError, match="another key or measurement"):
            other.unseal(sealed)
