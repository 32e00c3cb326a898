"""What a released table keeps of its promise, and of its use: counted from its rows alone."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.collection.anonymous_tables.columns import Table
from medpriv_lib.collection.anonymous_tables.mondrian import AnonymousTable


def groups_of(table: Table, quasi: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """Return the group of each row: rows with equal quasi-identifiers, whoever made the table.

    Raises `ValueError` for a missing column and for a table without rows.
    """
    missing = [name for name in quasi if name not in table]
    if missing or not quasi or not len(table[quasi[0]]):
        raise ValueError(f"the table lacks rows or columns: {missing or list(quasi)}")
    keys = list(zip(*(map(str, table[name]) for name in quasi), strict=True))
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return np.array([places[key] for key in keys], dtype=np.int64)


def smallest(group: Int64[np.ndarray, " n"], patient: Sequence | None = None) -> int:
    """Return the k that holds: how many different patients the smallest group has."""
    who = np.arange(len(group)) if patient is None else np.asarray(patient)
    return min(len(np.unique(who[group == one])) for one in np.unique(group))


def diversity(group: Int64[np.ndarray, " n"], sensitive: Sequence) -> tuple[int, float]:
    """Return the l that holds: the least number of different values in a group, and the least
    exponential of a group's entropy (entropy l-diversity, Machanavajjhala et al. 2007).
    """
    counts = tallies(group, sensitive)
    share = counts / counts.sum(axis=1, keepdims=True)
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(axis=1)
    return int((counts > 0).sum(axis=1).min()), float(np.exp(entropy.min()))


def tallies(
    group: Int64[np.ndarray, " n"], sensitive: Sequence | np.ndarray
) -> Int64[np.ndarray, "g v"]:
    """Return how often each sensitive value (sorted) stands in each group."""
    places = np.unique(group, return_inverse=True)[1]
    values, codes = np.unique(np.asarray(sensitive), return_inverse=True)
    counts = np.zeros((places.max() + 1, len(values)), dtype=np.int64)
    np.add.at(counts, (places, codes), 1)
    return counts


def loss(released: AnonymousTable) -> float:
    """Return the normalised certainty penalty (Xu et al. 2006): 0 for the table as it was, 1 where
    every row shows the whole range of every column.

    Names without order count by the range of their sorted places, which for two names is the same.
    """
    whole = np.ptp(released.encoded, axis=0)
    used = whole > 0
    if not used.any():
        return 0.0
    return float(((released.high - released.low)[:, used] / whole[used]).mean())


def query_errors(
    released: AnonymousTable, rng: np.random.Generator, queries: int = 200, share: float = 0.1
) -> Float[np.ndarray, " queries"]:
    """Return relative errors of counts that somebody takes from the released table.

    Each query asks how many rows lie in a box around a row that is drawn, as wide in each column as
    makes about `share` of the rows fit when columns are independent. The reader of the released
    table spreads each row evenly over its range. Errors are relative to the true count, which is at
    least 1.
    """
    rows, columns = released.encoded.shape
    width = share ** (1 / columns)
    ranked = np.sort(released.encoded, axis=0)
    errors = np.empty(queries)
    for number in range(queries):
        place = rng.random(columns) * (1 - width) * (rows - 1)
        start = place.astype(int)
        stop = np.minimum(start + int(width * rows), rows - 1)
        low = ranked[start, np.arange(columns)]
        high = ranked[stop, np.arange(columns)]
        true = ((released.encoded >= low) & (released.encoded <= high)).all(axis=1).sum()
        overlap = np.minimum(high, released.high) - np.maximum(low, released.low) + 1
        part = np.clip(overlap, 0, None) / (released.high - released.low + 1)
        errors[number] = abs(part.prod(axis=1).sum() - true) / max(true, 1)
    return errors
