"""Networks that are computed between two parties, for the arrow from a model to a decision."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from medpriv_lib.encrypted import hybrid
from medpriv_lib.encrypted.ckks import RectifiedNetwork, drawn, fit_small, shrunk
from medpriv_lib.encrypted.gates import MODEL_OWNER
from medpriv_lib.encrypted.in_process import Ledger
from medpriv_lib.encrypted.vector_network import Layers, SharedNetwork
from medpriv_lib.pipeline.slots.earnest import (
    PHOTOGRAPHS,
    as_seen,
    few_of,
    notes_of,
    of_all,
    photographs_of,
)
from medpriv_lib.pipeline.slots.technology import Context, Given, Model, Table

HIDDEN, EPOCHS, RATE = 16, 60, 0.005
PICTURE_EPOCHS = 40
Work = Callable[[Model, Table, Table, Context], Given]


@dataclass(frozen=True, eq=False)
class Between:
    """A network between two parties: `clear` scores of a table, `ask` the network in earnest about
    one row, for its score, its cost and all bytes that the server received, and the bytes of
    `keys` that cross once.
    """

    clear: Callable[[Table], np.ndarray]
    inputs: Callable[[Table], np.ndarray]
    ask: Callable[[np.ndarray], tuple[float, Ledger, bytes]]
    keys: int = 0


def between(make: Callable[[Table, Context], Between], photographs: int = PHOTOGRAPHS) -> Work:
    """Return the work of a network between two parties; for so many `photographs` of each patient
    the attacker makes the server's messages as well.
    """

    def work(model: Model, queries: Table, training: Table, context: Context) -> Given:
        session = make(training, context)
        scores = session.clear(queries)
        few, start, found = few_of(queries, context), time.process_time(), []
        asked = queries.take(few)
        for x in session.inputs(asked):
            found.append(session.ask(x))
        notes = notes_of(start, scores[few], np.array([one[0] for one in found]), 0.0,
                       sum(sum(one[1].sent) for one in found))  # fmt: skip
        scores[few] = [one[0] for one in found]
        ledger = found[-1][1]
        notes |= {"rounds": float(ledger.rounds), "dealt_bytes": float(ledger.key_bytes)}
        notes |= {"comparisons": float(ledger.comparisons), "key_bytes": float(session.keys)}
        own = photographs_of(asked, context, photographs)
        overheard = [one[2] for one in found]
        gallery = [session.ask(x)[2] for x in session.inputs(own)]
        clear = (session.inputs(asked), session.inputs(own))
        seen, control = as_seen(overheard, asked, gallery, own, clear)
        return of_all(scores, seen, notes | control)

    return work


def shared(training: Table, context: Context) -> Between:
    """Train a small network of vectors, and compute all of it on shares."""
    layers = fit_layers(training, context)
    session = SharedNetwork(layers, keep=True)

    def ask(x: np.ndarray) -> tuple[float, Ledger, bytes]:
        found, ledger = session.infer(x)
        return found, ledger, b"".join(one.tobytes() for one in ledger.seen[MODEL_OWNER])

    return Between(lambda table: layers.logits(table.features), _features, ask)


def encrypted(training: Table, context: Context) -> Between:
    """Train a small network of vectors, and compute all of it in the hybrid."""
    small = fit_layers(training, context)
    layers = [
        hybrid.Dense(small.first, small.bias),
        hybrid.Dense(small.second[:, None], np.array([small.last])),
    ]
    return _on_hybrid(layers, lambda table: small.logits(table.features), _features)


def of_pictures(training: Table, context: Context) -> Between:
    """Train a network of the pictures themselves, at 32x32, and compute all of it in the hybrid."""
    seed = int(torch.randint(2**31, (1,), generator=context.generator))
    part = context.cohort.take(context.rows)
    network = fit_small(part, seed, PICTURE_EPOCHS, drawn(seed, RectifiedNetwork))

    def pictures(table: Table) -> torch.Tensor:
        return shrunk(context.cohort.images[table.group])

    def clear(table: Table) -> np.ndarray:
        with torch.no_grad():
            logits = network(pictures(table)).double().numpy()
        return logits[:, 1] - logits[:, 0]

    return _on_hybrid(hybrid.layers_of(network), clear,
                      lambda table: pictures(table).flatten(1).double().numpy())  # fmt: skip


def _on_hybrid(
    layers: Sequence[hybrid.Layer],
    clear: Callable[[Table], np.ndarray],
    inputs: Callable[[Table], np.ndarray],
) -> Between:
    session = hybrid.HybridNetwork(layers, keep=True)

    def ask(x: np.ndarray) -> tuple[float, Ledger, bytes]:
        found, ledger = session.infer(x)
        score = found[0] if len(found) == 1 else found[1] - found[0]
        return float(score), ledger, b"".join(session.received)

    return Between(clear, inputs, ask, session.public_bytes)


def _features(table: Table) -> np.ndarray:
    return table.features


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
