"""Who shares an image: groups of the most similar images, and the exact means of groups."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int32, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.distances import (
    BLOCK_ENTRIES,
    FAR,
    byte_rank,
    centred,
    products,
    squared_norms,
)
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images
from medpriv_lib.core.products import are_exact, signed, whole_products
from medpriv_lib.core.release import Release

MEANS_AT_ONCE = 64  # images: sums that stay in the processor's cache
KEYS_AT_ONCE = 64  # images asked: their keys stay there, too
# images asked: products that are taken at once, for between two of them threads wait for each other
AT_ONCE = 4096
Means = Float64[np.ndarray, "m h w"] | Float64[np.ndarray, "m h w 3"]


class Averages(NamedTuple):
    """What a release holds, before rounding.

    `means` float64 (M, H, W) or (M, H, W, 3), the distinct mean images in levels 0..255; `which`
    int64 (N,), the mean that each released row shows; `source` int64 (N,) and `contributors` int64
    (N, C) as in `Release`.
    """

    means: Means
    which: Int64[np.ndarray, " n"]
    source: Int64[np.ndarray, " n"]
    contributors: Int64[np.ndarray, "n c"]

    def release(self, method: str, parameters: dict[str, Any]) -> Release:
        """Round the means to grey levels and return them as a release."""
        return Release(
            rounded(self.means)[self.which], self.source, self.contributors, method, parameters
        )


def rounded(means: Float64[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Round grey levels in 0..255 to uint8, halves to the even neighbour."""
    return np.rint(means).astype(np.uint8)


def patients_table(members: list[np.ndarray]) -> Int64[np.ndarray, "m c"]:
    """Turn lists of patients into one table: distinct numbers in ascending order, padded with
    -1.
    """
    members = [np.unique(one) for one in members]
    table = np.full((len(members), max(map(len, members))), -1, dtype=np.int64)
    for row, one in zip(table, members, strict=True):
        row[: len(one)] = one
    return table


def group(
    images: Images, k: int, order: Int64[np.ndarray, " n"], entries: int = BLOCK_ENTRIES
) -> list[np.ndarray]:
    """Split images into groups of k to 2k - 1 by Gross's algorithm; return the rows of each group.

    The first image left in `order` (a permutation of the rows) is the seed; it and its k - 1
    nearest in Euclidean distance form a group and leave. Fewer than 2k images left form the last
    group. Ties go by the pixel bytes, then by `order`. `entries` distances are held
    at once. Raises `NotApplicable` for fewer than k images.
    """
    n = len(images)
    if n < k:
        raise NotApplicable(
            f"groups of k = {k} need as many images, and there are {n}; choose a smaller k or add "
            "patients"
        )
    pixels = centred(images)
    norms = squared_norms(pixels)
    eight_bits = are_exact(pixels.shape[1])
    rows = signed(images) if eight_bits else pixels
    rank = byte_rank(images, np.argsort(order))
    groups, left = [], np.asarray(order, dtype=np.int64)
    while len(left) >= 2 * k:
        # the distances of a block of coming seeds in one product; seeds that an earlier one takes
        # were for nothing
        block = max(1, min(-(-len(left) // k), entries // len(left)))
        seeds, multiplied = left[:block], whole_products if eight_bits else products
        keys = multiplied(rows[seeds], rows[left]).astype(np.int64)
        keys *= -2
        keys += norms[seeds, None]
        keys += norms[left]
        keys *= n  # distance first, then rank: no two keys are equal
        keys += rank[left]
        here = np.ones(len(left), dtype=bool)
        count = len(left)
        for seed in range(block):
            if count < 2 * k:
                break
            if here[seed]:
                key = np.where(here, keys[seed], FAR)
                key[seed] = -1  # the seed itself before any copy of it
                nearest = np.argpartition(key, k - 1)[:k]
                groups.append(left[nearest])
                here[nearest] = False
                count -= k
        left = left[here]
    if len(left):
        groups.append(left)
    return groups


def nearest_patients(
    images: Images,
    asked: Int64[np.ndarray, " a"],
    train: Cohort,
    gallery: Int64[np.ndarray, " g"],
    k: int,
    entries: int = BLOCK_ENTRIES,
) -> Iterator[tuple[Int64[np.ndarray, " r"], Int64[np.ndarray, "r k"]]]:
    """Yield (rows, (rows, k) rows of `train`): the nearest image of each of the k nearest patients,
    nearest first, among the rows `gallery`; `entries` distances are held at once.
    """
    count = len(gallery)
    order, layers = _in_layers(train.patient[gallery])
    gallery = gallery[order]
    patient, shown = train.patient[gallery], train.images[gallery]
    rank = byte_rank(shown, patient)
    row_of_rank = gallery[np.argsort(rank)]
    block = max(1, min(AT_ONCE, entries // count))
    if are_exact(shown[0].size):
        multiplied = _in_blocks(images, asked, signed(shown), block)
    else:
        multiplied = _in_float(images, asked, shown, order, centred(shown), block)
    # by parts: a copy of the whole gallery in float32 would be four times as large
    parts = range(0, count, KEYS_AT_ONCE)
    norms = [squared_norms(centred(shown[start : start + KEYS_AT_ONCE])) for start in parts]
    keys_of_gallery = (np.concatenate(norms) * count + rank).astype(np.float64)
    for rows, gram in multiplied:
        found = np.empty((len(rows), k), np.int64)
        for start in range(0, len(rows), KEYS_AT_ONCE):
            part = slice(start, start + KEYS_AT_ONCE)
            # distance first, then rank: no two keys are equal. A row's own norm orders nothing in
            # it, and whole numbers below 2**53 are exact in float64: these are below 2**15 p N
            keys = np.multiply(gram[part], -2.0 * count)
            keys += keys_of_gallery
            keys = _least_of_each(keys, layers)
            keys = np.sort(np.partition(keys, k - 1, axis=1)[:, :k], axis=1).astype(np.int64)
            found[part] = row_of_rank[keys % count]
        yield rows, found


def _in_layers(
    patient: Int64[np.ndarray, " g"],
) -> tuple[Int64[np.ndarray, " g"], Int64[np.ndarray, " l"]]:
    """Return (order, layers): a first image of every patient, then a second one of all that have
    two, and so on, patients with most images first; and how many images each of these layers has.
    """
    _, number, counts = np.unique(patient, return_inverse=True, return_counts=True)
    by_patient = np.argsort(number, kind="stable")
    nth = np.empty_like(by_patient)
    nth[by_patient] = np.arange(len(nth)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = np.empty_like(counts)
    place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.lexsort((place[number], nth)), np.bincount(nth)


def _least_of_each(
    keys: Float64[np.ndarray, "r g"], layers: Int64[np.ndarray, " l"]
) -> Float64[np.ndarray, "r u"]:
    """Return the least key of every patient, in place: layers stand side by side, so that whole
    rows are compared, and not a few numbers at a time.
    """
    start = layers[0]
    least = keys[:, :start]
    for size in layers[1:]:
        first = least[:, :size]
        np.minimum(first, keys[:, start : start + size], out=first)
        start += size
    return least


def _in_blocks(
    images: Images, asked: Int64[np.ndarray, " a"], gallery: Int8[np.ndarray, "n p"], block: int
) -> Iterator[tuple[Int64[np.ndarray, " r"], Int32[np.ndarray, "r n"]]]:
    """Yield rows of the images that are asked, and their products with the `signed` gallery."""
    for start in range(0, len(asked), block):
        rows = asked[start : start + block]
        yield rows, whole_products(signed(images[rows]), gallery)


def _in_float(
    images: Images,
    asked: Int64[np.ndarray, " a"],
    shown: Images,
    order: Int64[np.ndarray, " g"],
    pixels: Float32[np.ndarray, "g p"],
    block: int,
) -> Iterator[tuple[Int64[np.ndarray, " r"], Float64[np.ndarray, "r g"]]]:
    """Yield what `_in_blocks` yields, for a gallery `shown` and `centred` in this `order`."""
    itself = len(asked) == len(shown) <= block
    if itself and np.array_equal(images[asked[order]], shown):
        # of the gallery itself half of the products are enough, and the BLAS knows it
        yield asked[order], products(pixels, pixels)
        return
    for start in range(0, len(asked), block):
        rows = asked[start : start + block]
        yield rows, products(centred(images[rows]), pixels)


def mean_of(images: UInt8[np.ndarray, "..."], of: int = 0) -> Float64[np.ndarray, "..."]:
    """Return the exact mean over the axis `of`, that of the patients."""
    return images.sum(axis=of, dtype=np.uint32) / images.shape[of]


def rounded_means(
    images: UInt8[np.ndarray, "n ..."], rows: Int64[np.ndarray, "m k"]
) -> UInt8[np.ndarray, "m ..."]:
    """Return what `rounded` makes of the mean of the images in each row of `rows`, to the byte.

    Sums are whole numbers. Their quotients are taken in float32, which takes none for a half that
    is not: it lies 1 / 2k from a half, and k is at most 257 where uint16 is enough for the sums.
    """
    flat = images.reshape(len(images), -1)
    count = rows.shape[1]
    small = count * 255 < 2**16
    out = np.empty((len(rows), flat.shape[1]), dtype=np.uint8)
    for start in range(0, len(rows), MEANS_AT_ONCE):
        some = rows[start : start + MEANS_AT_ONCE]
        total = flat[some[:, 0]].astype(np.uint16 if small else np.uint32)
        for column in range(1, count):
            total += flat[some[:, column]]
        mean = total.astype(np.float32 if small else np.float64)
        mean /= count
        out[start : start + MEANS_AT_ONCE] = np.rint(mean, out=mean)
    return out.reshape(len(rows), *images.shape[1:])
