"""Dark spots of four sizes in an eye image: places with a radius, for oval pupils get few votes.

A spot is where an image blurred over 1.2 radii exceeds most the same image blurred over 0.6. Blurs
that wide take longer than all votes. So the difference is worked out for every third or fifth row
and column first, by two matrix products. No pixel can exceed its neighbours by more than the
kernel's second differences allow, so the maximum lies beside one of the highest of those; around
them the difference is worked out for every pixel. All in px of the voting copy, whose short side is
120 px.
"""

from functools import cache, lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from medpriv_lib.data.eyes.circles import Circle

NARROW = 6.0  # px: the radius whose blurs are quick as they are
# px: the other radii, and of how many rows and columns one is worked out first
WIDE = {9.0: 3, 13.0: 3, 19.0: 5}
SURROUND, SPOT = 1.2, 0.6  # radii over which the two images are blurred
# levels: two ways to add float32 numbers differ by less than half as much (.0004 in 490 images)
EQUAL = 1e-3
LONGEST = 320  # px: the matrices of a longer image would fill the processor's cache
ONE_THREAD = 2**18  # products up to which a BLAS takes no second thread


class Tables(NamedTuple):
    """The matrices that blur an image of one shape for one radius, and what is worked out first.

    `down` (2 h, h) and `across` (w, 2 w): a px of the difference is made of two rows of `down`
    (wide, narrow) and of one of `across`. `rows`, `columns`: those that are worked out first.
    `excess`: how far a pixel may exceed all of them, as a share of the image's range.
    """

    down: np.ndarray
    across: np.ndarray
    first_down: np.ndarray
    first_across: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    excess: float


def blobs(image: np.ndarray) -> list[Circle]:
    """Return for each of four sizes the place (x, y, r) that is darkest against its surround.

    `image` float32 (h, w), levels 0 to 255.
    """
    if max(image.shape) > LONGEST:
        return [plain_blob(image, r) for r in (NARROW, *WIDE)]
    levels = float(image.max() - image.min())
    return [plain_blob(image, NARROW), *(_blob(image, r, levels) for r in WIDE)]


def plain_blob(image: np.ndarray, r: float) -> Circle:
    """Return the place (x, y, r) of the spot with radius `r`: the first pixel with the largest
    difference.
    """
    contrast: np.ndarray = cv2.GaussianBlur(image, (0, 0), SURROUND * r)
    contrast -= cv2.GaussianBlur(image, (0, 0), SPOT * r)
    y, x = divmod(int(contrast.argmax()), image.shape[1])
    return float(x), float(y), r


def _blob(image: np.ndarray, r: float, levels: float) -> Circle:
    """Return what `plain_blob` returns."""
    tables = _tables(*image.shape, r)
    first = _difference(tables.first_down, image, tables.first_across)
    high = first >= first.max() - tables.excess * levels
    rows, columns = (
        _beside(places, high.any(axis=axis), size, WIDE[r] // 2)
        for places, axis, size in zip(
            (tables.rows, tables.columns), (1, 0), image.shape, strict=True
        )
    )
    down = tables.down.reshape(len(image), -1)[rows].reshape(2 * len(rows), -1)
    contrast = _difference(down, image, tables.across[columns].T)
    best = int(contrast.argmax())
    if np.count_nonzero(contrast >= contrast.flat[best] - EQUAL) > 1:
        return plain_blob(image, r)  # nearly as large: rounding would decide
    y, x = divmod(best, len(columns))
    return float(columns[x]), float(rows[y]), r


def _beside(places: np.ndarray, chosen: np.ndarray, size: int, reach: int) -> np.ndarray:
    """Return the chosen rows or columns and those beside them, in their order."""
    near = np.zeros(size + 2 * reach, bool)
    at = places[chosen]
    for shift in range(2 * reach + 1):
        near[at + shift] = True
    return np.flatnonzero(near[reach : reach + size])


def _difference(down: np.ndarray, image: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return rows and columns of the difference of the two blurred images."""
    return product(product(down, image).reshape(len(down) // 2, -1), across)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the product of two matrices (m, k) and (k, n), in pieces for each of which one thread
    is enough: on a busy machine threads wait for each other a hundred times as long.
    """
    (m, k), n = a.shape, b.shape[1]
    piece = max(1, ONE_THREAD // (k * n))
    whole = m // piece * piece
    out = np.empty((m, n), np.float32)
    np.matmul(a[:whole].reshape(-1, piece, k), b, out=out[:whole].reshape(-1, piece, n))
    if whole < m:
        np.matmul(a[whole:], b, out=out[whole:])
    return out


@lru_cache(maxsize=24)
def _tables(height: int, width: int, r: float) -> Tables:
    """Return the matrices for images of a shape; nobody may write into them."""
    down = np.stack([_blurring(height, part * r) for part in (SURROUND, SPOT)], axis=1)
    across = np.concatenate([_blurring(width, SURROUND * r), -_blurring(width, SPOT * r)], axis=1)
    rows, columns = (
        np.minimum(np.arange(WIDE[r] // 2, size + WIDE[r] // 2, WIDE[r]), size - 1)
        for size in (height, width)
    )
    return Tables(
        down.reshape(2 * height, height),
        across,
        down[rows].reshape(-1, height),
        np.ascontiguousarray(across[columns].T),
        rows,
        columns,
        _excess(r),
    )


def _kernel(sigma: float) -> np.ndarray:
    """Return the kernel (n, 1) that OpenCV takes for a float32 image."""
    return cv2.getGaussianKernel(round(8 * sigma + 1) | 1, sigma, cv2.CV_32F)


@lru_cache(maxsize=48)
def _blurring(size: int, sigma: float) -> np.ndarray:
    """Return the matrix (size, size) that blurs a column."""
    return cv2.sepFilter2D(
        np.eye(size, dtype=np.float32), -1, np.ones((1, 1), np.float32), _kernel(sigma)
    )


@cache
def _excess(r: float) -> float:
    """Return by how much, as a share of the image's range, the largest difference can exceed that
    at the nearest place that is worked out first.

    At a maximum the first differences to both sides are at most 0 and differ by the second
    difference there; and that is at most the kernel's, summed up, times half of the image's range.
    So d px away in one direction at most d (d + 1) / 2 of those are lost, and in both d * d of the
    mixed ones beside.
    """
    wide, narrow = (_kernel(part * r).astype(np.float64) for part in (SURROUND, SPOT))
    beside = (len(wide) - len(narrow)) // 2
    both = np.pad(wide @ wide.T - np.pad(narrow @ narrow.T, beside), 2)
    along = np.abs(np.diff(both, 2, axis=0)).sum()
    mixed = np.abs(np.diff(np.diff(both, axis=0), axis=1)).sum()
    d = WIDE[r] // 2
    return float(1.001 * 0.5 * (d * (d + 1) * along + d * d * mixed))
