"""The messages of a round, in the order in which they are sent, and their plain form.

    site -> coordinator     Advert     Shares     Masked        Agreement     Opened
    coordinator -> site            Keys      Inbox     Survivors     Agreements

Every message carries its round. In plain form a message is a dictionary of integers, bytes and
lists of these, which JSON-like carriers and Flower's `ConfigRecord` take.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import numpy as np
from jaxtyping import UInt64

Plain = dict[str, Any]


@dataclass(frozen=True)
class Advert:
    """A site's two public keys of this round, for shares (`box`) and for masks, signed by it."""

    round: int
    site: int
    box: bytes
    mask: bytes
    signature: bytes


@dataclass(frozen=True)
class Keys:
    """The adverts of all sites that answered, by site."""

    round: int
    box: dict[int, bytes]
    mask: dict[int, bytes]
    signature: dict[int, bytes]


@dataclass(frozen=True)
class Shares:
    """What a site leaves with the others for the case that it drops out.

    `sealed` by holder: a share of its mask key and a share of its self-mask, readable by the holder
    alone. `commitment` is the SHA-256 of the self-mask's secret.
    """

    round: int
    site: int
    commitment: bytes
    sealed: dict[int, bytes]


@dataclass(frozen=True)
class Inbox:
    """What the others left with a site, by sender. Its sites are those masks are made with."""

    round: int
    sealed: dict[int, bytes]


@dataclass(frozen=True)
class Masked:
    """A site's numbers under all its masks."""

    round: int
    site: int
    numbers: UInt64[np.ndarray, " n"]


@dataclass(frozen=True)
class Survivors:
    """The sites whose masked numbers arrived, as the coordinator says."""

    round: int
    sites: tuple[int, ...]


@dataclass(frozen=True)
class Agreement:
    """A site's signature of the list of survivors that it was told."""

    round: int
    site: int
    signature: bytes


@dataclass(frozen=True)
class Agreements:
    """The signatures of the sites that agreed, by site."""

    round: int
    signatures: dict[int, bytes]


@dataclass(frozen=True)
class Opened:
    """One share for each peer: of the self-mask of a survivor, of the mask key of a lost site."""

    round: int
    site: int
    own: dict[int, bytes]
    pair: dict[int, bytes]


Message = Advert | Keys | Shares | Inbox | Masked | Survivors | Agreement | Agreements | Opened
Kind = TypeVar("Kind")


def plain(message: Any) -> Plain:
    """Return a message, or a site's memory, as a dictionary; arrays are left out.

    A field that maps sites to bytes becomes two lists.
    """
    found: Plain = {}
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if isinstance(value, dict):
            found[f"{field.name}-of"], found[field.name] = list(value), list(value.values())
        elif isinstance(value, tuple):
            found[field.name] = list(value)
        elif not isinstance(value, np.ndarray):
            found[field.name] = value
    return found


def read(kind: type[Kind], content: Plain, **arrays: np.ndarray) -> Kind:
    """Return the message of that kind from its plain form, and its arrays by name.

    Raises `ValueError` where something is missing, or is of another type than the kind declares.
    """
    values: Plain = {}
    for name, hint in get_type_hints(kind).items():
        if name in arrays:
            values[name] = arrays[name]
            continue
        if name not in content:
            raise ValueError(f"a message {kind.__name__} came without its {name!r}")
        value = content[name]
        if hint == dict[int, bytes]:
            of = content.get(f"{name}-of", [])
            good = _all(of, int) and _all(value, bytes) and len(set(of)) == len(value)
            value = dict(zip(of, value, strict=True)) if good and len(of) == len(value) else None
        elif hint == tuple[int, ...]:
            value = tuple(value) if _all(value, int) else None
        elif not isinstance(value, hint):
            value = None
        if value is None:
            raise ValueError(f"a message {kind.__name__} came with an odd {name!r}")
        values[name] = value
    return kind(**values)


def size(message: Message) -> int:
    """Return the bytes of a message's content: 8 for an integer, keys and names not counted."""
    total = 0
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if isinstance(value, dict):
            total += sum(8 + len(one) for one in value.values())
        elif isinstance(value, np.ndarray):
            total += value.nbytes
        else:
            total += len(value) * (1 if isinstance(value, bytes) else 8) if _sized(value) else 8
    return total


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(one, kind) for one in values)


def _sized(value: Any) -> bool:
    return isinstance(value, bytes | tuple)
