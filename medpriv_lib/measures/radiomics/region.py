"""Which pixels are described: iris and pupil of prepared eyes, or a mask file."""

import os
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from medpriv_lib.data.eyes.pupil import pupils
from medpriv_lib.data.images import read_grey

LID_FREE = 0.6  # rows farther from the iris' middle than this, in iris radii, often show a lid
MARGIN = 0.04  # of the iris radius: pixels so near an edge are a mixture of both sides


@dataclass(frozen=True, eq=False)
class Regions:
    """The two regions of N prepared eyes as masks, bool (N, S, S): `iris`, a ring, and `pupil`."""

    iris: Bool[np.ndarray, "n s s"]
    pupil: Bool[np.ndarray, "n s s"]


def eye_regions(images: UInt8[np.ndarray, "n s s"]) -> Regions:
    """Find iris and pupil in images that `prepare` made.

    The ring leaves out the rows where lids often lie, and a margin along both of its edges. Raises
    what `pupils` raises.
    """
    size = images.shape[1]
    y, x = np.indices((size, size))
    iris, pupil = np.empty(images.shape, bool), np.empty(images.shape, bool)
    for row, eye in enumerate(pupils(images)):
        margin = MARGIN * eye.iris_r
        from_pupil = np.hypot(y - eye.pupil_y, x - eye.pupil_x)
        from_iris = np.hypot(y - eye.iris_y, x - eye.iris_x)
        open_rows = np.abs(y - eye.iris_y) <= LID_FREE * eye.iris_r
        pupil[row] = from_pupil <= eye.pupil_r - margin
        ring = (from_pupil >= eye.pupil_r + margin) & (from_iris <= eye.iris_r - margin)
        iris[row] = ring & open_rows
    return Regions(iris, pupil)


def read_mask(path: str | os.PathLike, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Read an image file as a mask: True where a pixel is not black.

    `shape` (H, W) is that of the image the mask is for. Raises what `read_grey` raises, and
    `ValueError` where the mask is of another size; an empty mask is refused by `radiomics`.
    """
    mask = read_grey(path) > 0
    if mask.shape != tuple(shape):
        raise ValueError(
            f"{path}: the mask has {mask.shape[0]}x{mask.shape[1]} pixels and its image "
            f"{shape[0]}x{shape[1]}; draw the mask on the image itself, without scaling"
        )
    return mask
