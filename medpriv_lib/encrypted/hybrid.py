"""CKKS for the linear layers and function secret sharing for the comparisons of one network.

CKKS multiplies by weights without a dealer and cannot compare; shares compare, and need a dealer
for every product. Here each does what it can. For every linear layer the client encrypts the
layer's input, the server multiplies by its weights under encryption, adds a mask and sends the
ciphertexts back: the client's decryption is one share, minus the mask is the other one. Then both
compute ReLU and a truncation on shares, with numbers of the dealer. For the next layer the server
sends its share plus a new mask, so that the client has a number to encrypt; the mask's part of the
product is taken off again in the clear. The last layer comes back without a mask: it is the answer.

A mask of real numbers hides statistically, not perfectly: `hidden_bits` says by how much. Whoever
has the secret key reads every slot of a ciphertext. So a dense layer sums over all slots, which
leaves the same number in each, and a convolution returns a full vector with a mask in every slot.
What is not hidden: the noise of a decrypted answer has a trace of the weights (nothing floods it).
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.extra import ENCRYPTED
from medpriv_lib.core.promise import Promise
from medpriv_lib.encrypted import gates
from medpriv_lib.encrypted.ckks import SIZE, RectifiedNetwork
from medpriv_lib.encrypted.gates import DATA_OWNER, MODEL_OWNER, PRODUCT, Talk
from medpriv_lib.encrypted.in_process import Ledger, converse
from medpriv_lib.encrypted.shares import FRACTION, Ring, U, decode, encode

DEGREE, MODULI, SCALE = 8192, (60, 49, 49, 60), 49  # 218 bits, all that 128-bit security allows
SLOTS = DEGREE // 2
MASK = 26  # the masks lie in +-2^MASK
HIDDEN_MOST = 6  # what they hide lies in +-2^HIDDEN_MOST
FINE = 24  # bits after the point of a mask that is added under encryption
PROMISE = Promise(
    "the picture or vector and the decision from the server, the weights from the client",
    "each other and the dealer",
    "CKKS, a dealer of comparisons, and parties who follow the protocol",
    f"about 2^-{MASK - HIDDEN_MOST} of a leak a number through masks that are real numbers; a "
    "trace of the weights in the noise of what the client decrypts; what the logit says",
)


def dropped_prime() -> int:
    """Return the prime by which SEAL divides after a product: the largest of SCALE bits with which
    polynomials of DEGREE can be multiplied fast (1 modulo 2 DEGREE).
    """
    candidate = (1 << SCALE) - 2 * DEGREE + 1
    while any(pow(base, candidate - 1, candidate) != 1 for base in (2, 3, 5, 7, 11, 13)):
        candidate -= 2 * DEGREE
    return candidate


# TenSEAL counts on a division by 2^SCALE and divides by the prime: a part in 10^9, which is much
# under a large mask. Weights are stretched by it beforehand.
STRETCH = dropped_prime() / 2.0**SCALE


@dataclass(frozen=True, eq=False)
class Dense:
    """`weights` (F, H) and `bias` (H,): y = x weights + bias. One ciphertext up, H down."""

    weights: Float[np.ndarray, "f h"]
    bias: Float[np.ndarray, " h"]

    def inputs(self, x: Float[np.ndarray, " f"]) -> list[np.ndarray]:
        """Return what the client encrypts: the vector, and zeros in all other slots."""
        if x.shape != self.weights.shape[:1]:
            raise ValueError(f"the layer reads {len(self.weights)} numbers, not {x.shape}")
        return [np.pad(x, (0, SLOTS - len(x)))]

    def outputs(self, x: Sequence[Any], mask: Float[np.ndarray, " h"]) -> list[Any]:
        """Return encrypted y + mask; each sum runs over all slots, so all of them hold it."""
        (vector,) = x
        columns = np.pad(self.weights.T * STRETCH, ((0, 0), (0, SLOTS - len(self.weights))))
        pairs = zip(columns, self.bias + mask, strict=True)
        return [vector.dot(column.tolist()) + float(add) for column, add in pairs]

    def read(self, opened: Sequence[np.ndarray]) -> Float[np.ndarray, " h"]:
        """Return y + mask from what the client decrypted."""
        return np.array([one[0] for one in opened])

    def plain(self, x: Float[np.ndarray, " f"]) -> Float[np.ndarray, " h"]:
        """Return x times the weights in the clear, without the bias."""
        return x @ self.weights


@dataclass(frozen=True, eq=False)
class Convolution:
    """`weights` (C, k, k) of C filters with a `stride`, and `bias` (C,), over a square grey picture
    without a border; y (C positions^2,), filter after filter.

    The client sends k^2 ciphertexts: number i holds pixel i of every window, so that the server
    needs no rotation.
    """

    weights: Float[np.ndarray, "c k k"]
    bias: Float[np.ndarray, " c"]
    stride: int
    size: int

    @property
    def positions(self) -> int:
        """How many windows lie beside each other."""
        return (self.size - self.weights.shape[1]) // self.stride + 1

    def windows(self, x: Float[np.ndarray, " pixels"]) -> Float[np.ndarray, "n kk"]:
        """Return each window of a picture (size^2,) as a row. Raises `ValueError` for another
        size.
        """
        if x.shape != (self.size**2,):
            raise ValueError(f"the layer reads {self.size}x{self.size} pixels, not {x.shape}")
        side = self.weights.shape[1]
        view = np.lib.stride_tricks.sliding_window_view(x.reshape(self.size, -1), (side, side))
        return view[:: self.stride, :: self.stride].reshape(-1, side * side)

    def inputs(self, x: Float[np.ndarray, " pixels"]) -> list[np.ndarray]:
        """Return what the client encrypts."""
        rows = self.windows(x)
        return list(np.pad(rows.T, ((0, 0), (0, SLOTS - len(rows)))))

    def outputs(self, x: Sequence[Any], mask: Float[np.ndarray, " y"]) -> list[Any]:
        """Return encrypted y + mask, one ciphertext a filter, a mask in every slot of it."""
        found, own = [], mask.reshape(len(self.weights), -1)
        for kernel, bias, part in zip(self.weights, self.bias, own, strict=True):
            pairs = zip(x, kernel.ravel() * STRETCH, strict=True)
            terms = [one * float(w) for one, w in pairs]
            every = np.concatenate([part + bias, masks(SLOTS - len(part))])
            found.append(sum(terms[1:], start=terms[0]) + every.tolist())
        return found

    def read(self, opened: Sequence[np.ndarray]) -> Float[np.ndarray, " y"]:
        """Return y + mask from what the client decrypted."""
        return np.concatenate([one[: self.positions**2] for one in opened])

    def plain(self, x: Float[np.ndarray, " pixels"]) -> Float[np.ndarray, " y"]:
        """Return the convolution in the clear, without the bias."""
        return (self.windows(x) @ self.weights.reshape(len(self.weights), -1).T).T.ravel()

    @property
    def outs(self) -> int:
        """How many numbers come out."""
        return len(self.weights) * self.positions**2


Layer = Dense | Convolution
GATES: tuple[tuple[Callable[[int], Any], Callable[..., Talk]], ...] = (
    (gates.deal_comparisons, gates.positive),
    (gates.deal_truncations, gates.truncate),
)


def width(layer: Layer) -> int:
    """Return how many numbers a layer gives."""
    return layer.outs if isinstance(layer, Convolution) else len(layer.bias)


def in_the_clear(layers: Sequence[Layer], x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " out"]:
    """Return what the network gives without encryption; ReLU stands between its layers."""
    for number, layer in enumerate(layers):
        y = layer.plain(np.maximum(x, 0) if number else x)
        x = y + (np.repeat(layer.bias, width(layer) // len(layer.bias)))
    return x


class HybridNetwork:
    """Both parties and the dealer within one process; the messages are those of real parties."""

    def __init__(self, layers: Sequence[Layer], keep: bool = False) -> None:
        """Draw the client's keys; `keep` notes every message that the server gets, as bytes."""
        self.layers, self.keep = list(layers), keep
        self.received: list[bytes] = []  # by the server, for the last input
        tenseal = ENCRYPTED.need("tenseal")
        self._tenseal = tenseal
        self._client: Any = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=list(MODULI), n_threads=1
        )
        self._client.global_scale = 2.0**SCALE
        self._client.generate_galois_keys()
        public = self._client.serialize(save_secret_key=False)
        self._server: Any = tenseal.context_from(public)
        self.public_bytes = len(public)

    def infer(self, x: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " out"], Ledger]:
        """Return one input's outputs and what they cost. Raises `ValueError` for another size."""
        ledger, behind = Ledger(), np.zeros(width(self.layers[0]))
        self.received = []
        for number, layer in enumerate(self.layers):
            last = number + 1 == len(self.layers)
            count = width(layer)
            mask = np.zeros(count) if last else masks(count)
            x = self._linear(layer, x, mask - behind, ledger)
            if last:
                break
            # what the client decrypted is y + mask, so the server's share is -mask, exactly
            rectified = self._rectified((in_ring(-mask), in_ring(x)), ledger)
            carried = masks(count, FRACTION)
            told = rectified[0] + encode(carried)
            ledger.sent[MODEL_OWNER] += told.nbytes
            ledger.rounds += 1
            x = decode(told + rectified[1])
            behind = self.layers[number + 1].plain(carried)  # what the mask adds to the next layer
        return x, ledger

    def _linear(
        self, layer: Layer, x: np.ndarray, mask: np.ndarray, ledger: Ledger
    ) -> Float[np.ndarray, " h"]:
        """Return what the client decrypts: the layer of x, with its bias, plus the mask."""
        vector = self._tenseal.ckks_vector
        sent = [vector(self._client, one.tolist()).serialize() for one in layer.inputs(x)]
        self._noted(sent, ledger)
        load = self._tenseal.ckks_vector_from
        back = [
            one.serialize() for one in layer.outputs([load(self._server, s) for s in sent], mask)
        ]
        self.returned = back
        ledger.sent[MODEL_OWNER] += sum(map(len, back))
        ledger.rounds += 2
        return layer.read([np.array(load(self._client, one).decrypt()) for one in back])

    def _rectified(self, hidden: tuple[Ring, Ring], ledger: Ledger) -> tuple[Ring, Ring]:
        """Return shares of max(x, 0), with FRACTION bits after the point, for shares of x with
        PRODUCT bits.
        """
        count, both = hidden[0].size, hidden
        ledger.comparisons += count
        heard = len(ledger.seen[MODEL_OWNER])
        for deal, gate in GATES:
            parts: tuple[Any, Any] = deal(count)
            ledger.key_bytes += sum(a.nbytes for part in parts for a in part.arrays())
            mine = gate(MODEL_OWNER, both[0], parts[0], "hidden")
            theirs = gate(DATA_OWNER, both[1], parts[1], "hidden")
            both = converse((mine, theirs), ledger, self.keep)
        self.received += [one.tobytes() for one in ledger.seen[MODEL_OWNER][heard:]]
        return both

    def _noted(self, messages: list[bytes], ledger: Ledger) -> None:
        ledger.sent[DATA_OWNER] += sum(map(len, messages))
        if self.keep:
            self.received += messages


def in_ring(x: Float[np.ndarray, " n"]) -> Ring:
    """Return numbers with PRODUCT bits after the point modulo 2^64, rounded to FINE bits.

    Masks exceed what `shares.encode` takes; they may, since they cancel modulo 2^64.
    """
    return np.rint(x * 2.0**FINE).astype(np.int64).view(U) << U(PRODUCT - FINE)


def masks(count: int, fine: int = FINE) -> Float[np.ndarray, " h"]:
    """Return masks in +-2^MASK from the operating system's entropy, multiples of 2^-fine."""
    span = 1 << (MASK + fine + 1)
    drawn = np.frombuffer(secrets.token_bytes(8 * count), U) % U(span)
    return (drawn.astype(np.int64) - span // 2) / 2.0**fine


def hidden_bits() -> int:
    """Return how many bits of statistical distance a mask gives: what is hidden shifts the mask's
    range by at most 2^(HIDDEN_MOST - MASK) of its width.
    """
    return MASK - HIDDEN_MOST


def layers_of(network: RectifiedNetwork) -> list[Layer]:
    """Return the layers of a small network of pictures of 32x32 in [-1, 1]."""
    first = network.convolution
    assert first.bias is not None
    weight, bias = (t.detach().double().numpy() for t in (first.weight[:, 0], first.bias))
    found: list[Layer] = [Convolution(weight, bias, first.stride[0], SIZE)]
    for layer in (network.dense, network.head):
        arrays = [t.detach().double().numpy() for t in (layer.weight.T, layer.bias)]
        found.append(Dense(*arrays))
    return found
