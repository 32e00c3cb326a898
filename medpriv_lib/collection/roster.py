"""What somebody with a list of identifiers, or with some facts, makes of pseudonyms."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping

from medpriv_lib.collection.identifiers import canonical


def unkeyed(identifier: str) -> str:
    """Return the SHA-256 of an identifier: the pseudonym that hides nothing, as a control."""
    return hashlib.sha256(canonical(identifier)).hexdigest()


def dictionary(
    seen: Iterable[str], roster: Iterable[str], guess: Callable[[str], str]
) -> dict[str, str]:
    """Return pseudonym -> identifier for every pseudonym that some identifier of a roster explains.

    Knowledge: a roster of identifiers (all numbers that a hospital could give are one), and how
    pseudonyms are made. `guess` makes the pseudonym of an identifier as the attacker thinks: with
    `unkeyed` or with a stolen key all that are on the roster are named, with any other key none.
    """
    wanted, named = set(seen), {}
    for identifier in roster:
        pseudonym = guess(identifier)
        if pseudonym in wanted:
            named[pseudonym] = identifier
    return named


def by_facts(
    seen: Mapping[str, Iterable[Hashable]], known: Mapping[str, Iterable[Hashable]]
) -> dict[str, str]:
    """Return person -> pseudonym for everybody whose facts stand under one pseudonym only.

    Knowledge: no key and no identifier, but a few facts about a person, such as two days on which
    the person was in the hospital. `seen` is what a table says of each pseudonym, `known` what the
    attacker knows of each person. A person without facts is never named. What is returned may be
    wrong where the person is not in the table.
    """
    holders: dict[Hashable, set[str]] = {}
    for pseudonym, facts in seen.items():
        for fact in facts:
            holders.setdefault(fact, set()).add(pseudonym)
    named = {}
    for person, facts in known.items():
        among = [holders.get(fact, set()) for fact in facts]
        fitting = set.intersection(*among) if among else set()
        if len(fitting) == 1:
            named[person] = next(iter(fitting))
    return named
