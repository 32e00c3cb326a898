"""The square of a source image that becomes an image of a cohort."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Shaped

from medpriv_lib.data.eyes.eye import Eye

# Side of the crop in iris diameters: the lids, their margins and some sclera stay visible, as in
# the paper's figures.
CROP_DIAMETERS = 1.4


@dataclass(frozen=True)
class Frame:
    """The square of a source image that becomes one cohort image: its corner and side in px, and
    whether to mirror.
    """

    left: int
    top: int
    side: int
    mirror: bool

    def cut(
        self,
        image: Shaped[np.ndarray, "h w"],
        size: int,
        border: int = cv2.BORDER_REFLECT_101,
    ) -> Shaped[np.ndarray, "size size"]:
        """Return the square of `image` as (size, size), area-averaged; outside the image it is
        mirrored.
        """
        height, width = image.shape
        over = max(
            0, -self.top, -self.left, self.top + self.side - height, self.left + self.side - width
        )
        if over:
            image = cv2.copyMakeBorder(image, over, over, over, over, border)
        square = image[
            self.top + over : self.top + over + self.side,
            self.left + over : self.left + over + self.side,
        ]
        # area averaging is only defined for shrinking; OpenCV would fall back to nearest neighbours
        way = cv2.INTER_AREA if self.side >= size else cv2.INTER_LINEAR
        small = cv2.resize(square, (size, size), interpolation=way)
        return np.ascontiguousarray(small[:, ::-1]) if self.mirror else small


def frame_of_eye(eye: Eye, right: bool) -> Frame:
    """Return the square of 1.4 iris diameters around the iris; mirrored for a right eye."""
    side = max(2, round(2 * CROP_DIAMETERS * eye.iris_r))
    return Frame(
        round(eye.iris_x + 0.5 - side / 2), round(eye.iris_y + 0.5 - side / 2), side, right
    )


def frame_of_centre(shape: tuple[int, ...], right: bool) -> Frame:
    """Return the largest centred square of an image that is no eye."""
    side = min(shape[:2])
    return Frame((shape[1] - side) // 2, (shape[0] - side) // 2, side, right)
