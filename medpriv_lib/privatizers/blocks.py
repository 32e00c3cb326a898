"""Blocks of similar patients, so that groups are formed within a block where a set is too large.

To find groups, K-Same compares each seed with all patients that are left. Of a million images that
is out of reach; here patients are first put into blocks of some 500 by where they lie along the
main directions of the images (principal components, Pearson 1901), by k-means (Lloyd 1982) within
k-means. Groups of the exact form are then formed within each block. Nothing is drawn: two releases
of one set have the same groups, and an intersection of groups tells nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64
from scipy.linalg import eigh

from medpriv_lib.core.pixels import Images

DIRECTIONS = 32
BLOCK = 500  # patients
SEEN = 2000  # images that the directions are taken from, and patients that centres are fitted to
SEEN_BYTES = 2**28  # of these images in float32
PARTS = 16  # centres at once
ROUNDS = 20


@dataclass(frozen=True)
class Directions:
    """Where images lie: `mean` (P,) of their pixels and the main directions `axes` (P, D)."""

    mean: Float32[np.ndarray, " p"]
    axes: Float32[np.ndarray, "p d"]

    def places(self, images: Images) -> Float32[np.ndarray, "n d"]:
        """Return where images lie along the directions, in grey levels."""
        return (images.reshape(len(images), -1).astype(np.float32) - self.mean) @ self.axes


def directions_of(images: Images, count: int = DIRECTIONS) -> Directions:
    """Return the main directions of a few images: the leading principal components, fewer where
    there are fewer images; each points to where its largest entry is positive.
    """
    pixels = images.reshape(len(images), -1).astype(np.float32)
    mean = pixels.mean(axis=0, dtype=np.float64).astype(np.float32)
    pixels -= mean
    count = min(count, len(pixels), pixels.shape[1])
    # of the two matrices of products with the same eigenvalues, the smaller one
    wide = pixels.shape[1] > len(pixels)
    products = (pixels @ pixels.T if wide else pixels.T @ pixels).astype(np.float64)
    last = len(products) - 1
    _, found = eigh(products, subset_by_index=(last - count + 1, last))
    axes = pixels.T @ found.astype(np.float32) if wide else found.astype(np.float32)
    axes /= np.maximum(np.linalg.norm(axes, axis=0), 1e-12)
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(count)] < 0, -1, 1)
    return Directions(mean, np.ascontiguousarray(axes[:, ::-1]))


def how_many(pixels: int) -> int:
    """Return of how many images of so many pixels the directions are taken."""
    return max(DIRECTIONS, min(SEEN, SEEN_BYTES // (4 * pixels)))


def blocks(
    places: Float[np.ndarray, "n d"],
    counts: Int64[np.ndarray, "n l"],
    k: int,
    size: int = BLOCK,
) -> list[Int64[np.ndarray, " m"]]:
    """Return the rows of each block: all rows once, near ones together, some `size` in each.

    `counts` (N, L) says whether a patient has an image of each label; a block with fewer than `k`
    patients of a label, but some, is joined with the block nearest to it, until none is left or
    there is one block. Up to 1.5 `size` rows are one block, so that a small set is grouped as
    without blocks.
    """
    found = list(_divided(np.asarray(places, np.float32), np.arange(len(places)), size))
    has = np.stack([(counts[rows] > 0).sum(axis=0) for rows in found])
    centres = np.stack([places[rows].mean(axis=0) for rows in found])
    sizes = np.array([len(rows) for rows in found])
    while (sizes > 0).sum() > 1:
        lacking = np.flatnonzero(((has > 0) & (has < k)).any(axis=1))
        if len(lacking) == 0:
            break
        one = lacking[sizes[lacking].argmin()]
        away = ((centres - centres[one]) ** 2).sum(axis=1)
        away[(sizes == 0) | (np.arange(len(sizes)) == one)] = np.inf
        other = int(away.argmin())
        both = sizes[[one, other]]
        centres[other] = both @ centres[[one, other]] / both.sum()
        found[other] = np.sort(np.concatenate([found[one], found[other]]))
        has[other], sizes[other] = has[one] + has[other], both.sum()
        has[one], sizes[one] = 0, 0
    left = [rows for rows, count in zip(found, sizes, strict=True) if count]
    return sorted(left, key=lambda rows: int(rows[0]))


def _divided(
    places: Float32[np.ndarray, "n d"], rows: Int64[np.ndarray, " m"], size: int
) -> Iterable[Int64[np.ndarray, " b"]]:
    """Yield the rows in blocks: those of each of up to 16 centres, divided further if too many."""
    if len(rows) <= 1.5 * size:
        yield rows
        return
    here = places[rows]
    centre = _nearest(here, _centres(here, min(PARTS, round(len(rows) / size))))
    parts = [rows[centre == number] for number in np.unique(centre)]
    if len(parts) == 1:  # equal places: any division is as good
        parts = np.array_split(rows, round(len(rows) / size))
        yield from parts
        return
    for part in parts:
        yield from _divided(places, part, size)


def _centres(here: Float32[np.ndarray, "n d"], count: int) -> Float32[np.ndarray, "c d"]:
    """Return Lloyd's centres of up to 2,000 places, begun at equal shares along the direction in
    which they spread most.
    """
    some = here[np.linspace(0, len(here) - 1, min(len(here), SEEN)).astype(np.int64)]
    order = np.argsort(some[:, some.var(axis=0).argmax()], kind="stable")
    centres = np.stack([some[part].mean(axis=0) for part in np.array_split(order, max(2, count))])
    for _ in range(ROUNDS):
        nearest, before = _nearest(some, centres), centres
        centres = np.stack([
            some[nearest == number].mean(axis=0) if (nearest == number).any() else centre
            for number, centre in enumerate(centres)
        ])  # fmt: skip
        if np.array_equal(before, centres):
            break
    return centres


def _nearest(
    places: Float32[np.ndarray, "n d"], centres: Float32[np.ndarray, "c d"]
) -> Int64[np.ndarray, " n"]:
    return ((centres**2).sum(axis=1) - 2 * places @ centres.T).argmin(axis=1)
