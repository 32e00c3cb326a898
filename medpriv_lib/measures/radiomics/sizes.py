"""Sixteen statistics of pieces of one grey level each: runs along a line, zones of an area.

The IBSI defines them alike for both (reference manual, 3.7 and 3.8). A piece has a level g and a
size r in pixels.
"""

import numpy as np
from jaxtyping import Float, Int64


def size_statistics(
    owner: Int64[np.ndarray, " m"],
    grey: Int64[np.ndarray, " m"],
    size: Int64[np.ndarray, " m"],
    pixels: Int64[np.ndarray, " o"],
) -> Float[np.ndarray, "o 16"]:
    """Return the statistics of each owner of pieces; every owner has at least one.

    `owner` (M,) 0..O-1, `grey` (M,) from 1 and `size` (M,) in pixels describe the pieces; `pixels`
    (O,) are the pixels that an owner's pieces cover, which the percentage is of. In order: short,
    long, low grey, high grey emphasis; short low, short high, long low, long high; grey level
    non-uniformity and normalised; size non-uniformity and normalised; percentage; variances of grey
    level and size; entropy in bit.
    """
    owners, most = len(pixels), int(size.max()) + 1
    levels = int(grey.max()) + 1
    kind, times = np.unique((owner * levels + grey) * most + size, return_counts=True)
    owner, g, r = kind // most // levels, kind // most % levels, kind % most
    n = np.bincount(owner, weights=times, minlength=owners)
    p = times / n[owner]  # the share of the owner's pieces that have this level and size

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, weights=values * p, minlength=owners)

    def squares(of: np.ndarray, classes: int) -> np.ndarray:
        cells = np.bincount(owner * classes + of, weights=p, minlength=owners * classes)
        return (cells.reshape(owners, classes) ** 2).sum(axis=1)

    g2, r2 = g.astype(float) ** 2, r.astype(float) ** 2
    by_grey, by_size = squares(g, levels), squares(r, most)
    high, long = mean(g2), mean(r2)
    columns = [
        mean(1 / r2),
        long,
        mean(1 / g2),
        high,
        mean(1 / r2 / g2),
        mean(g2 / r2),
        mean(r2 / g2),
        mean(r2 * g2),
        n * by_grey,
        by_grey,
        n * by_size,
        by_size,
        n / pixels,
        high - mean(g) ** 2,
        long - mean(r) ** 2,
        -mean(np.log2(p)),
    ]
    return np.stack(columns, axis=1)
