"""Who is this row, and who is on this list? Somebody who has identifiers, or facts about people."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Int64

from medpriv_lib.attacks.table.rate import Hits

READ, READ_KNOWS = (
    "identifiers read",
    "the identifiers of all patients, and how pseudonyms are made, without any key",
)
LISTED, LISTED_KNOWS = (
    "who is on the list",
    "the identifiers of all patients and of as many others, and every message, without any secret",
)
FOUND, FOUND_KNOWS = ("row found by facts", "age, sex, postcode and day of visit of every patient")


def read(
    shown: Mapping[int, str], identifiers: Mapping[int, str], guess: Callable[[str], str]
) -> Hits:
    """Return how often the attacker tells whose row it is from the name that the row bears.

    `shown` maps patients to what stands in the table, `identifiers` to their own identifiers;
    `guess` makes of an identifier what the attacker expects in the table.
    """
    named = {guess(text): patient for patient, text in identifiers.items()}
    patients = np.array(sorted(shown))
    right = np.array([named.get(shown[one]) == one for one in patients.tolist()])
    return Hits(right, patients, 1 / len(identifiers))


def listed(found: Sequence[str], inside: Mapping[int, str], others: Sequence[str]) -> Hits:
    """Return how often the attacker is right about who is on a list: `found` are the identifiers
    that he takes to be there, `inside` those of the patients who are, `others` as many who are not.
    """
    taken, numbers = set(found), list(inside)
    right = [inside[one] in taken for one in numbers] + [one not in taken for one in others]
    whose = [*numbers, *(-1 - n for n in range(len(others)))]
    return Hits(np.array(right), np.array(whose), 0.5)


def found(group: Int64[np.ndarray, " p"], patient: Int64[np.ndarray, " p"]) -> Hits:
    """Return how likely the attacker picks each patient's row, if rows that show the same facts are
    one `group` (P,), and he picks one of them at random.
    """
    _, index, size = np.unique(group, return_inverse=True, return_counts=True)
    return Hits(1 / size[index], patient, 1 / len(patient))
