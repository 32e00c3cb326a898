"""Find the rows at the bottom of an image where a camera burned in its label."""

import numpy as np
from jaxtyping import UInt8

# The authors of the paper cut the last 11 of 480 rows of the Warsaw images: that much is always
# cut.
ALWAYS = 11 / 480
# Larger labels are looked for in the last tenth.
REACH = 0.1
# Letters are drawn with hard edges: over two px a third of the grey scale. A text row crosses
# several in a corner.
STROKE, STROKES = 85, 4


def strip_rows(image: UInt8[np.ndarray, "h w"]) -> int:
    """Return how many of the last rows to cut, so that no burned-in label is left: 11 of 480, more
    for a taller label.

    A row belongs to a label where, in the left or the right third, neighbours two px apart differ
    by a third of the grey scale at four or more places; the box around the letters ends at the row
    above them where the brightness jumps. Lashes or wet skin down there can be taken for letters:
    then at most a tenth of the rows is lost. Labels in soft grey or in the image's upper half are
    not found.
    """
    height, width = image.shape
    least, most = int(np.ceil(round(height * ALWAYS, 6))), int(height * REACH)
    bottom = image[height - most :].astype(np.int16)
    strokes = np.abs(bottom[:, 2:] - bottom[:, :-2]) > STROKE
    third = width // 3
    sides = np.stack(
        [strokes[:, :third].sum(axis=1), strokes[:, -third:].sum(axis=1)], axis=1
    )  # (rows, 2)
    rows, side = np.nonzero(sides >= STROKES)
    if len(rows) == 0:
        return least
    top = rows.min()
    half = strokes[:, :third] if side[rows.argmin()] == 0 else strokes[:, -third:]
    columns = np.flatnonzero(half[top:].any(axis=0)) + (
        0 if side[rows.argmin()] == 0 else strokes.shape[1] - third
    )
    # the letters' box: the first row where nearly all columns jump, as far above the letters as
    # they are tall
    for row in range(top, max(0, top - (most - top)), -1):
        jump = (
            np.quantile(np.abs(bottom[row, columns] - bottom[row - 1, columns]), 0.2) if row else 0
        )
        if jump > 20:
            return max(least, most - row + 1)
    return max(least, min(most, most - top + 2))
