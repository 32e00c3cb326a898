"""The arrow from a model to a decision: who sees the vector that is asked about."""

import functools
import time

import numpy as np
import torch

from medpriv_lib.core.intervals import area
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.encrypted import enclave, hybrid, scoring, vector_network
from medpriv_lib.learning.trees import LEAF, Trees, grow
from medpriv_lib.pipeline.slots.earnest import as_seen, few_of, notes_of, of_all, photographs_of
from medpriv_lib.pipeline.slots.technology import (
    PLAIN,
    Context,
    Given,
    Model,
    Table,
    Technology,
    slot,
    vectors,
)
from medpriv_lib.pipeline.slots.two_parties import Work, between, encrypted, of_pictures, shared

TREES = 20
QUANTILE = 0.999  # of the training's absolute logits: what the cubic has to reach
_client = functools.cache(scoring.ScoreClient)  # one client asks in all folds


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
    few, start = few_of(queries, context), time.process_time()
    asked = queries.take(few)
    messages = [client.encrypt(x) for x in asked.features]
    answers = [server.probability(one, reach) for one in messages]
    found = np.array([client.decrypt(one) for one in answers])
    sent = sum(map(len, messages)) + sum(map(len, answers))
    notes = notes_of(start, scores[few], found, 0.5, sent)
    notes |= {"key_bytes": float(len(client.public())), "reach": reach}
    scores[few] = found
    own = photographs_of(asked, context)
    known = [client.encrypt(x) for x in own.features]
    clear = (asked.features, own.features)
    seen, control = as_seen(messages, asked, known, own, clear)
    return of_all(scores, seen, notes | control)


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
        scores = np.array([trees.walk(x)[0] for x in queries.features])
        few, start, sent, found = few_of(queries, context), time.process_time(), 0, []
        for row in few:
            message = client.encrypt(queries.features[row])
            answer, _ = inside.score(client.public, message)
            found.append(client.decrypt(answer))
            sent += len(message) + len(answer)
        notes = notes_of(start, scores[few], np.array(found), 0.5, sent)
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
        return of_all(scores, vectors(who, told, context, gallery), notes)

    return work


def _read(trees: Trees, trace: np.ndarray) -> np.ndarray:
    """Return the score that somebody computes who knows the model and sees which leaves were
    touched.
    """
    leaves = trees.feature == LEAF
    return (trace[:, leaves] * trees.value[leaves]).sum(axis=1) / trace[:, leaves].sum(axis=1)


INFERRING = slot(
    Technology("plain", "the vector in the clear", PLAIN, "radiomics", plain),
    Technology("ckks", "CKKS", scoring.PROMISE, "encrypted-inference", ckks),
    Technology("shared", "function secret sharing", vector_network.SHARED, "encrypted-inference",
               between(shared)),
    Technology("ckks-shared", "CKKS + function secret sharing", hybrid.PROMISE, "hybrids",
               between(encrypted)),
    Technology("ckks-shared-picture", "CKKS + function secret sharing, of the picture",
               hybrid.PROMISE, "hybrids", between(of_pictures, photographs=1)),
    Technology("enclave", "enclave (simulated)", enclave.PROMISE, "hybrids", enclosed(False)),
    Technology("enclave-oblivious", "enclave (simulated), all memory touched", enclave.PROMISE,
               "hybrids", enclosed(True)),
)  # fmt: skip
