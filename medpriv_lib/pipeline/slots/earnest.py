"""Questions that are asked in earnest: which, at what price, and what a server makes of them."""

import time

import numpy as np

from medpriv_lib.attacks.table.naming import named
from medpriv_lib.pipeline.slots.technology import Context, Given, Seen, Table

PHOTOGRAPHS = 2  # of each patient who is asked about: the attacker sends them, too
CONTROL = "named from the same in the clear"  # the note


def few_of(queries: Table, context: Context) -> np.ndarray:
    """Return which rows are computed as they would be in earnest: one image of each of several
    patients, spread over the table; patients of whom the attacker has a photograph, if there are
    any.
    """
    first = np.unique(queries.patient, return_index=True)[1]
    known = first[np.isin(queries.patient[first], context.photographs.patient)]
    first = known if len(known) else first
    count = min(context.few, len(first))
    return first[np.linspace(0, len(first) - 1, count).astype(int)]


def notes_of(
    start: float, clear: np.ndarray, found: np.ndarray, middle: float, sent: int
) -> dict[str, float | str]:
    """Return seconds and bytes of each image since `start`, the largest error, and how many of the
    decisions (above the `middle` or not) are others than in the clear.
    """
    each = max(len(clear), 1)
    return {
        "images": float(len(clear)),
        "seconds_each": (time.process_time() - start) / each,
        "bytes_each": sent / each,
        "error": float(np.abs(clear - found).max(initial=0.0)),
        "flips": float(((clear > middle) != (found > middle)).sum()),
    }


def of_all(scores: np.ndarray, seen: Seen, notes: dict[str, float | str]) -> Given:
    """Return what a slot hands on: bytes and seconds of all questions, from those in earnest."""
    each = (float(notes[name]) * len(scores) for name in ("bytes_each", "seconds_each"))
    return Given(scores, [seen], int(next(each)), notes, next(each))


def photographs_of(asked: Table, context: Context, most: int = PHOTOGRAPHS) -> Table:
    """Return the attacker's photographs of those who are asked about, at `most` so many of each."""
    owner = context.photographs.patient
    rows = [np.flatnonzero(owner == one)[:most] for one in np.unique(asked.patient)]
    return context.photographs.take(np.concatenate(rows))


def as_seen(
    messages: list[bytes], asked: Table, known: list[bytes], own: Table,
    clear: tuple[np.ndarray, np.ndarray],
) -> tuple[Seen, dict[str, float | str]]:  # fmt: skip
    """Return what a server can make of messages that hide: how often each byte occurs, and the
    length, beside the same of messages that it made of the attacker's photographs; and, as a
    control, which share of the patients the attack names from the same in the `clear`. Without a
    photograph nothing is attacked.
    """
    if not known:
        return Seen("the server", "masked", {}), {}
    values, gallery = (np.stack([_bytes_of(one) for one in some]) for some in (messages, known))
    alone = np.arange(len(values))
    control = named(clear[0], asked.patient, alone, clear[1], own.patient)
    what = {"values": values, "patient": asked.patient, "group": alone,
            "gallery": gallery, "owner": own.patient}  # fmt: skip
    control_rate: dict[str, float | str] = {CONTROL: float(control.right.mean())}
    return Seen("the server", "vectors", what), control_rate


def _bytes_of(message: bytes) -> np.ndarray:
    count = np.bincount(np.frombuffer(message, np.uint8), minlength=256)
    return np.append(count / len(message), len(message))
