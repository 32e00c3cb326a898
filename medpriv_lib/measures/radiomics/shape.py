"""Shape of a region in the plane: how large, how long, how round, in mm.

The IBSI defines shape in 3-D only. These are the 2-D features of pyradiomics: area and outline of
the polygon that marching squares draws through the mask (its corners lie half-way between a pixel
inside and one outside), the largest distance of two corners, and the axes of the ellipse with the
region's second moments. A hole has an outline too.
"""

import numpy as np
from jaxtyping import Bool, Float

from medpriv_lib.measures.radiomics.table import features
from medpriv_lib.measures.radiomics.undefined import refuse

SHAPE = features(
    "shape",
    "polygon area, , , mm2",
    "pixel area, , , mm2",
    "perimeter, , , mm",
    "perimeter to area ratio, , , 1/mm",
    "circularity, , ,",
    "maximum diameter, , , mm",
    "major axis length, , , mm",
    "minor axis length, , , mm",
    "elongation, , ,",
)
CORNERS = ((0, 0), (0, 1), (1, 1), (1, 0))  # of a 2x2 square, in turn; the bits of its code


def shape(
    masks: Bool[np.ndarray, "n h w"], spacing: tuple[float, float]
) -> Float[np.ndarray, "n 9"]:
    """Return the nine features of `SHAPE`; `spacing` is the mm from one row and column to the next.

    Circularity is 2 sqrt(pi area) / perimeter, 1 for a disc; elongation the minor over the major
    axis, 1 for a disc, 0 for a line. Raises `NotApplicable` for a region of one pixel: it has no
    axes.
    """
    pixels = masks.sum(axis=(1, 2))
    refuse(pixels == 1, "the region is one pixel, which has no axes; use a larger mask")
    area, perimeter = _polygon(masks, spacing)
    small, large = _axes(masks, spacing)
    columns = [
        area,
        pixels * spacing[0] * spacing[1],
        perimeter,
        perimeter / area,
        2 * np.sqrt(np.pi * area) / perimeter,
        _diameter(masks, spacing),
        large,
        small,
        small / large,
    ]
    return np.stack(columns, axis=1)


def _polygon(masks: np.ndarray, spacing: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return area and outline: each 2x2 square of pixels adds what its code says."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1))).astype(np.int64)
    n, height, width = padded.shape
    code = sum(
        padded[:, dy : height - 1 + dy, dx : width - 1 + dx] << bit
        for bit, (dy, dx) in enumerate(CORNERS)
    )
    place = np.arange(n)[:, None, None] * 16 + code
    counts = np.bincount(place.ravel(), minlength=16 * n).reshape(n, 16)
    area, length = np.array([_square(code, spacing) for code in range(16)]).T
    return counts @ area, counts @ length


def _square(code: int, spacing: tuple[float, float]) -> tuple[float, float]:
    """Return the area inside and the outline's length in the square of a code.

    One corner alone cuts off an eighth of the square by a slanted line; two at one side halve it;
    two across are two corners alone.
    """
    tall, wide = spacing
    slanted, whole = float(np.hypot(tall, wide)) / 2, tall * wide
    inside = [bit for bit in range(4) if code >> bit & 1]
    if len(inside) in (0, 4):
        return whole * len(inside) / 4, 0.0
    if len(inside) in (1, 3):
        return whole * (1 if len(inside) == 1 else 7) / 8, slanted
    if inside in ([0, 2], [1, 3]):
        return whole / 4, 2 * slanted
    return whole / 2, wide if inside in ([0, 1], [2, 3]) else tall


def _diameter(masks: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Return the largest distance of two corners of the polygons.

    The farthest corners are the first or the last of their row or of their column.
    """
    points, valid = [], []
    for rows, axis in ((masks, 0), (masks.transpose(0, 2, 1), 1)):
        there = rows.any(axis=2)
        place = np.broadcast_to(np.arange(rows.shape[1]), there.shape).astype(float)
        first = rows.argmax(axis=2) - 0.5
        last = rows.shape[2] - 0.5 - rows[:, :, ::-1].argmax(axis=2)
        for end in (first, last):
            pair = (place, end) if axis == 0 else (end, place)
            points.append(np.stack(pair, axis=-1) * spacing)
            valid.append(there)
    corner, known = np.concatenate(points, axis=1), np.concatenate(valid, axis=1)
    best = np.zeros(len(masks))
    for row, (some, kept) in enumerate(zip(corner, known, strict=True)):
        real = some[kept]
        gram = real @ real.T
        square = np.diag(gram)
        best[row] = np.sqrt(max((square[:, None] + square[None, :] - 2 * gram).max(), 0))
    return best


def _axes(masks: np.ndarray, spacing: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return four standard deviations of the pixels' places along the minor and the major axis."""
    n, height, width = masks.shape
    y, x = np.indices((height, width)).reshape(2, -1) * np.array(spacing)[:, None]
    inside = masks.reshape(n, -1).astype(float)
    count = inside.sum(axis=1)
    my, mx = inside @ y / count, inside @ x / count
    yy, xx, xy = (inside @ square / count for square in (y * y, x * x, x * y))
    a, b, c = yy - my**2, xx - mx**2, xy - mx * my
    half, root = (a + b) / 2, np.sqrt(((a - b) / 2) ** 2 + c**2)
    return 4 * np.sqrt(np.maximum(half - root, 0)), 4 * np.sqrt(half + root)
