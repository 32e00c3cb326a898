"""Pairs of pictures that are one but for brightness, contrast, size or the codec's losses."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from medpriv_lib.core.pixels import Images

Thumbnails = Float32[np.ndarray, "n t"]
# Correlation of the pixels from which two pictures count as one. An eye that is found again in a
# copy of half to nearly the whole size is cut a little differently: of 60 such copies 60 reach it
# at 32 and 64 px, 57 at 128, while .999 was reached by 52, 36 and 30. Of 1,795 images of the
# package's 115 patients none reaches .98 with another patient's.
LEAST = 0.995
SIDE = 8  # of the thumbnails that are compared first
ROWS = 512  # thumbnails at once
ENTRIES = 2**23  # distances held at once, in each of two turns
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
    return alike_by(*thumbnails(images), patient, images.__getitem__, least)


def alike_by(
    thumbs: Thumbnails,
    flipped: Thumbnails,
    patient: Shaped[np.ndarray, " n"],
    image_of: Callable[[int], UInt8[np.ndarray, "..."]],
    least: float = LEAST,
) -> list[tuple[int, int]]:
    """Return the pairs of `alike_pictures` by what `thumbnails` returns; `image_of` reads the
    picture of a row. `ENTRIES` distances are held at once.
    """
    # unit variance: the mean squared difference of two pictures is 2 (1 - correlation)
    most = 2 * (1 - least) * thumbs.shape[1] + 1e-4
    norms, pairs, n = [(one**2).sum(axis=1) for one in (thumbs, flipped)], [], len(thumbs)
    step = max(1, min(ROWS, ENTRIES // max(1, n)))
    for start in range(1, n, step):
        stop = min(start + step, n)
        some, length = thumbs[start:stop], norms[0][start:stop, None]
        parts = [
            length + norm[: stop - 1] - 2 * some @ all_of[: stop - 1].T
            for norm, all_of in zip(norms, (thumbs, flipped), strict=True)
        ]
        away = np.concatenate(parts, axis=1)
        near = away <= most
        for row in np.flatnonzero(near.any(axis=1)) + start:
            found = np.flatnonzero(near[row - start])
            found = found[np.argsort(away[row - start, found], kind="stable")]
            turned, others = np.divmod(found, stop - 1)
            fits = (others < row) & (patient[others] != patient[row])
            image = image_of(int(row))
            for other, mirrored in zip(others[fits][:TRIED], turned[fits], strict=False):
                if _correlation(image, image_of(int(other)), bool(mirrored)) >= least:
                    pairs.append((int(other), int(row)))
                    break
    return pairs


def thumbnails(images: Images) -> tuple[Thumbnails, Thumbnails]:
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
