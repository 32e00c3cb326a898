"""Whether two patients of a listing are one person: two spellings of a name, one picture of two.

Every promise of this library counts patients. Somebody who is listed as two patients is averaged
with themselves, counts as somebody whom a judge never met although the judge did, and stands on
both sides of a split by patient.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from medpriv_lib.core.pixels import Images
from medpriv_lib.core.printable import printable
from medpriv_lib.data.listing import Listing

# what spreadsheets and data frames write into an empty cell
NOBODY = {"nan", "n/a", "#n/a", "na", "#na", "<na>", "null", "none", "nat", "#ref!", "#value!"}
SHOWN = 3
# letters that look like Latin ones, once in small letters (their capitals do), and letters that
# consist of no letter and accent
LOOK_ALIKE = str.maketrans(
    "авекмнорстхуіјѕ" + "αβεζηικμνορτυχ" + "øłđðħı",
    "abekmhopctxyijs" + "abezhikmnoptyx" + "olddhi",
)
TURNED = re.compile(r"([^\W\d][^\d,^]*)(?:,\s*|\^)([^\W\d][^\d,^]*)")  # last name, first name
ACCENTS = re.compile("[\u0300-\u036f]")


class DoubledPeople(ValueError):
    """Two patients of a source seem to be one person; the message names both and the remedy."""


def key_of(name: str) -> str:
    """Return what two spellings of one name have in common.

    Compatibility forms (NFKC), case, blanks, marks of direction, zeros in front of a number and the
    `.0` that a spreadsheet appends do not make another person: `0017`, `17` and `17.0` are one, and
    so are `P001`, `p1` and `P 001`. Nor do accents (`García`, `Garcia`) and Cyrillic and Greek
    letters whose capitals look like Latin ones, nor which name stands first (`Smith, John`,
    `SMITH^JOHN`, `John Smith`). `Müller` and `Mueller` stay two.
    """
    text, before = name, None
    while text != before:  # taking one thing away may let two others join
        before, text = text, _folded(text)
    return text


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    text = ACCENTS.sub("", unicodedata.normalize("NFKD", text)).translate(LOOK_ALIKE)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf").strip()
    turned = TURNED.fullmatch(text)
    text = f"{turned[2]} {turned[1]}" if turned else text
    text = re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", text)  # `1 23` and `12 3` are two numbers each
    number = re.fullmatch(r"([+-]?\d+)[.,]0*", text)
    text = number[1] if number else text
    return re.sub(r"(?<![\d.,])0+(?=\d)", "", text)


def is_nobody(name: str) -> bool:
    """Say whether a cell names no patient: empty, or what a program writes for empty."""
    return "".join(name.split()).casefold() in NOBODY | {""}


def spellings(names: Shaped[np.ndarray, " n"]) -> list[tuple[str, ...]]:
    """Return the groups of two or more spellings of what seems to be one name, sorted."""
    groups = defaultdict(list)
    for name in np.unique(names).tolist():
        groups[key_of(name)].append(name)
    return sorted(tuple(group) for group in groups.values() if len(group) > 1)


def shared_pictures(
    images: Images, patient: Shaped[np.ndarray, " n"]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return pairs of rows with the same pixels: those of two patients, and those of one.

    A picture and its mirror image are one: a right eye is mirrored, and a picture listed as left
    once and as right once would not be met otherwise. Each repeated picture is paired with its
    first row of another patient where there is one.
    """
    return shared_prints(prints_of(images), patient)


def prints_of(images: Images) -> list[bytes]:
    """Return 16 bytes for each image that are those of its mirror image, and of no other."""
    return [
        min(hashlib.blake2b(one.tobytes(), digest_size=16).digest() for one in (i, i[:, ::-1]))
        for i in images
    ]


def shared_prints(
    prints: Sequence[bytes], patient: Shaped[np.ndarray, " n"]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the pairs of `shared_pictures` by what `prints_of` says of each image."""
    rows = defaultdict(list)
    for row, one in enumerate(prints):
        rows[one].append(row)
    two: list[tuple[int, int]] = []
    same: list[tuple[int, int]] = []
    for group in rows.values():
        first = group[0]
        others = [row for row in group[1:] if patient[row] != patient[first]]
        two += [(first, row) for row in others]
        same += [(first, row) for row in group[1:] if row not in others]
    return two, same


def refuse_spellings(listing: Listing, groups: list[tuple[str, ...]]) -> None:
    """Raise `DoubledPeople` where a name has several spellings, naming the first and its places."""
    if not groups:
        return
    parts = []
    for name in groups[0][:SHOWN]:
        row = int(np.flatnonzero(listing.patient == name)[0])
        parts.append(f"{printable(name)!r} in {listing.place_of(row)}")
    more = f" ({len(groups) - 1} more such names)" if len(groups) > 1 else ""
    raise DoubledPeople(
        f"{printable(listing.table or listing.root)}: one person under two spellings? "
        f"{' and '.join(parts)}{more}; they would count as different patients, and K of them as "
        "fewer people: write one spelling, or accept them as different with doubles='report' "
        "(--doubles report)"
    )


def refuse_shared(listing: Listing, pairs: list[tuple[int, int]]) -> None:
    """Raise `DoubledPeople` where two patients (rows of the listing) have one picture."""
    if not pairs:
        return
    first, second = pairs[0]
    more = f" ({len(pairs) - 1} more such pairs)" if len(pairs) > 1 else ""
    raise DoubledPeople(
        f"{printable(listing.table or listing.root)}: one picture under two patients: "
        f"{listing.place_of(first)} of {printable(listing.patient[first])!r} and "
        f"{listing.place_of(second)} of {printable(listing.patient[second])!r}{more}; correct the "
        "patient or remove one of the rows, or accept both with doubles='report' (--doubles report)"
    )
