"""Regions of one image that look like text a program burned in: a name, a date, a side marker.

A program writes all letters of a word in one level, of one height, side by side on one line. What a
camera sees (lashes, ribs, glints) has edges as hard, and each of them has a level of its own.
"""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from medpriv_lib.core.rectangle import Rectangle

HEIGHTS = (6, 72)  # px of a letter
WIDEST = 1.6  # of a letter, in its heights: W is the widest, two letters may touch
THINNEST = 0.1  # I, 1
STROKE = 0.45  # of the height: a letter's strokes are thinner
CONTRAST = 45  # levels between a letter and the ground around it
INK = 90  # per cent: the level of a letter is that of its strongest tenth, softened edges left out
SAME = 10  # levels between the ink of two neighbours
EXTREME = 40  # levels from the lightest or the darkest of the image: programs write white or black
LETTERS = 4  # on one line make a text
GAP = 0.9  # between letters, in heights: more is another word
SIMILAR = 1.5  # the largest letter of a line over the smallest: capitals and small letters
WINDOWS = (9, 25)  # px: half of them is wider than the strokes that are seen against the ground


def text_regions(image: UInt8[np.ndarray, "h w"]) -> list[Rectangle]:
    """Return rectangles of an image, in its px, where a line of four letters or more seems to be.

    Letters lighter or darker than their ground are looked for, 6 to 72 px high. A list that is
    empty is no proof: a single letter, handwriting and slanted text are not found. Raises
    `ValueError` for anything but uint8 (H, W).
    """
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError(f"text is looked for in uint8 (H, W), not {image.dtype} {image.shape}")
    found: list[Rectangle] = []
    low, high = int(image.min()), int(image.max())
    for window in WINDOWS:
        around = cv2.getStructuringElement(cv2.MORPH_RECT, (window, window))
        for way, ink in ((cv2.MORPH_TOPHAT, INK), (cv2.MORPH_BLACKHAT, 100 - INK)):
            lines = cv2.morphologyEx(image, way, around) > CONTRAST
            lines &= (
                (image >= high - EXTREME) if way == cv2.MORPH_TOPHAT else (image <= low + EXTREME)
            )
            found += _lines_of(_letters(image, lines, ink))
    return _joined(found)


def _letters(image: np.ndarray, lines: Bool[np.ndarray, "h w"], ink: int) -> np.ndarray:
    """Return (x, y, width, height, level) of the components that may be letters, int (L, 5)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        lines.astype(np.uint8), connectivity=8
    )
    x, y, width, height, area = stats[1:].T
    size = (height >= HEIGHTS[0]) & (height <= HEIGHTS[1])
    form = (
        (width <= WIDEST * height) & (width >= THINNEST * height) & (area >= 0.12 * width * height)
    )
    kept, level = [], []
    for one in np.flatnonzero(size & form):
        box = np.s_[y[one] : y[one] + height[one], x[one] : x[one] + width[one]]
        inside = labels[box] == one + 1
        deep = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3).max()
        if 2 * deep - 1 <= max(2.0, STROKE * height[one]):
            kept.append(one)
            level.append(round(float(np.percentile(image[box][inside], ink))))
    boxes = np.stack([x, y, width, height], axis=1)[kept]
    return np.column_stack([boxes, np.array(level, dtype=boxes.dtype)])


def _lines_of(letters: np.ndarray) -> list[Rectangle]:
    """Return the lines of letters of one height, side by side."""
    if len(letters) < LETTERS:
        return []
    letters = letters[np.argsort(letters[:, 0])]
    chain = -np.ones(len(letters), dtype=int)  # the letter before
    length = np.ones(len(letters), dtype=int)
    for i, (x, y, _, height, level) in enumerate(letters):
        before = letters[:i]
        gap = x - (before[:, 0] + before[:, 2])
        tall, low = np.maximum(before[:, 3], height), np.minimum(before[:, 3], height)
        foot = np.abs(before[:, 1] + before[:, 3] - y - height)
        near = (gap >= -0.2 * low) & (gap <= GAP * tall) & (tall <= SIMILAR * low)
        near &= (foot <= 0.2 * tall) & (np.abs(before[:, 4] - level) <= SAME)
        if near.any():
            longest = int(np.flatnonzero(near)[length[:i][near].argmax()])
            chain[i], length[i] = longest, length[longest] + 1
    found = []
    for end in np.flatnonzero(length >= LETTERS):
        members, last = [], int(end)
        while last >= 0:
            members.append(letters[last])
            last = int(chain[last])
        left, top = np.min(members, axis=0)[:2]
        ends = np.array(members)[:, :2] + np.array(members)[:, 2:4]
        right, bottom = ends.max(axis=0)
        found.append(Rectangle(int(left), int(top), int(right - left), int(bottom - top)))
    return found


def _joined(found: list[Rectangle]) -> list[Rectangle]:
    """Join rectangles that overlap, the largest first."""
    joined: list[Rectangle] = []
    for one in sorted(found, key=lambda r: -r.width * r.height):
        if not any(other.overlaps(one) for other in joined):
            joined.append(one)
    return joined
