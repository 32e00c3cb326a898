"""Pairs of pictures that are one but for brightness, contrast, size or the codec's losses."""

import numpy as np
from jaxtyping import Float32, Shaped

from medpriv_lib.core.pixels import Images

# Correlation of the pixels from which two pictures count as one. An eye that is found again in a
# copy of half to nearly the whole size is cut a little differently: of 60 such copies 60 reach it
# at 32 and 64 px, 57 at 128, while .999 was reached by 52, 36 and 30. Of 1,795 images of the
# package's 115 patients none reaches .98 with another patient's.
LEAST = 0.995
SIDE = 8  # of the thumbnails that are compared first
ROWS = 512  # thumbnails at once
TRIED = 32  # nearest pictures of other patients that are compared in full


def alike_pictures(
    images: Images, patient: Shaped[np.ndarray, " n"], least: float = LEAST
) -> list[tuple[int, int]]:
    """Return pairs of rows of two patients whose pixels correlate by `least` or more, as they are
    or mirrored: each later row with the earlier one that is nearest.

    Of colours the mean counts. A difference of block means is no larger than that of the pixels,
    so thumbnails of standardised pictures leave out no pair; of the others the 32 nearest are
    compared in full. Pictures of one level correlate with nothing. Equal pictures are pairs, too.
    """
    thumbs, flipped = _thumbnails(images)
    # unit variance: the mean squared difference of two pictures is 2 (1 - correlation)
    most = 2 * (1 - least) * thumbs.shape[1] + 1e-4
    both = np.concatenate([thumbs, flipped])
    norms = (both**2).sum(axis=1)
    n, pairs = len(images), []
    for start in range(1, n, ROWS):
        stop = min(start + ROWS, n)
        earlier = np.r_[0 : stop - 1, n : n + stop - 1]
        away = norms[start:stop, None] + norms[earlier] - 2 * thumbs[start:stop] @ both[earlier].T
        near = away <= most
        for row in np.flatnonzero(near.any(axis=1)) + start:
            found = np.flatnonzero(near[row - start])
            found = found[np.argsort(away[row - start, found], kind="stable")]
            others = earlier[found]
            fits = (others % n < row) & (patient[others % n] != patient[row])
            for other in others[fits][:TRIED]:
                if _correlation(images[row], images[other % n], other >= n) >= least:
                    pairs.append((int(other % n), int(row)))
                    break
    return pairs


def _thumbnails(
    images: Images,
) -> tuple[Float32[np.ndarray, "n t"], Float32[np.ndarray, "n t"]]:
    """Return block means of the standardised pictures, and of their mirror images.

    They are scaled so that rows which do not fit into blocks leave the bound as it is; pictures of
    one level lie far from all.
    """
    height, width = images.shape[1:3]
    down, across = max(1, height // SIDE), max(1, width // SIDE)
    rows, columns = height // down, width // across
    used = (rows * down * columns * across) / (height * width)
    found = np.full((2, len(images), rows * columns), 1e6, dtype=np.float32)
    for row, image in enumerate(images):
        grey = _grey(image)
        grey -= grey.mean()
        spread = grey.std()
        if spread > 0:
            for turned, out in ((grey, found[0]), (grey[:, ::-1], found[1])):
                blocks = turned[: rows * down, : columns * across].reshape(
                    rows, down, columns, across
                )
                out[row] = blocks.mean(axis=(1, 3)).ravel() / spread * np.sqrt(used)
    return found[0], found[1]


def _grey(image: np.ndarray) -> Float32[np.ndarray, "h w"]:
    return (image if image.ndim == 2 else image.mean(axis=2)).astype(np.float32)


def _correlation(a: np.ndarray, b: np.ndarray, mirrored: bool) -> float:
    one, other = _grey(a), _grey(b)[:, ::-1] if mirrored else _grey(b)
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.mean((one - one.mean()) * (other - other.mean())) / (one.std() * other.std()))
