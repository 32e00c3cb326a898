"""All three parties of an encrypted inference within one process, and what an image costs."""

import time
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from medpriv_lib.encrypted.gates import DATA_OWNER, MODEL_OWNER, Talk
from medpriv_lib.encrypted.recogniser import (
    Logits,
    Party,
    deal,
    encode_image,
    fixed_point,
    hidden_weights,
    logits_of,
    weight_masks,
)
from medpriv_lib.encrypted.shares import Ring


@dataclass
class Ledger:
    """What one image cost: bytes sent by either party, rounds, comparisons, bytes of keys,
    seconds.
    """

    sent: list[int] = field(default_factory=lambda: [0, 0])
    rounds: int = 0
    comparisons: int = 0
    key_bytes: int = 0
    dealing: float = 0.0
    preparing: float = 0.0
    online: float = 0.0
    online_cpu: float = 0.0
    seen: tuple[list[Ring], list[Ring]] = field(default_factory=lambda: ([], []))


class InProcess:
    """A session of all three parties within one process, for chapters, tests and measurements.

    Nothing is hidden from whoever runs it; the messages are those of the real parties, byte for
    byte.
    """

    def __init__(self, network: object, pooling: str = "max", keep: bool = False) -> None:
        """Fix the network; `keep` notes every message that a party received (`Ledger.seen`)."""
        self.architecture, self.weights = fixed_point(network, pooling)
        self.masks = weight_masks(self.architecture)
        hidden = hidden_weights(self.weights, self.masks)
        self.model_owner = Party(MODEL_OWNER, self.architecture, hidden, self.weights)
        self.data_owner = Party(DATA_OWNER, self.architecture, hidden)
        self.keep = keep

    def infer(self, image: Float[np.ndarray, "c h w"]) -> tuple[Logits, Ledger]:
        """Return the logits of an image in [-1, 1] (float64) and what they cost."""
        secret = encode_image(image, self.architecture)
        ledger = Ledger(comparisons=self.architecture.comparisons())
        start = time.perf_counter()
        parts = list(deal(self.architecture, self.masks))
        ledger.dealing = time.perf_counter() - start
        ledger.key_bytes = sum(
            array.nbytes for both in parts for part in both for array in part.arrays()
        )
        start = time.perf_counter()
        owner = self.model_owner.prepare([part for part, _ in parts])
        holder = self.data_owner.prepare([part for _, part in parts])
        ledger.preparing = time.perf_counter() - start
        start, cpu = time.perf_counter(), time.process_time()
        talks = (
            self.model_owner.infer(owner, np.zeros_like(secret)),
            self.data_owner.infer(holder, secret),
        )
        mine, theirs = converse(talks, ledger, self.keep)
        ledger.rounds += 1  # the model owner's share of the logits
        ledger.sent[MODEL_OWNER] += mine.nbytes
        if self.keep:
            ledger.seen[DATA_OWNER].append(mine.ravel())
        ledger.online = time.perf_counter() - start
        ledger.online_cpu = time.process_time() - cpu
        return logits_of(mine, theirs), ledger


def converse(talks: tuple[Talk, Talk], ledger: Ledger, keep: bool = False) -> tuple[Ring, Ring]:
    """Let two parties talk until both have a result, and note bytes and rounds."""
    messages = [next(talk) for talk in talks]
    while True:
        ledger.rounds += 1
        done, following = [], []
        for number, talk in enumerate(talks):
            theirs = messages[1 - number].sent
            if theirs is not None:
                ledger.sent[1 - number] += theirs.nbytes
                if keep:
                    ledger.seen[number].append(theirs)
            received = np.empty(0, np.uint64) if theirs is None else theirs
            assert received.size == messages[number].due, messages[number].what
            try:
                following.append(talk.send(received))
            except StopIteration as stop:
                done.append(stop.value)
        if done:
            return done[0], done[1]
        messages = following
