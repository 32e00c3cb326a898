"""A radiomics vector is scored under CKKS: one dot product and a polynomial instead of a sigmoid.

Cheon, Kim, Kim, Song (2017), through TenSEAL. The client encrypts one vector as one ciphertext and
keeps the secret key; the server multiplies by its weights, adds the products up by rotations, and
returns one encrypted number. A ciphertext has 4,096 slots, and whoever has the key reads all of
them, also those that nobody asked for. A sum over the F slots of a vector leaves partial sums in
the others, from which a client computes every weight after one question. So a vector fills all
slots (zeros behind its numbers), the sum runs over all of them, and the answer stands in every slot
alike, whatever a client has sent. A sigmoid has no exact form in sums and products; a cubic that is
fitted by least squares on [-reach, reach] stands for it (Kim et al. 2018, *Secure logistic
regression based on homomorphic encryption*). Beyond about two thirds of the reach the cubic bends
back, so the reach has to cover the logits that occur, and the order of the scores near both ends is
not kept.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.extra import ENCRYPTED
from medpriv_lib.core.promise import Promise
from medpriv_lib.encrypted.slots import all_slots

DEGREE = 8192
MODULI = (48, 38, 38, 38, 48)  # 210 of the 218 bits that 128-bit security allows at 8192
SLOTS = DEGREE // 2
HEAD = 2  # bytes before a ciphertext: how many numbers the vector has
GRID = 2001  # points of the least-squares fit
PROMISE = Promise(
    "the vector and the score",
    "the server that owns the model",
    "the hardness of ring learning with errors; a client that keeps its key",
    "a client that asks so often that it solves for the weights; what the score itself says",
)


def sigmoid_cubic(reach: float) -> tuple[float, float]:
    """Return (a, b) of the cubic 1/2 + a x + b x^3 that is nearest to the sigmoid on
    [-reach, reach], in least squares.

    Raises `ValueError` for a reach that is not positive.
    """
    if not 0 < reach < np.inf:
        raise ValueError(f"the reach of the sigmoid must be a positive number, not {reach}")
    x = np.linspace(-reach, reach, GRID)
    found, *_ = np.linalg.lstsq(np.stack([x, x**3], axis=1), 1 / (1 + np.exp(-x)) - 0.5)
    return float(found[0]), float(found[1])


def cubic(logit: Float[np.ndarray, " n"], reach: float) -> Float[np.ndarray, " n"]:
    """Return in the clear what `ScoreServer.probability` computes under encryption."""
    a, b = sigmoid_cubic(reach)
    return 0.5 + a * logit + b * logit**3


class ScoreClient:
    """The data owner: draws keys for vectors, encrypts one at a time, decrypts one number."""

    def __init__(self) -> None:
        """Draw the keys; among them those for the rotations of a dot product."""
        tenseal = ENCRYPTED.need("tenseal")
        self._tenseal = tenseal
        self._context: Any = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=list(MODULI), n_threads=1
        )
        self._context.global_scale = 2.0 ** MODULI[1]
        self._context.generate_galois_keys()

    def public(self) -> bytes:
        """Return what the server needs: everything but the secret key."""
        return bytes(self._context.serialize(save_secret_key=False))

    def encrypt(self, vector: Float[np.ndarray, " f"]) -> bytes:
        """Return one patient's vector as one ciphertext, behind its length.

        Raises `ValueError` for NaN, infinity and more numbers than a ciphertext holds.
        """
        if vector.ndim != 1 or not np.isfinite(vector).all() or len(vector) > SLOTS:
            raise ValueError(
                f"a vector is (F,) with at most {SLOTS} finite numbers, not of shape "
                f"{vector.shape} with {int((~np.isfinite(vector)).sum())} that are not finite"
            )
        padded = np.pad(vector, (0, SLOTS - len(vector))).tolist()
        sealed = self._tenseal.ckks_vector(self._context, padded).serialize()
        return len(vector).to_bytes(HEAD, "big") + bytes(sealed)

    def decrypt(self, ciphertext: bytes) -> float:
        """Return the number of an answer."""
        return float(self._tenseal.ckks_vector_from(self._context, ciphertext).decrypt()[0])

    def slots(self, ciphertext: bytes) -> Float[np.ndarray, " slots"]:
        """Return all numbers that the key opens in an answer: each of them the score."""
        return all_slots(self._context, ciphertext)


class ScoreServer:
    """The model owner: weights (F,) and a bias, kept in the clear on this side alone."""

    def __init__(self, public: bytes, weights: Float[np.ndarray, " f"], bias: float) -> None:
        """Take a client's public keys. Raises `ValueError` where they hold the secret key."""
        self._tenseal = ENCRYPTED.need("tenseal")
        self._context: Any = self._tenseal.context_from(public)
        if self._context.is_private():
            raise ValueError("the client sent its secret key; send what `public` returns")
        self.weights, self.bias = weights, bias

    def logit(self, vector: bytes) -> bytes:
        """Return the encrypted weights . vector + bias."""
        return bytes(self._dot(vector).serialize())

    def probability(self, vector: bytes, reach: float) -> bytes:
        """Return the encrypted cubic of the logit; `reach` as of `sigmoid_cubic`."""
        a, b = sigmoid_cubic(reach)
        return bytes(self._dot(vector).polyval([0.5, a, 0.0, b]).serialize())

    def _dot(self, vector: bytes) -> Any:
        count = int.from_bytes(vector[:HEAD], "big")
        if count != len(self.weights):
            raise ValueError(
                f"the vector has {count} numbers and the model {len(self.weights)} weights; "
                "describe the image by the features that the model was trained on"
            )
        x = self._tenseal.ckks_vector_from(self._context, vector[HEAD:])
        if x.size() != SLOTS:
            raise ValueError(
                f"the ciphertext holds {x.size()} numbers and must fill its {SLOTS} slots, or the "
                "answer would tell the weights; encrypt with `ScoreClient.encrypt`"
            )
        weights = np.pad(self.weights, (0, SLOTS - count))
        return x.dot(weights.tolist()) + float(self.bias)  # one number is added to every slot
