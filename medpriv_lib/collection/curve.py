"""Blinding on an elliptic curve: hash a text to a point of P-256, multiply the point by a secret.

The group must be of prime order, and nobody may know the logarithm of a hashed point. P-256 has
prime order and cofactor 1, so that every point of the curve except the zero is of full order. A
text becomes a point by trying counters: SHA-256 of text and counter is taken as an x-coordinate,
and the first that lies on the curve is the point (on average two tries). Multiplying the base
point by a hash would be faster and worthless: the logarithm is then known to everybody.

ECDH returns the x-coordinate of a product, and that is enough: x(k P) = x(k (-P)), so that any of
the two points of an x may be taken for the next factor, and x(a (b P)) = x(b (a P)). An x which is
on no point of the curve is refused, so that nobody can pass a point of another curve.

X25519 would not do: it takes every number as a coordinate, of the curve or of its twist.
Multiplication keeps a point on its curve, so each blinded text would tell one bit of its hash.

The number of tries, and so the time, depends on the text: hash where nobody can take the time.
"""

import hashlib
import secrets
from typing import Any

from medpriv_lib.core.extra import COLLECTION

# the number of points of P-256 (NIST SP 800-186, section 3.2.1.3)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BYTES = 32  # of an x-coordinate


def _ec() -> Any:
    return COLLECTION.need("cryptography.hazmat.primitives.asymmetric.ec")


def point_at(x: bytes) -> Any:
    """Return a point with this x-coordinate, 32 bytes, as `cryptography` holds public keys.

    Raises `ValueError` where the curve has none.
    """
    ec = _ec()
    if len(x) != BYTES:
        raise ValueError(f"a point is given by {BYTES} bytes, not {len(x)}")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x02" + x)
    except ValueError:
        raise ValueError(f"{x.hex()[:16]}... is the x-coordinate of no point of P-256") from None


def point_of(text: bytes, purpose: bytes) -> Any:
    """Return the point of a text; another `purpose` gives another point."""
    start = hashlib.sha256(b"medpriv set intersection P-256 SHA-256 try-and-increment\0")
    start.update(len(purpose).to_bytes(4, "big") + purpose)
    counter = 0
    while True:
        tried = start.copy()
        tried.update(counter.to_bytes(4, "big") + text)
        try:
            return point_at(tried.digest())
        except ValueError:  # half of all x are on no point
            counter += 1


class Blinding:
    """Multiplication by one secret number, drawn from the operating system's entropy."""

    def __init__(self) -> None:
        """Draw the number, 1 to ORDER - 1, all alike likely."""
        ec = _ec()
        number = 1 + secrets.randbelow(ORDER - 1)
        self._secret = ec.derive_private_key(number, ec.SECP256R1())
        self._ecdh = ec.ECDH()

    def of(self, point: Any) -> bytes:
        """Return the x-coordinate of the product, 32 bytes."""
        return self._secret.exchange(self._ecdh, point)
