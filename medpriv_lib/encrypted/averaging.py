"""The sites' updates are added under CKKS by a coordinator who cannot read them.

The sites hold one secret key together, the coordinator the public one. Unlike masks, ciphertexts
need no second message when a site is lost: what came is added. The price is the common key. A site
that gets hold of another site's ciphertext reads the update, so the coordinator must not pass any
on; with masks no such pair can.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.extra import ENCRYPTED
from medpriv_lib.core.promise import Promise

DEGREE, MODULI = 4096, (40, 29, 40)  # 109 bits are allowed at 4096; sums need one level at most
PROMISE = Promise(
    "each site's update",
    "the coordinator",
    "that coordinator and sites do not collude: every site holds the key",
    "what the sum says; a site that sends nonsense",
)


class KeyHolder:
    """What every site has: the common secret key."""

    def __init__(self) -> None:
        """Draw the key. In earnest one site draws and hands the key to the others, sealed."""
        tenseal = ENCRYPTED.need("tenseal")
        self._tenseal = tenseal
        self._context: Any = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=list(MODULI), n_threads=1
        )
        self._context.global_scale = 2.0 ** MODULI[1]

    def public(self) -> bytes:
        """Return what the coordinator needs."""
        return bytes(self._context.serialize(save_secret_key=False))

    def encrypt(self, update: Float[np.ndarray, " n"]) -> list[bytes]:
        """Return an update in ciphertexts of 2,048 numbers each.

        Raises `ValueError` for NaN and infinity, which would spoil the sum unseen.
        """
        if not np.isfinite(update).all():
            raise ValueError(
                f"{int((~np.isfinite(update)).sum())} of {update.size} values are not finite, and "
                "one of them makes the whole sum worthless; look at this site's training"
            )
        slots = DEGREE // 2
        parts = [update[start : start + slots] for start in range(0, len(update), slots)]
        vectors = (self._tenseal.ckks_vector(self._context, part.tolist()) for part in parts)
        return [bytes(vector.serialize()) for vector in vectors]

    def decrypt(self, total: Sequence[bytes]) -> Float[np.ndarray, " n"]:
        """Return the numbers of a sum."""
        vectors = (self._tenseal.ckks_vector_from(self._context, part) for part in total)
        return np.concatenate([np.array(vector.decrypt()) for vector in vectors])


class Adder:
    """The coordinator: adds what it cannot read."""

    def __init__(self, public: bytes) -> None:
        """Take the public key. Raises `ValueError` where the secret key came along."""
        self._tenseal = ENCRYPTED.need("tenseal")
        self._context: Any = self._tenseal.context_from(public)
        if self._context.is_private():
            raise ValueError("a site sent the secret key; send what `public` returns")

    def add(self, updates: Sequence[Sequence[bytes]]) -> list[bytes]:
        """Return the encrypted sum of the sites' updates, all of one length.

        Raises `ValueError` for no update and for updates of different lengths.
        """
        if not updates or len({len(update) for update in updates}) != 1:
            raise ValueError("a sum needs updates of one length, at least one")
        sums = []
        for parts in zip(*updates, strict=True):
            vectors = [self._tenseal.ckks_vector_from(self._context, part) for part in parts]
            sums.append(bytes(sum(vectors[1:], start=vectors[0]).serialize()))
        return sums
