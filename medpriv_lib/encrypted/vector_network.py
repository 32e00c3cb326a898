"""A small network of feature vectors between two parties: all on shares, or its first layer under
CKKS and its comparisons on shares.

F features, H hidden units with ReLU, one logit. On shares (`SharedNetwork`) a dealer is needed for
both layers and for the comparisons. In the hybrid (`HybridNetwork`) the client encrypts its vector
under CKKS and the server computes the first layer on the ciphertext, so that the dealer gives the
H comparisons alone. The server adds a mask before it sends the encrypted layer back: the client's
decryption is one share, the mask the other one. A mask of real numbers hides statistically, not
perfectly: `hidden_bits` says by how much. The second layer is computed on shares, too.
"""

import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.extra import ENCRYPTED
from medpriv_lib.core.promise import Promise
from medpriv_lib.encrypted import gates
from medpriv_lib.encrypted.gates import DATA_OWNER, MODEL_OWNER, PRODUCT
from medpriv_lib.encrypted.in_process import Ledger, converse
from medpriv_lib.encrypted.shares import Ring, decode, encode, random_ring, refuse_large

DEGREE, MODULI = 8192, (60, 40, 40, 60)
MASK = 16.0  # the mask lies in +-2^MASK
HIDDEN_MOST = 6.0  # what it hides lies in +-2^HIDDEN_MOST
SHARED = Promise(
    "the vector and the decision from the server, the weights from the client",
    "each other and the dealer",
    "a dealer who tells nobody, and parties who follow the protocol",
    "whoever has the dealer's numbers and one party's messages; what the logit says",
)
HYBRID = Promise(
    "the vector and the decision from the server, the weights from the client",
    "each other and the dealer",
    "CKKS, a dealer of comparisons, and parties who follow the protocol",
    "about 2^-10 of a leak a number through masks that are real numbers; what the logit says",
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

    def __init__(self, layers: Layers) -> None:
        """Fix the weights in fixed point. Raises `ValueError` for weights too large for it."""
        self.layers = layers
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
        )
        cuts = gates.deal_truncations(count)
        ledger.key_bytes += sum(a.nbytes for part in cuts for a in part.arrays())
        cut = converse(
            (
                gates.truncate(MODEL_OWNER, rectified[0], cuts[0], "hidden"),
                gates.truncate(DATA_OWNER, rectified[1], cuts[1], "hidden"),
            ),
            ledger,
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
        )
        return out[0] + self.biases[number], out[1]


class HybridNetwork(SharedNetwork):
    """CKKS for the first layer, shares for what follows."""

    def __init__(self, layers: Layers) -> None:
        """Draw the client's keys."""
        super().__init__(layers)
        tenseal = ENCRYPTED.need("tenseal")
        self._tenseal = tenseal
        self._client: Any = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=list(MODULI), n_threads=1
        )
        self._client.global_scale = 2.0 ** MODULI[1]
        self._client.generate_galois_keys()
        public = self._client.serialize(save_secret_key=False)
        self._server: Any = tenseal.context_from(public)
        self.public_bytes = len(public)

    def infer(self, x: Float[np.ndarray, " f"]) -> tuple[float, Ledger]:
        """Return one vector's logit and what it cost."""
        ledger = Ledger(comparisons=len(self.layers.bias))
        sent = self._tenseal.ckks_vector(self._client, x.tolist()).serialize()
        vector = self._tenseal.ckks_vector_from(self._server, sent)
        mask = masks(len(self.layers.bias))
        layer = vector.mm(self.layers.first.tolist()) + (self.layers.bias + mask).tolist()
        back = layer.serialize()
        opened = np.array(self._tenseal.ckks_vector_from(self._client, back).decrypt())
        ledger.sent[DATA_OWNER] += len(sent)
        ledger.sent[MODEL_OWNER] += len(back)
        ledger.rounds += 2
        hidden = encode(-mask[None], PRODUCT), encode(opened[None], PRODUCT)
        return self._rest(hidden, ledger), ledger


def masks(count: int) -> Float[np.ndarray, " h"]:
    """Return masks in +-2^MASK from the operating system's entropy, multiples of 2^-24."""
    span = 1 << int(MASK + 25)
    return np.array([(secrets.randbelow(span) - span // 2) / 2.0**24 for _ in range(count)])


def hidden_bits() -> float:
    """Return how many bits of statistical distance a mask of `MASK` bits gives: what is hidden
    shifts the mask's range by at most 2^(HIDDEN_MOST - MASK) of its width.
    """
    return MASK - HIDDEN_MOST
