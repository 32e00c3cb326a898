"""A small network of feature vectors between two parties, all of it on shares.

F features, H hidden units with ReLU, one logit. A dealer is needed for both layers and for the
comparisons; `hybrid` needs one for the comparisons alone.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.promise import Promise
from medpriv_lib.encrypted import gates
from medpriv_lib.encrypted.gates import DATA_OWNER, MODEL_OWNER, PRODUCT
from medpriv_lib.encrypted.in_process import Ledger, converse
from medpriv_lib.encrypted.shares import Ring, decode, encode, random_ring, refuse_large

SHARED = Promise(
    "the vector and the decision from the server, the weights from the client",
    "each other and the dealer",
    "a dealer who tells nobody, and parties who follow the protocol",
    "whoever has the dealer's numbers and one party's messages; what the logit says",
)


@dataclass(frozen=True, eq=False)
class Layers:
    """`first` (F, H), `bias` (H,), `second` (H,), `last`: logit = max(x first + bias, 0) second +
    last.
    """

    first: Float[np.ndarray, "f h"]
    bias: Float[np.ndarray, " h"]
    second: Float[np.ndarray, " h"]
    last: float

    def logits(self, x: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """Return the logits in the clear."""
        return np.maximum(x @ self.first + self.bias, 0) @ self.second + self.last


def _flat(x: Ring) -> Ring:
    return x


class SharedNetwork:
    """Both parties and the dealer within one process; the messages are those of real parties."""

    def __init__(self, layers: Layers, keep: bool = False) -> None:
        """Fix the weights in fixed point; `keep` notes what each party received (`Ledger.seen`).

        Raises `ValueError` for weights too large for it.
        """
        self.layers, self.keep = layers, keep
        self.matrices = [encode(layers.first), encode(layers.second[:, None])]
        for matrix in self.matrices:
            refuse_large(matrix)
        self.biases = [encode(layers.bias, PRODUCT), encode(np.array([layers.last]), PRODUCT)]

    def infer(self, x: Float[np.ndarray, " f"]) -> tuple[float, Ledger]:
        """Return one vector's logit and what it cost."""
        ledger = Ledger(comparisons=len(self.layers.bias))
        owner = np.zeros((1, len(x)), np.uint64)
        hidden = self._linear(0, (owner, encode(x[None])), ledger, first=True)
        return self._rest(hidden, ledger), ledger

    def _rest(self, hidden: tuple[Ring, Ring], ledger: Ledger) -> float:
        """Return the logit from shares (1, H) of the first layer's products."""
        count = hidden[0].size
        parts = gates.deal_comparisons(count)
        ledger.key_bytes += sum(a.nbytes for part in parts for a in part.arrays())
        rectified = converse(
            (
                gates.positive(MODEL_OWNER, hidden[0], parts[0], "hidden"),
                gates.positive(DATA_OWNER, hidden[1], parts[1], "hidden"),
            ),
            ledger,
            self.keep,
        )
        cuts = gates.deal_truncations(count)
        ledger.key_bytes += sum(a.nbytes for part in cuts for a in part.arrays())
        cut = converse(
            (
                gates.truncate(MODEL_OWNER, rectified[0], cuts[0], "hidden"),
                gates.truncate(DATA_OWNER, rectified[1], cuts[1], "hidden"),
            ),
            ledger,
            self.keep,
        )
        out = self._linear(1, cut, ledger, first=False)
        ledger.rounds += 1
        ledger.sent[MODEL_OWNER] += out[0].nbytes
        return float(decode(out[0] + out[1], PRODUCT)[0, 0])

    def _linear(
        self, number: int, x: tuple[Ring, Ring], ledger: Ledger, *, first: bool
    ) -> tuple[Ring, Ring]:
        matrix = self.matrices[number]
        mask = random_ring(*matrix.shape)
        mine, theirs = gates.deal_linear(x[0].shape, _flat, mask, first)
        ledger.key_bytes += sum(a.nbytes for part in (mine, theirs) for a in part.arrays())
        ready = [gates.prepared(part, _flat, matrix - mask) for part in (mine, theirs)]
        out = converse(
            (
                gates.linear_of_model_owner(x[0], mine, ready[0], matrix, _flat, "linear"),
                gates.linear_of_data_owner(x[1], theirs, ready[1], "linear"),
            ),
            ledger,
            self.keep,
        )
        return out[0] + self.biases[number], out[1]
