"""The one form of an identifier: what two clerks write differently is one patient all the same."""

import unicodedata
from collections.abc import Sequence

KEPT = "LMN"  # letters, marks and numbers; blanks, hyphens, dots and slashes go


def canonical(identifier: str, issuer: str = "") -> bytes:
    """Return the bytes that stand for an identifier: the same for all ways of writing it.

    Unicode is normalised (NFKC), case is folded, digits of every script become 0 to 9, and all that
    is no letter, mark or number is left out. Leading zeros stay. `issuer` names who gave the
    number, and patients of two issuers never meet. What separators tell apart is lost: "12-3" and
    "1-23" are one; write numbers with a fixed width before, where both can occur. Raises
    `TypeError` for what is no text (a number has lost its zeros already) and `ValueError` where
    nothing is left.
    """
    if not isinstance(identifier, str):
        raise TypeError(
            f"an identifier is text, not {type(identifier).__name__}: read the column as text, "
            "or leading zeros are lost"
        )
    kept = _folded(identifier)
    if not kept:
        raise ValueError(
            f"the identifier {identifier!r} has no letter and no digit; leave such rows out"
        )
    return f"{_folded(issuer)}\0{kept}".encode()


def first_rows(identifiers: Sequence[str], issuer: str = "") -> dict[bytes, int]:
    """Return canonical identifier -> the first row where it stands, in the order of the rows.

    Raises what `canonical` raises, with the row, and `ValueError` for an empty list.
    """
    if len(identifiers) == 0:
        raise ValueError("the list of identifiers is empty; nothing can be compared")
    found: dict[bytes, int] = {}
    for row, identifier in enumerate(identifiers):
        try:
            found.setdefault(canonical(identifier, issuer), row)
        except (TypeError, ValueError) as error:
            raise type(error)(f"row {row}: {error}") from None
    return found


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(
        str(unicodedata.decimal(sign, sign))
        for sign in plain
        if unicodedata.category(sign)[0] in KEPT
    )
