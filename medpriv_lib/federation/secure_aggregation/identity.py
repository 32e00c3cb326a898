"""Who the sites are: an identity key for each (Ed25519), and the roster that all of them compare.

The roster is what everything rests on. Whoever can change a site's roster can name strangers, or
the coordinator itself, as sites. So a site reads the roster from its own disk, never from the
coordinator, and people compare the fingerprint by another way, such as the telephone.
"""

import functools
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from medpriv_lib.core.files import write_json
from medpriv_lib.federation.secure_aggregation.keys import joined

FEWEST = 3  # of two sites each subtracts its own numbers from the sum


@dataclass(frozen=True)
class Identity:
    """A site's `number` in the roster, from 1 on, and its `private` key, which stays there."""

    number: int
    private: bytes

    @classmethod
    def draw(cls, number: int) -> "Identity":
        """Return a new identity, from the operating system's randomness."""
        return cls(number, secrets.token_bytes(32))

    @functools.cached_property
    def public(self) -> bytes:
        """The public key (32 bytes) that belongs into the roster."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, *parts: str | int | bytes) -> bytes:
        """Return the signature (64 bytes) of the parts."""
        return self._key.sign(joined(*parts))

    @functools.cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.private)

    def __repr__(self) -> str:
        """Name the site and hide the key: errors and logs print objects."""
        return f"Identity(number={self.number})"

    def write(self, path: str | os.PathLike) -> None:
        """Write the identity as JSON that its owner alone can read.

        Raises `FileExistsError` where the file is there already.
        """
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise FileExistsError(f"{path} is there already; an identity is not replaced") from None
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"number": self.number, "private": self.private.hex()}, file)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Identity":
        """Read what `write` wrote.

        Raises `FileNotFoundError`, and `ValueError` for any other file.
        """
        content = _json(path, "a site's identity")
        try:
            found = cls(int(content["number"]), bytes.fromhex(content["private"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no identity of a site; make one anew") from error
        if len(found.private) != 32:
            raise ValueError(f"{path} holds a key of {len(found.private)} bytes; make one anew")
        return found


@dataclass(frozen=True)
class Roster:
    """The sites of a federation: its name, public keys by number, and how many must stay.

    With n sites and the threshold t, n - t of them may drop out in a round, and up to 2t - n - 1
    may tell the coordinator all they know without opening another site. Both cannot be large.
    """

    federation: str
    threshold: int
    members: dict[int, bytes]

    def __post_init__(self) -> None:
        """Refuse rosters that protect nobody, with `ValueError`."""
        count = len(self.members)
        if count < FEWEST:
            raise ValueError(
                f"a roster of {count} sites protects nobody, since each subtracts its own numbers "
                f"from the sum; {FEWEST} are the fewest"
            )
        if min(self.members) < 1 or any(len(key) != 32 for key in self.members.values()):
            raise ValueError("a roster gives numbers from 1 on, each with a key of 32 bytes")
        if len(set(self.members.values())) < count:
            raise ValueError("two sites of the roster have the same key; each draws its own")
        if not count < 2 * self.threshold <= 2 * count:
            raise ValueError(
                f"a threshold of {self.threshold} of {count} sites cannot be: two groups of that "
                "size must share a site, or a coordinator asks one group for what the other "
                f"withholds; choose {count // 2 + 1} to {count}"
            )

    @property
    def dropouts(self) -> int:
        """How many sites may drop out of a round."""
        return len(self.members) - self.threshold

    @property
    def colluders(self) -> int:
        """How many sites may tell a lying coordinator everything without opening another site.

        Two lists, each signed by t sites, share at least 2t - n of them, and a site that keeps the
        rule signs one list only. Of t survivors two must be honest, or the sum is the one's.
        """
        return min(2 * self.threshold - len(self.members) - 1, self.threshold - 2)

    def verified(self, number: int, signature: bytes, *parts: str | int | bytes) -> bool:
        """Say whether the site of that number signed the parts."""
        if number not in self.members:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.members[number]).verify(
                signature, joined(*parts)
            )
        except InvalidSignature:
            return False
        return True

    @functools.cached_property
    def digest(self) -> bytes:
        """The SHA-256 of all that the roster says; every signature and every key is bound to it."""
        parts: list[str | int | bytes] = [self.federation, self.threshold]
        for number in sorted(self.members):
            parts += [number, self.members[number]]
        return hashlib.sha256(joined("roster", *parts)).digest()

    def fingerprint(self) -> str:
        """Return 32 hexadecimal digits in groups of four, to be compared by another way."""
        digits = self.digest.hex()[:32]
        return " ".join(digits[i : i + 4] for i in range(0, 32, 4))

    def write(self, path: str | os.PathLike) -> None:
        """Write the roster as JSON, atomically."""
        members = {str(number): key.hex() for number, key in sorted(self.members.items())}
        write_json(
            path,
            {"federation": self.federation, "threshold": self.threshold, "members": members},
        )

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Roster":
        """Read what `write` wrote.

        Raises `FileNotFoundError`, and `ValueError` for any other file.
        """
        content = _json(path, "a roster")
        try:
            members = {int(n): bytes.fromhex(key) for n, key in content["members"].items()}
            name, threshold = str(content["federation"]), int(content["threshold"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path} is no roster; get it again from who made it") from error
        return cls(name, threshold, members)


def enrol(federation: str, sites: int, threshold: int) -> tuple[dict[int, Identity], Roster]:
    """Return new identities of that many sites, and their roster: for trying, in one process.

    In earnest each site draws its own identity and gives away the public key alone.
    """
    identities = {number: Identity.draw(number) for number in range(1, sites + 1)}
    members = {number: identity.public for number, identity in identities.items()}
    return identities, Roster(federation, threshold, members)


def _json(path: str | os.PathLike, what: str) -> dict:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file; {what} must lie there")
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON, so not {what}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not {what}")
    return content
