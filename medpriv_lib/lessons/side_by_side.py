"""Small images in a row, enlarged, as a picture that a slider changes."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8


def side_by_side(
    images: Sequence[UInt8[np.ndarray, "h w"]], size: int, gap: int = 4
) -> UInt8[np.ndarray, "size width"]:
    """Return grey images as one: each enlarged to `size` pixels, white strips of `gap` around it.

    Cubic interpolation; the gaps are on the left and on the right of each image.
    """
    large = [cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in images]
    return np.hstack([np.pad(one, ((0, 0), (gap, gap)), constant_values=255) for one in large])
