"""Keys for one round: two parties agree on a secret over an open line (X25519), and name its use.

What two sites agree on is known to both and to nobody else, the coordinator who carries the public
keys included, as long as the public keys are the sites' own. That is what signatures are for
(`identity.py`): an unsigned key may be the coordinator's, who then stands between the two.
"""

import hashlib
import secrets
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BYTES = 32
NONCE = 12


class Pair(NamedTuple):
    """A private key, which stays where it was made, and its public key: 32 bytes each."""

    private: bytes
    public: bytes


def draw() -> Pair:
    """Return a new pair, drawn from the operating system's randomness."""
    private = secrets.token_bytes(BYTES)
    return Pair(private, public_of(private))


def public_of(private: bytes) -> bytes:
    """Return the public key that belongs to a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes, use: bytes) -> bytes:
    """Return the key (32 bytes) that the owners of both private keys can compute, for one `use`.

    Diffie-Hellman on Curve25519 (RFC 7748), then HKDF with SHA-256 (RFC 5869), whose `info` is the
    use: keys for two uses are unrelated. Raises `ValueError` for a public key that makes the secret
    the same for everybody (a point of small order).
    """
    try:
        found = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError as error:
        raise ValueError(
            f"the public key {public.hex()[:16]}... agrees on a secret that everybody knows; its "
            "site must draw a new one"
        ) from error
    return derive(found, use)


def derive(secret: bytes, use: bytes) -> bytes:
    """Return a key (32 bytes) for one `use` of a secret: HKDF with SHA-256."""
    return HKDF(SHA256(), BYTES, None, use).derive(secret)


def seal(key: bytes, plain: bytes, label: bytes) -> bytes:
    """Return the plain bytes encrypted and authenticated (AES-256-GCM), the nonce in front.

    `label` is bound to them: it must be the same when they are opened.
    """
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, label)


def unseal(key: bytes, sealed: bytes, label: bytes) -> bytes | None:
    """Return the plain bytes, None where a byte, the key or the label is another one."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], label)
    except (InvalidTag, ValueError):  # the second where less is left than a nonce and a tag
        return None


def joined(*parts: str | int | bytes) -> bytes:
    """Return the parts as bytes that no other parts give: each with its length before it."""
    found = b""
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        found += len(raw).to_bytes(4, "big") + raw
    return found


def commitment(secret: bytes) -> bytes:
    """Return the SHA-256 by which a secret of 32 random bytes is recognised and not found."""
    return hashlib.sha256(joined("self-mask", secret)).digest()
