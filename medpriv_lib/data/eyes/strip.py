"""Find the rows at the bottom of an image where a camera burned in its label."""

import numpy as np
from jaxtyping import Bool, Int16, UInt8

# The authors of the paper cut the last 11 of 480 rows of the Warsaw images: that much is always
# cut.
ALWAYS = 11 / 480
# Larger labels are looked for in the last tenth.
REACH = 0.1
# Letters are drawn with hard edges: over two px a third of the grey scale. A text row crosses
# several in a corner.
STROKE, STROKES = 85, 4
# A program paints a label: its ground is of one level to within five, or its letters are.
# Lashes and wet skin cross as many edges, and are of many levels.
EVEN, BOX, INK = 5, 0.4, 0.6
# Overexposed skin is of one level, too, and there is more of it than of letters.
SATURATED, LETTERS = 250, 0.4


def strip_rows(image: UInt8[np.ndarray, "h w"]) -> int:
    """Return how many of the last rows to cut, so that no burned-in label is left: 11 of 480, more
    for a taller label.

    A row may belong to a label where, in the left or the right third, neighbours two px apart
    differ by a third of the grey scale at four or more places. It does where what is there was
    painted by a program: its ground, or the letters themselves, are of one level. The box around
    the letters ends at the row above them where the brightness jumps; at most a tenth of the rows
    is lost. Labels in soft grey, on a ground that is no box and with letters of many levels, or in
    the image's upper part are not found here; `data.common_marks` looks for what is the same in all
    images.
    """
    height, width = image.shape
    least, most = int(np.ceil(round(height * ALWAYS, 6))), int(height * REACH)
    bottom = image[height - most :].astype(np.int16)
    strokes = np.abs(bottom[:, 2:] - bottom[:, :-2]) > STROKE
    third = width // 3
    tallest = least
    for start in (0, strokes.shape[1] - third):
        side = strokes[:, start : start + third]
        rows = np.flatnonzero(side.sum(axis=1) >= STROKES)
        if len(rows):
            edge = _edge(bottom, side, int(rows[0]), start)
            if _is_painted(bottom, side, int(rows[0]), start, edge is not None):
                tallest = max(tallest, most - rows[0] + 2 if edge is None else most - edge + 1)
    return int(max(least, min(most, tallest)))


def _edge(
    bottom: Int16[np.ndarray, "r w"], side: Bool[np.ndarray, "r t"], top: int, start: int
) -> int | None:
    """Return the row where the box begins around letters that begin at row `top`, None without one.

    It is the first row where nearly all columns jump, as far above the letters as they are tall.
    """
    columns = np.flatnonzero(side[top:].any(axis=0)) + start
    for row in range(top, max(0, top - (len(bottom) - top)), -1):
        if row and np.quantile(np.abs(bottom[row, columns] - bottom[row - 1, columns]), 0.2) > 20:
            return row
    return None


def _is_painted(
    bottom: Int16[np.ndarray, "r w"],
    side: Bool[np.ndarray, "r t"],
    top: int,
    start: int,
    has_edge: bool,
) -> bool:
    """Say whether the ground around the strokes, or the strokes themselves, are of one level."""
    columns = np.flatnonzero(side[top:].any(axis=0)) + start
    part = bottom[top:, columns[0] : columns[-1] + 3]
    level, share = _commonest(part)
    if share >= BOX and (level < SATURATED or has_edge):
        return True
    left, middle, right = part[:, :-2], part[:, 1:-1], part[:, 2:]
    bright = middle[(middle - np.minimum(left, right)) > STROKE]
    dark = middle[(np.maximum(left, right) - middle) > STROKE]
    for ink in (bright, dark):
        level, share = _commonest(ink)
        few = (part >= SATURATED).mean() < LETTERS
        if ink.size >= STROKES**2 and share >= INK and (level < SATURATED or few):
            return True
    return False


def _commonest(levels: np.ndarray) -> tuple[int, float]:
    """Return the level that most have to within `EVEN`, and their share."""
    counts = np.bincount(levels.ravel(), minlength=256)
    near = np.convolve(counts, np.ones(2 * EVEN + 1, dtype=int), mode="same")
    return int(near.argmax()), float(near.max() / max(1, levels.size))
