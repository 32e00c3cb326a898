"""The square of a source image that becomes an image of a cohort."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Shaped

from medpriv_lib.data.eyes.eye import Eye

# Side of the crop in iris diameters: the lids, their margins and some sclera stay visible, as in
# the paper's figures.
CROP_DIAMETERS = 1.4

# What stands where the square reaches beyond the image. FADED goes on with the border's own levels
# and lets them run into the mean of what is there: a mirrored border would show a second pupil in
# images that end inside the eye, as close-ups do. EMPTY is black.
EMPTY, FADED = cv2.BORDER_CONSTANT, -1
FADE = 0.06  # of the side: how far out the border's levels have run into the mean by two thirds


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
        self, image: Shaped[np.ndarray, "h w"], size: int, border: int = FADED
    ) -> Shaped[np.ndarray, "size size"]:
        """Return the square of `image` as (size, size), area-averaged; colours (H, W, 3) stay.

        `border` says what stands outside the image: `FADED` or `EMPTY`.
        """
        square = self._square(image, border)
        # area averaging is only defined for shrinking; OpenCV would fall back to nearest neighbours
        way = cv2.INTER_AREA if self.side >= size else cv2.INTER_LINEAR
        small = cv2.resize(square, (size, size), interpolation=way)
        return np.ascontiguousarray(small[:, ::-1]) if self.mirror else small

    def missing(self, shape: tuple[int, ...]) -> int:
        """Return how many pixels of the square lie outside an image of this shape."""
        rows = max(0, min(self.top + self.side, shape[0]) - max(self.top, 0))
        columns = max(0, min(self.left + self.side, shape[1]) - max(self.left, 0))
        return self.side**2 - rows * columns

    def _square(self, image: np.ndarray, border: int) -> np.ndarray:
        height, width = image.shape[:2]
        over = max(
            0, -self.top, -self.left, self.top + self.side - height, self.left + self.side - width
        )
        if over:
            way = cv2.BORDER_REPLICATE if border == FADED else border
            image = cv2.copyMakeBorder(image, over, over, over, over, way)
        square = image[
            self.top + over : self.top + over + self.side,
            self.left + over : self.left + over + self.side,
        ]
        return self._faded(square, height, width) if over and border == FADED else square

    def _faded(self, square: np.ndarray, height: int, width: int) -> np.ndarray:
        """Let the replicated border run into the mean of what is there, further out the more."""
        rows, columns = np.arange(self.side) + self.top, np.arange(self.side) + self.left
        down = np.maximum(0, np.maximum(-rows, rows - height + 1))
        across = np.maximum(0, np.maximum(-columns, columns - width + 1))
        away = np.hypot(down[:, None], across[None]).astype(np.float32)
        known = away == 0
        if not known.any():
            return square
        mean = square[known].mean(axis=0, dtype=np.float64).astype(np.float32)
        weight = np.exp(-away / (FADE * self.side))
        away, weight = (a[..., None] if square.ndim == 3 else a for a in (away, weight))
        # lines that run outwards from single hairs would be drawn long: blurred as they go
        soft = cv2.GaussianBlur(square, (0, 0), max(1.0, 0.02 * self.side)).astype(np.float32)
        near = np.clip(away / max(1.0, 0.02 * self.side), 0, 1)
        filled = mean + weight * (square + near * (soft - square) - mean)
        outside = away > 0
        return np.where(outside, np.rint(filled), square).astype(square.dtype)


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
