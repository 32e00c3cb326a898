"""Keyed pseudonyms: one name for a patient within a project, another in every other project.

Hides: who a row belongs to, from everybody without the key.
Trusted: whoever keeps the key, and the place where it lies.
Does not protect against: what else the row says; rows of one patient that add up; whoever gets the
key and a list of identifiers.

A pseudonym is HMAC-SHA256 (RFC 2104) of the canonical identifier under a key of the project, which
is itself HMAC-SHA256 of the project's name under the key of the owner. A hash without a key hides
nothing: identifiers are few, and all can be tried (`medpriv_lib.collection.roster`). The key is a
salt as `medpriv_lib.core.salt` draws, keeps and reads it.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from medpriv_lib.collection.identifiers import canonical
from medpriv_lib.data.dicom.names import LETTERS, SALT_BYTES

DIGITS = 20  # hexadecimal: 80 bits; among a million patients two collide once in 2 * 10^12 projects


@dataclass(frozen=True)
class Pseudonyms:
    """The pseudonyms of one `project` under one `key` of at least 32 bytes of entropy.

    Raises `ValueError` for a shorter key and for a project without a name.
    """

    key: bytes = field(repr=False)
    project: str

    def __post_init__(self) -> None:
        """Refuse what would not hide, or would hide in all projects alike."""
        if len(self.key) < SALT_BYTES:
            raise ValueError(
                f"a key of pseudonyms has {SALT_BYTES} bytes or more, not {len(self.key)}; "
                "draw one with core.salt.fresh_salt()"
            )
        if not self.project.strip():
            raise ValueError("name the project: pseudonyms of two projects must differ")

    def of(self, identifier: str, issuer: str = "") -> str:
        """Return a patient's pseudonym, 20 letters from a to p.

        Raises what `identifiers.canonical` raises.
        """
        digest = hmac.digest(self._project_key, canonical(identifier, issuer), hashlib.sha256)
        return digest.hex()[:DIGITS].encode().translate(LETTERS).decode()

    def column(self, identifiers: Sequence[str], issuer: str = "") -> list[str]:
        """Return the pseudonyms of a column; errors name the row. An empty column is an error."""
        if len(identifiers) == 0:
            raise ValueError("the column of identifiers is empty; there is nothing to rename")
        found = []
        for row, identifier in enumerate(identifiers):
            try:
                found.append(self.of(identifier, issuer))
            except (TypeError, ValueError) as error:
                raise type(error)(f"row {row}: {error}") from None
        return found

    @property
    def _project_key(self) -> bytes:
        return hmac.digest(self.key, b"project\0" + self.project.encode(), hashlib.sha256)
