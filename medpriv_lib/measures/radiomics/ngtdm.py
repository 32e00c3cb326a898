"""Neighbourhood grey tone difference: how far a pixel is from the mean of its neighbours (Amadasun
and King 1989; IBSI manual, 3.10).
"""

import numpy as np
from jaxtyping import Float

from medpriv_lib.measures.radiomics.directions import DIRECTIONS, ends
from medpriv_lib.measures.radiomics.discretise import Levels
from medpriv_lib.measures.radiomics.table import features
from medpriv_lib.measures.radiomics.undefined import refuse

NGTDM = features(
    "ngtdm",
    "coarseness, QCDE, ngt_coarseness, 1/bin",
    "contrast, 65HE, ngt_contrast, bin3",
    "busyness, NQ30, ngt_busyness,",
    "complexity, HDEZ, ngt_complexity, bin2",
    "strength, 1X9X, ngt_strength, bin",
)
NO_DIFFERENCE = 1e6  # coarseness where no pixel differs from its neighbours, as the IBSI sets it


def ngtdm(levels: Levels) -> Float[np.ndarray, "n 5"]:
    """Return the five features of `NGTDM` for each image.

    The neighbours of a pixel are the up to eight around it that lie in the region; pixels without
    one are left out. Raises `NotApplicable` where no pixel has a neighbour.
    """
    number, s, level = differences(levels)
    total = number.sum(axis=1)
    refuse(total == 0, "no pixel of the region has a neighbour in the region; use a larger mask")
    p = number / total[:, None]
    weighted, there = p * s, p > 0
    kinds = there.sum(axis=1)
    both = there[:, :, None] & there[:, None, :]
    apart = np.abs(level[:, None] - level[None, :])
    sum_of_p = p[:, :, None] + p[:, None, :]
    rough = weighted.sum(axis=1)
    spread = np.einsum("ni,nj,ij->n", p, p, apart**2, optimize=True)
    jumps = np.where(both, np.abs((level * p)[:, :, None] - (level * p)[:, None, :]), 0)
    jumps = jumps.sum(axis=(1, 2))
    shares = (weighted[:, :, None] + weighted[:, None, :]) / np.where(both, sum_of_p, 1)
    changes = s.sum(axis=1)
    columns = [
        np.where(rough > 0, 1 / np.where(rough > 0, rough, 1), NO_DIFFERENCE),
        spread / np.maximum(kinds * (kinds - 1), 1) * changes / total,
        np.where(jumps > 0, rough / np.where(jumps > 0, jumps, 1), 0),
        np.where(both, apart * shares, 0).sum(axis=(1, 2)) / total,
        np.where(both, sum_of_p * apart**2, 0).sum(axis=(1, 2)) / np.where(changes > 0, changes, 1),
    ]
    return np.stack(columns, axis=1)


def differences(levels: Levels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return per image and level how many pixels there are, the sum of their distances from the
    mean of their neighbours, and the levels 1..G: (N, G), (N, G), (G,).
    """
    grey, size = levels.grey, int(levels.count.max())
    n, height, width = grey.shape
    total, neighbours = np.zeros(grey.shape), np.zeros(grey.shape)
    for direction in DIRECTIONS:
        first, second = ends(height, width, direction)
        for here, there in ((first, second), (second, first)):
            total[:, *here] += grey[:, *there]
            neighbours[:, *here] += grey[:, *there] > 0
    kept = (grey > 0) & (neighbours > 0)
    cell = (np.nonzero(kept)[0] * size) + grey[kept] - 1
    away = np.abs(grey[kept] - total[kept] / neighbours[kept])
    number = np.bincount(cell, minlength=n * size).reshape(n, size)
    return number, np.bincount(cell, away, n * size).reshape(n, size), np.arange(1, size + 1.0)
