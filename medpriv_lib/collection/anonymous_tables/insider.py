"""Attackers who know a patient's quasi-identifiers, on raw and on anonymous tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from medpriv_lib.collection.anonymous_tables.audit import tallies
from medpriv_lib.core.intervals import mean_interval

DEALS = 100  # random deals of the sensitive values, for what groups tell by chance


@dataclass(frozen=True)
class Guessed:
    """What guessing a sensitive value gives: the share `right` with its `interval` over patients,
    and how often always saying the most frequent value of all is right (`majority`); the share of
    rows of which the value is `certain`. Each has its chance, where the patients' values are dealt
    out among them at random.
    """

    right: float
    interval: tuple[float, float]
    majority: float
    chance: float
    certain: float
    certain_by_chance: float


def alone(group: Int64[np.ndarray, " n"], patient: Sequence) -> Bool[np.ndarray, " n"]:
    """Return which rows somebody finds who knows the quasi-identifiers: all rows of the group are
    this patient's.

    Knowledge: every quasi-identifier of the row. On a raw table this is the positive control.
    """
    patient = np.asarray(patient)
    pairs = np.unique(np.stack([group, np.unique(patient, return_inverse=True)[1]]), axis=1)[0]
    return np.bincount(pairs, minlength=int(group.max()) + 1)[group] == 1


def guess(
    group: Int64[np.ndarray, " n"],
    sensitive: Sequence,
    patient: Sequence,
    rng: np.random.Generator,
    ruled_out: int = 0,
) -> Guessed:
    """Guess each row's sensitive value as the most frequent one of its group.

    Knowledge: the quasi-identifiers of the row (homogeneity attack), and with `ruled_out` that
    many values that the row has not (background knowledge): the most frequent others of its group,
    the worst case. Machanavajjhala et al. 2007 describe both. Raises `ValueError` for negative
    `ruled_out`.
    """
    if ruled_out < 0:
        raise ValueError(f"{ruled_out} values cannot be ruled out; take 0 or more")
    values, codes = np.unique(np.asarray(sensitive), return_inverse=True)
    chance, sure = _hits(group, codes, ruled_out)
    _, first, who = np.unique(np.asarray(patient), return_index=True, return_inverse=True)
    own = codes[first]  # dealt out among patients, for the rows of a patient agree
    deals = [_hits(group, rng.permutation(own)[who], ruled_out) for _ in range(DEALS)]
    return Guessed(
        float(chance.mean()),
        mean_interval(chance, who),
        float(np.bincount(codes, minlength=len(values)).max() / len(codes)),
        float(np.mean([right.mean() for right, _ in deals])),
        float(sure.mean()),
        float(np.mean([certain.mean() for _, certain in deals])),
    )


def _hits(
    group: np.ndarray, codes: np.ndarray, ruled_out: int
) -> tuple[np.ndarray, Bool[np.ndarray, " n"]]:
    """Return per row the chance that the guess is right (a tie is drawn), and whether one value is
    left.
    """
    places = np.unique(group, return_inverse=True)[1]
    left = tallies(group, codes)[places].astype(float)
    rows = np.arange(len(codes))
    own = left[rows, codes]
    if ruled_out:
        others = left.copy()
        others[rows, codes] = -1
        gone = np.argsort(-others, axis=1, kind="stable")[:, :ruled_out]
        gone = np.where(gone == codes[:, None], gone[:, :1], gone)  # the own one is never ruled out
        np.put_along_axis(left, gone, 0, axis=1)
        left[rows, codes] = own
    top = left.max(axis=1, keepdims=True)
    ties = (left == top).sum(axis=1)
    return (own == top[:, 0]) / ties, (left > 0).sum(axis=1) == 1
