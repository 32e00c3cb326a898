"""The four directions of a 2-D texture, and how their values become one (IBSI manual, 3.6 and 3.7).

A region has no preferred direction, so matrices are made along a row, a column and both diagonals.
*Averaged*: features of each direction's matrix, then their mean ("2D averaged", tag 2D_avg).
*Combined*: one matrix of all directions, then its features ("2D combined", tag 2D_comb).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Aggregation = Literal["averaged", "combined"]
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))  # (rows down, columns right); their opposites count


def ends(
    height: int, width: int, direction: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the slices of an image that hold the first and the second pixel of each pair."""
    down, right = direction
    first = (
        slice(max(0, -down), height - max(0, down)),
        slice(max(0, -right), width - max(0, right)),
    )
    second = (
        slice(max(0, down), height - max(0, -down)),
        slice(max(0, right), width - max(0, -right)),
    )
    return first, second


def joined(per_direction: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over directions of features (N, F) each."""
    return np.mean(per_direction, axis=0)
