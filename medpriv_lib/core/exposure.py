"""A picture that is an original, or as good as one, must not leave: the one place that says so."""

import numpy as np
from jaxtyping import Bool, UInt8
from scipy.spatial.distance import cdist

from medpriv_lib.core.cohort import Cohort

# Mean absolute difference in grey levels (of 255) below which two pictures are as good as equal.
# The mildest method of the study, a blur of 3 pixels, changes a synthetic eye by at least 2.
AS_GOOD_AS_EQUAL = 1.0
BLOCKS = 8  # a picture is first compared by the means of 8 x 8 blocks
ROWS = 256  # pictures at once


class Exposed(ValueError):
    """Pictures that show originals were about to leave; nothing was written."""


def exposed(
    images: UInt8[np.ndarray, "n h w"], originals: UInt8[np.ndarray, "m h w"]
) -> Bool[np.ndarray, " n"]:
    """Return which images differ from some original by less than one grey level on average.

    Grey (N, H, W) or colour (N, H, W, 3). The means of blocks differ by no more than the pictures
    do, so only pairs whose blocks are that close are compared pixel by pixel. Images of another
    size than the originals are equal to none.
    """
    found = np.zeros(len(images), dtype=bool)
    if images.shape[1:] != originals.shape[1:]:
        return found
    coarse = _block_means(originals)
    for start in range(0, len(images), ROWS):
        some = images[start : start + ROWS]
        near = cdist(_block_means(some), coarse, "cityblock") / coarse.shape[1]
        for row, other in np.argwhere(near < AS_GOOD_AS_EQUAL):
            if not found[start + row]:
                away = np.abs(some[row].astype(np.int16) - originals[other])
                found[start + row] = away.mean() < AS_GOOD_AS_EQUAL
    return found


def refuse_exposed(
    images: UInt8[np.ndarray, "n h w"], originals: Cohort, what: str = "released pictures"
) -> None:
    """Raise `Exposed` with the count where pictures that are to leave show originals."""
    count = int(exposed(images, originals.images).sum())
    if count:
        raise Exposed(
            f"{count} of {len(images)} {what} equal an original, or differ from it by less than "
            f"{AS_GOOD_AS_EQUAL:g} grey level on average: that hides nothing, and nothing was "
            "written; choose a setting that changes more"
        )


def _block_means(images: np.ndarray) -> np.ndarray:
    """Return the means of equal blocks (N, B); sides that do not divide are cut to what does."""
    height, width = images.shape[1:3]
    down, across = max(1, height // BLOCKS), max(1, width // BLOCKS)
    if height % down or width % across:  # one block: its mean bounds the difference, too
        down, across = height, width
    parts = images.reshape(len(images), height // down, down, width // across, across, -1)
    return parts.mean(axis=(2, 4, 5), dtype=np.float64).reshape(len(images), -1)
