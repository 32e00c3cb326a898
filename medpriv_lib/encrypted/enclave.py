"""A trusted execution environment, simulated as such: no hardware protects anything here.

What is real in this file is the protocol. The manufacturer's key signs a *quote*: the measurement
(SHA-256) of code and model, the client's nonce, and the enclave's fresh public key. The client
checks the quote, agrees on a key (X25519) and sends its vector under AES-GCM. What the enclave
stores is *sealed* to its measurement. What is missing is the hardware that would keep the host out
of the memory; so nobody may rely on this file, and the chapters use it to ask what would be seen
even if the hardware kept its promise. The memory's *contents* would be hidden, but not which lines
are touched: a decision tree that follows a vector to a leaf touches other lines for other vectors
(Xu, Cui, Peinado 2015, *Controlled-channel attacks*).
"""

import hashlib
import secrets
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jaxtyping import Bool, Float

from medpriv_lib.core.promise import Promise
from medpriv_lib.learning.trees import Trees

NONCE = 12  # bytes of AES-GCM
PROMISE = Promise(
    "the vector and the score",
    "the host that runs the enclave",
    "the hardware, its manufacturer's key, and code whose measurement the client knows",
    "the order of memory accesses, unless the code touches all lines alike; faults of the hardware",
)


@dataclass(frozen=True)
class Quote:
    """What the manufacturer's key signed: `measurement`, `nonce`, `public`, 32 bytes each."""

    measurement: bytes
    nonce: bytes
    public: bytes
    signature: bytes


class Platform:
    """The processor: a manufacturer's signing key and a secret that never leaves."""

    def __init__(self) -> None:
        """Draw both from the operating system's entropy."""
        self._signing = Ed25519PrivateKey.generate()
        self._fuse = secrets.token_bytes(32)
        self.manufacturer = self._signing.public_key().public_bytes_raw()

    def quote(self, measurement: bytes, nonce: bytes, public: bytes) -> Quote:
        """Sign what runs here, for a client who asked with a nonce."""
        return Quote(measurement, nonce, public, self._signing.sign(measurement + public + nonce))

    def sealing_key(self, measurement: bytes) -> bytes:
        """Return the key that belongs to this processor and this measurement."""
        return _derived(self._fuse, b"seal" + measurement)


class Enclave:
    """Trees that score vectors inside; the host sees ciphertexts, and which nodes are touched.

    `oblivious` touches every node of every tree for every vector, at the price of the time.
    """

    def __init__(self, platform: Platform, trees: Trees, oblivious: bool = False) -> None:
        """Load the model and measure it together with the way it is run."""
        self._platform, self._trees, self.oblivious = platform, trees, oblivious
        self.measurement = measure(trees, oblivious)
        self._private = X25519PrivateKey.generate()

    def attest(self, nonce: bytes) -> Quote:
        """Return the quote for a client's nonce."""
        public = self._private.public_key().public_bytes_raw()
        return self._platform.quote(self.measurement, nonce, public)

    def score(self, sender: bytes, sealed: bytes) -> tuple[bytes, Bool[np.ndarray, " nodes"]]:
        """Return the encrypted score of an encrypted vector, and, for whoever watches the memory,
        which nodes were touched.

        `sender` is the client's public key. Raises `ValueError` for a message that was changed.
        """
        key = _derived(self._private.exchange(X25519PublicKey.from_public_bytes(sender)), b"talk")
        vector = np.frombuffer(_opened(key, sealed, b"vector"), np.float64)
        score, touched = self._trees.walk(vector, self.oblivious)
        return _closed(key, np.float64(score).tobytes(), b"score"), touched

    def seal(self, content: bytes) -> bytes:
        """Return what only this measurement on this processor can open again."""
        return _closed(self._platform.sealing_key(self.measurement), content, b"sealed")

    def unseal(self, content: bytes) -> bytes:
        """Open what `seal` closed. Raises `ValueError` on another processor or for other code."""
        return _opened(self._platform.sealing_key(self.measurement), content, b"sealed")


class EnclaveClient:
    """The data owner, who knows the manufacturer's key and which measurement to expect."""

    def __init__(self, manufacturer: bytes, expected: bytes) -> None:
        """Draw a nonce and a key for one conversation."""
        self._manufacturer, self._expected = manufacturer, expected
        self.nonce, self._private = secrets.token_bytes(32), X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()
        self._key: bytes | None = None

    def accept(self, quote: Quote) -> None:
        """Check a quote and agree on a key. Raises `ValueError` that says what does not fit."""
        try:
            Ed25519PublicKey.from_public_bytes(self._manufacturer).verify(
                quote.signature, quote.measurement + quote.public + quote.nonce
            )
        except InvalidSignature:
            raise ValueError(
                "the quote is not signed by the manufacturer; this is no such processor"
            ) from None
        if quote.nonce != self.nonce:
            raise ValueError("the quote answers another nonce: it is an old one; ask again")
        if quote.measurement != self._expected:
            raise ValueError(
                "other code or another model runs there than the one that was published; send "
                "nothing"
            )
        self._key = _derived(
            self._private.exchange(X25519PublicKey.from_public_bytes(quote.public)), b"talk"
        )

    def encrypt(self, vector: Float[np.ndarray, " f"]) -> bytes:
        """Return a vector for the enclave. Raises `ValueError` before a quote was accepted."""
        return _closed(self._agreed(), np.asarray(vector, np.float64).tobytes(), b"vector")

    def decrypt(self, answer: bytes) -> float:
        """Return the score."""
        return float(np.frombuffer(_opened(self._agreed(), answer, b"score"), np.float64)[0])

    def _agreed(self) -> bytes:
        if self._key is None:
            raise ValueError("no quote was accepted yet; call `accept` before sending anything")
        return self._key


def measure(trees: Trees, oblivious: bool) -> bytes:
    """Return the SHA-256 of the model and of the way it is run: what a client compares."""
    digest = hashlib.sha256(b"trees, oblivious" if oblivious else b"trees")
    for array in trees.arrays():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _derived(secret: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), 32, None, b"medpriv enclave " + use).derive(secret)


def _closed(key: bytes, content: bytes, use: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, content, use)


def _opened(key: bytes, content: bytes, use: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(content[:NONCE], content[NONCE:], use)
    except InvalidTag:
        raise ValueError(
            "the message cannot be opened: it was changed, or belongs to another key or measurement"
        ) from None
