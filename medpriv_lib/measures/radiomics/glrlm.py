"""Grey level run lengths: how long one level goes on in a line (Galloway 1975; IBSI manual, 3.7).

A run is a longest row of neighbouring pixels of one level, along a direction, inside the region.
"""

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.measures.radiomics.directions import DIRECTIONS, Aggregation
from medpriv_lib.measures.radiomics.discretise import Levels
from medpriv_lib.measures.radiomics.sizes import size_statistics
from medpriv_lib.measures.radiomics.table import features

GLRLM = features(
    "glrlm",
    "short runs emphasis, 22OV, rlm_sre,",
    "long runs emphasis, W4KF, rlm_lre, px2",
    "low grey level run emphasis, V3SW, rlm_lgre, 1/bin2",
    "high grey level run emphasis, G3QZ, rlm_hgre, bin2",
    "short run low grey level emphasis, HTZT, rlm_srlge, 1/bin2",
    "short run high grey level emphasis, GD3A, rlm_srhge, bin2",
    "long run low grey level emphasis, IVPO, rlm_lrlge, px2/bin2",
    "long run high grey level emphasis, 3KUM, rlm_lrhge, px2 bin2",
    "grey level non-uniformity, R5YN, rlm_glnu, runs",
    "normalised grey level non-uniformity, OVBL, rlm_glnu_norm,",
    "run length non-uniformity, W92Y, rlm_rlnu, runs",
    "normalised run length non-uniformity, IC23, rlm_rlnu_norm,",
    "run percentage, 9ZK5, rlm_r_perc, runs/px",
    "grey level variance, 8CE5, rlm_gl_var, bin2",
    "run length variance, SXLW, rlm_rl_var, px2",
    "run entropy, HJ9O, rlm_rl_entr, bit",
)


def glrlm(levels: Levels, aggregation: Aggregation = "averaged") -> Float[np.ndarray, "n 16"]:
    """Return the 16 features of `GLRLM` for each image; every region has at least one pixel."""
    n = len(levels.grey)
    found = [runs(levels.grey, direction) for direction in DIRECTIONS]
    owner, grey, length = (np.concatenate(part) for part in zip(*found, strict=True))
    pixels = levels.inside.sum(axis=(1, 2))
    if aggregation == "combined":
        return size_statistics(owner, grey, length, len(DIRECTIONS) * pixels)
    which = np.repeat(np.arange(len(DIRECTIONS)), [len(part[0]) for part in found])
    each = size_statistics(which * n + owner, grey, length, np.tile(pixels, len(DIRECTIONS)))
    return each.reshape(len(DIRECTIONS), n, -1).mean(axis=0)


def runs(
    grey: Int64[np.ndarray, "n h w"], direction: tuple[int, int]
) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
    """Return the image, the level and the length in pixels of every run along a direction.

    The pixels are read line after line with a 0 after each, so that runs are the stretches between
    two changes, and end where a line ends.
    """
    n, height, width = grey.shape
    order = _reading_order(height, width, direction)
    padded = np.concatenate([grey.reshape(n, -1), np.zeros((n, 1), grey.dtype)], axis=1)
    read = np.concatenate([[0], padded[:, order].ravel()])  # level 0 ahead of the first pixel
    start = np.flatnonzero(read[1:] != read[:-1]) + 1
    length = np.diff(start, append=len(read))
    kept = read[start] > 0
    return (start[kept] - 1) // len(order), read[start[kept]], length[kept]


def _reading_order(height: int, width: int, direction: tuple[int, int]) -> np.ndarray:
    """Return the pixels' places in the flattened image, line after line along a direction.

    The place height * width, one beyond the last pixel, stands at the end of each line.
    """
    down, right = direction
    y, x = np.indices((height, width)).reshape(2, -1)
    line = y * right - x * down  # the same for all pixels of a line
    along = y if down else x
    order = np.lexsort((along, line))
    after = np.flatnonzero(np.diff(line[order], append=np.iinfo(np.int64).max)) + 1
    return np.insert(order, after, height * width)
