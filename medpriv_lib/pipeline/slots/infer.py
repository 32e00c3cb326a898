"""The arrow from a model to a decision: who sees the vector that is asked about."""

import functools
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from medpriv_lib.core.intervals import area
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.encrypted import enclave, scoring, vector_network
from medpriv_lib.encrypted.in_process import Ledger
from medpriv_lib.encrypted.vector_network import HybridNetwork, Layers, SharedNetwork
from medpriv_lib.learning.trees import LEAF, Trees, grow
from medpriv_lib.pipeline.slots.technology import (
    PLAIN,
    Context,
    Given,
    Model,
    Seen,
    Table,
    Technology,
    slot,
    vectors,
)

TREES = 20
HIDDEN, EPOCHS, RATE = 16, 60, 0.005
QUANTILE = 0.999  # of the training's absolute logits: what the cubic has to reach
PICTURED = 40  # ciphertexts that the attacker makes of his own photographs
_client = functools.cache(scoring.ScoreClient)  # one client asks in all folds
Work = Callable[[Model, Table, Table, Context], Given]


def plain(model: Model, queries: Table, training: Table, context: Context) -> Given:
    """Send the vector to the server."""
    scores = model.score(queries.features)
    return Given(scores, [vectors("the server", queries, context)], queries.features.nbytes)


def ckks(model: Model, queries: Table, training: Table, context: Context) -> Given:
    """Send the vector encrypted; the server returns the encrypted cubic of the logit."""
    if model.weights is None:
        raise NotApplicable("CKKS scores linear models here, and this one is not linear")
    reach = float(np.quantile(np.abs(model.score(training.features)), QUANTILE))
    client = _client()
    server = scoring.ScoreServer(client.public(), model.weights[:-1], float(model.weights[-1]))
    scores = scoring.cubic(model.score(queries.features), reach)
    few, start, off, sent = _few(queries, context), time.process_time(), [], 0
    messages = []
    for row in few:
        message = client.encrypt(queries.features[row])
        answer = server.probability(message, reach)
        off.append(abs(client.decrypt(answer) - scores[row]))
        scores[row] = client.decrypt(answer)
        sent += len(message) + len(answer)
        messages.append(message)
    notes = _notes(start, few, sent, off) | {
        "key_bytes": float(len(client.public())),
        "reach": reach,
    }
    seen = _ciphertexts(messages, queries.take(few), client.encrypt, context)
    return Given(scores, [seen], sent // max(len(few), 1) * len(scores), notes)


def enclosed(oblivious: bool) -> Work:
    """Return the work of a simulated enclave that walks trees, touching all nodes or the path."""

    def work(model: Model, queries: Table, training: Table, context: Context) -> Given:
        drawn = torch.randint(2**31, (1,), generator=context.generator)
        coin = np.random.default_rng(int(drawn))
        trees = grow(training.features, training.diseased, TREES, coin)
        inside = enclave.Enclave(enclave.Platform(), trees, oblivious)
        client = enclave.EnclaveClient(
            inside._platform.manufacturer, enclave.measure(trees, oblivious)
        )
        client.accept(inside.attest(client.nonce))
        few, start, sent, off = _few(queries, context), time.process_time(), 0, []
        scores = np.array([trees.walk(x)[0] for x in queries.features])
        for row in few:
            message = client.encrypt(queries.features[row])
            answer, _ = inside.score(client.public, message)
            off.append(abs(client.decrypt(answer) - scores[row]))
            sent += len(message) + len(answer)
        notes = _notes(start, few, sent, off)
        seen = queries.take(few) if oblivious else queries
        own = context.photographs.features
        trace = np.array([trees.walk(x, oblivious)[1] for x in seen.features], float)
        gallery = np.array([trees.walk(x)[1] for x in own], float)
        if oblivious:
            gallery = np.ones_like(gallery)
        read = _read(trees, trace)
        if seen.diseased.any() and not seen.diseased.all():
            notes["decision read from the trace, AUC"] = area(read, seen.diseased)
        told = Table(trace, seen.diseased, seen.patient, seen.group)
        who = "the host, who watches the memory"
        return Given(scores, [vectors(who, told, context, gallery)],
                     sent // max(len(few), 1) * len(scores), notes)  # fmt: skip

    return work


def _read(trees: Trees, trace: np.ndarray) -> np.ndarray:
    """Return the score that somebody computes who knows the model and sees which leaves were
    touched.
    """
    leaves = trees.feature == LEAF
    return (trace[:, leaves] * trees.value[leaves]).sum(axis=1) / trace[:, leaves].sum(axis=1)


def between(make: Callable[[Layers], SharedNetwork]) -> Work:
    """Return the work of a small network between two parties."""

    def work(model: Model, queries: Table, training: Table, context: Context) -> Given:
        layers = fit_layers(training, context)
        session = make(layers)
        scores = layers.logits(queries.features)
        few, start, off, sent = _few(queries, context), time.process_time(), [], 0
        ledger: Ledger | None = None
        for row in few:
            found, ledger = session.infer(queries.features[row])
            off.append(abs(found - scores[row]))
            scores[row] = found
            sent += sum(ledger.sent)
        notes = _notes(start, few, sent, off)
        if ledger is not None:
            notes |= {"rounds": float(ledger.rounds), "dealt_bytes": float(ledger.key_bytes)}
        if isinstance(session, HybridNetwork):
            notes["key_bytes"] = float(session.public_bytes)
        seen = Seen("the server", "masked", {})
        return Given(scores, [seen], sent // max(len(few), 1) * len(scores), notes)

    return work


def fit_layers(training: Table, context: Context) -> Layers:
    """Train the small network in the clear, on the CPU, both classes counting alike."""
    x = torch.from_numpy(training.features).float()
    y = torch.from_numpy(training.diseased).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=context.generator)))
        network = nn.Sequential(nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.3)
    weight = torch.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    for _ in range(EPOCHS):
        optimiser.zero_grad()
        functional.binary_cross_entropy_with_logits(network(x)[:, 0], y, weight).backward()
        optimiser.step()
    first, second = network[0], network[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    arrays = [t.detach().double().numpy() for t in (first.weight.T, first.bias, second.weight[0])]
    return Layers(arrays[0], arrays[1], arrays[2], float(second.bias.detach()[0]))


def _few(queries: Table, context: Context) -> np.ndarray:
    """Return which rows are computed as they would be in earnest: spread over the table."""
    count = min(context.few, len(queries.features))
    return (
        np.linspace(0, len(queries.features) - 1, count).astype(int) if count else np.zeros(0, int)
    )


def _notes(start: float, few: np.ndarray, sent: int, off: list[float]) -> dict[str, float | str]:
    each = max(len(few), 1)
    return {
        "images": float(len(few)),
        "seconds_each": (time.process_time() - start) / each,
        "bytes_each": sent / each,
        "error": max(off, default=0.0),
    }


def _ciphertexts(
    messages: list[bytes], queries: Table, encrypt: Callable[[np.ndarray], bytes], context: Context
) -> Seen:
    """Return what a server can make of ciphertexts: how often each byte occurs, and the length."""
    own = context.photographs.take(np.arange(min(PICTURED, len(context.photographs.features))))
    gallery = np.stack([_bytes_of(encrypt(x)) for x in own.features])
    values = np.stack([_bytes_of(message) for message in messages])
    what = {
        "values": values,
        "patient": queries.patient,
        "group": np.arange(len(values)),
        "gallery": gallery,
        "owner": own.patient,
    }
    return Seen("the server", "vectors", what)


def _bytes_of(message: bytes) -> np.ndarray:
    count = np.bincount(np.frombuffer(message, np.uint8), minlength=256)
    return np.append(count / len(message), len(message))


INFERRING = slot(
    Technology("plain", "the vector in the clear", PLAIN, "radiomics", plain),
    Technology("ckks", "CKKS", scoring.PROMISE, "encrypted-inference", ckks),
    Technology("shared", "function secret sharing", vector_network.SHARED, "encrypted-inference",
               between(SharedNetwork)),
    Technology("ckks-shared", "CKKS + function secret sharing", vector_network.HYBRID, "the-map",
               between(HybridNetwork)),
    Technology("enclave", "enclave (simulated)", enclave.PROMISE, "the-map", enclosed(False)),
    Technology("enclave-oblivious", "enclave (simulated), all memory touched", enclave.PROMISE,
               "the-map", enclosed(True)),
)  # fmt: skip
