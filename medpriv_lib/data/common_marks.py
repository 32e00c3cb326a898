"""What is the same in all images of a camera: a burned-in name, a ruler, a logo, dust on the lens.

Averaging over patients takes away what differs between them and keeps what they share, so a name
that stands at the same place in all images comes out of K-Same as crisp as it went in.
"""

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from medpriv_lib.core.rectangle import Rectangle
from medpriv_lib.data.frame import Frame

SIDE = 320  # px of the longer side at which images are compared: letters are still lines there
EDGE = 14  # levels above or below the surround that make a line
SHARE = 0.8  # of the images have the line at the same pixel, with the same sign
FEWEST = 8  # so few images say nothing of all
PIXELS = 12  # a mark has so many such pixels at least


@dataclass(frozen=True)
class Mark:
    """Structure at one place of all images of one shape: `rows`, `columns` from and to, in px of
    the images; `pixels` of the compared copies; `images` that were compared.
    """

    shape: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]
    pixels: int
    images: int

    def __str__(self) -> str:
        """Say where to look."""
        return (
            f"rows {self.rows[0]} to {self.rows[1]}, columns {self.columns[0]} to "
            f"{self.columns[1]} of the {self.images} images of {self.shape[1]}x{self.shape[0]}"
        )


class CommonMarks:
    """Counts, image by image, where lines lie within what is kept; may be used from threads."""

    def __init__(self) -> None:
        """Start without images."""
        self._lock = threading.Lock()
        self._counts: dict[tuple[int, int], np.ndarray] = {}
        self._images: dict[tuple[int, int], int] = defaultdict(int)

    def add(
        self,
        image: UInt8[np.ndarray, "h w"],
        frame: Frame,
        rows: int,
        covered: Sequence[Rectangle] = (),
    ) -> None:
        """Count an image as it was read; its first `rows` rows are used, its `frame` is kept.

        The edges of what is `covered` are the same in all images, and no mark.
        """
        height, width = shape = image.shape
        scale = min(1.0, SIDE / max(shape))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        line = small - cv2.GaussianBlur(small, (0, 0), 2.5)
        seen = np.zeros(small.shape, dtype=bool)
        bottom = min(rows, frame.top + frame.side)
        seen[
            max(0, round(frame.top * scale)) : max(0, round(bottom * scale)),
            max(0, round(frame.left * scale)) : max(0, round((frame.left + frame.side) * scale)),
        ] = True
        for one in covered:
            seen[one.around(scale, margin=8)] = False
        new = np.stack([seen, seen & (line > EDGE), seen & (line < -EDGE)])
        with self._lock:
            self._images[shape] += 1
            if shape not in self._counts:
                self._counts[shape] = np.zeros(new.shape, dtype=np.int32)
            self._counts[shape] += new

    def counts(self) -> dict[tuple[int, int], tuple[int, np.ndarray]]:
        """Return, for each shape of image, how many there were and the counts (3, h, w), int32."""
        return {shape: (self._images[shape], count) for shape, count in self._counts.items()}

    def join(self, shape: tuple[int, int], images: int, counts: np.ndarray) -> None:
        """Add what another object counted."""
        with self._lock:
            self._images[shape] += images
            self._counts[shape] = self._counts.get(shape, 0) + counts

    def found(self) -> list[Mark]:
        """Return the places where nearly all images have the same lines, the largest first."""
        marks = []
        for shape, (seen, bright, dark) in self._counts.items():
            enough = seen >= max(FEWEST, self._images[shape] / 2)
            common = enough & (np.maximum(bright, dark) >= SHARE * np.maximum(seen, 1))
            # letters of one text are one mark
            near = cv2.dilate(common.astype(np.uint8), np.ones((5, 13), np.uint8))
            count, labels = cv2.connectedComponents(near, connectivity=8)
            scale = max(1.0, max(shape) / SIDE)
            for label in range(1, count):
                y, x = np.nonzero(common & (labels == label))
                if len(y) >= PIXELS:
                    rows = (int(y.min() * scale), int((y.max() + 1) * scale))
                    columns = (int(x.min() * scale), int((x.max() + 1) * scale))
                    images = int(seen[y, x].max())
                    marks.append(Mark(shape, rows, columns, len(y), images))
        return sorted(marks, key=lambda mark: -mark.pixels)
