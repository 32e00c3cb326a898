"""Distances: exact squared ones between images, so that "nearest" means the same on every machine,
and plain ones between rows of numbers.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt8

# Grey levels less 128 lie in -128..127, so a sum of 1,024 of their products stays within 2**24:
# every partial sum is a whole number that float32 holds exactly, in whatever order the BLAS adds.
EXACT_PIXELS = 1024
BLOCK_ENTRIES = 2**23  # distances held at once; about 200 MB with all temporaries
WORD = 8  # bytes: two images differ in their first word, or all bytes are looked at
FAR = np.iinfo(np.int64).max


def centred(images: UInt8[np.ndarray, "n ..."]) -> Float32[np.ndarray, "n p"]:
    """Return the images as rows of float32 pixel values less 128, as `squared_distances` wants
    them.
    """
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows -= 128
    return rows


def squared_norms(rows: Float32[np.ndarray, "n p"]) -> Int64[np.ndarray, " n"]:
    """Return the exact squared length of every row of `centred` images."""
    total = np.zeros(len(rows), dtype=np.int64)
    for start in range(0, rows.shape[1], EXACT_PIXELS):
        part = rows[:, start : start + EXACT_PIXELS]
        total += np.vecdot(part, part).astype(np.int64)
    return total


def squared_distances(
    a: Float32[np.ndarray, "m p"],
    b: Float32[np.ndarray, "n p"],
    norms_a: Int64[np.ndarray, " m"] | None = None,
    norms_b: Int64[np.ndarray, " n"] | None = None,
) -> Int64[np.ndarray, "m n"]:
    """Return the exact squared Euclidean distances between two sets of `centred` images, in grey
    levels squared.

    |a - b|^2 = |a|^2 + |b|^2 - 2 a.b, one Gram matrix for all products a.b. Norms that are known
    can be passed.
    """
    out = products(a, b).astype(np.int64)
    out *= -2
    out += (squared_norms(a) if norms_a is None else norms_a)[:, None]
    out += (squared_norms(b) if norms_b is None else norms_b)[None, :]
    return out


def products(
    a: Float32[np.ndarray, "m p"], b: Float32[np.ndarray, "n p"]
) -> Float64[np.ndarray, "m n"]:
    """Return the exact products of all rows of two sets of `centred` images, whole numbers in
    float64.
    """
    gram = (a[:, :EXACT_PIXELS] @ b[:, :EXACT_PIXELS].T).astype(np.float64)
    for start in range(EXACT_PIXELS, a.shape[1], EXACT_PIXELS):
        stop = start + EXACT_PIXELS
        gram += a[:, start:stop] @ b[:, start:stop].T
    return gram


def distances(a: Float[np.ndarray, "m d"], b: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "m n"]:
    """Return all Euclidean distances between two sets of rows, by one matrix product in float64.

    |a - b|^2 = |a|^2 + |b|^2 - 2 a.b; rows are centred on b's mean first, so that little is lost,
    and negative remainders are cut at 0. For grey levels all products are whole numbers and the
    result is exact.
    """
    middle = np.rint(np.asarray(b, dtype=np.float64).mean(axis=0))
    a, b = np.asarray(a, dtype=np.float64) - middle, np.asarray(b, dtype=np.float64) - middle
    out = -2 * (a @ b.T)
    out += np.einsum("md,md->m", a, a)[:, None]
    out += np.einsum("nd,nd->n", b, b)[None, :]
    return np.sqrt(np.maximum(out, 0, out=out), out=out)


def byte_rank(
    images: UInt8[np.ndarray, "n ..."], then: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """Return every image's place 0..N-1 in the order of their pixel bytes; equal images follow the
    numbers `then`.

    It breaks ties by what the images show and not by the row in which they happen to stand.
    """
    rows = np.ascontiguousarray(images.reshape(len(images), -1))
    if rows.shape[1] < WORD:
        rows = np.pad(rows, ((0, 0), (0, WORD - rows.shape[1])))  # a word is what is compared first
    first = rows[:, :WORD].copy().view(">u8")[:, 0].astype(np.uint64)
    order = np.argsort(first, kind="stable")
    same = np.flatnonzero(first[order][1:] == first[order][:-1])
    for run in np.split(same, np.flatnonzero(np.diff(same) > 1) + 1):
        if len(run):  # images whose first word is the same
            part = slice(int(run[0]), int(run[-1]) + 2)
            key = {row: (rows[row].tobytes(), int(then[row])) for row in order[part].tolist()}
            order[part] = sorted(key, key=key.__getitem__)
    rank = np.empty(len(images), dtype=np.int64)
    rank[order] = np.arange(len(images))
    return rank
