"""Pictures of two patients of an archive that are nearly one, in whatever chunks they lie."""

from functools import lru_cache

import numpy as np

from medpriv_lib.core.pixels import Images
from medpriv_lib.data.alike import alike_by, thumbnails
from medpriv_lib.data.archive.archive import Archive

MOST = 200_000  # images: all pairs of a million would take an hour
OPEN = 64  # chunks whose pictures are held open


def alike_in(archive: Archive) -> list[tuple[int, int]] | None:
    """Return the pairs of `alike_pictures` among all images of an archive, by their rows.

    Thumbnails are held in memory, half a kB for each image; pictures are read from their chunks
    where thumbnails are near. None for more than `MOST` images, which are not compared.
    """
    if len(archive) > MOST:
        return None
    images = lru_cache(OPEN)(archive.images)
    parts = [thumbnails(images(chunk)) for chunk in range(archive.chunks)]
    thumbs, flipped = (np.concatenate(some) for some in zip(*parts, strict=True))

    def image_of(row: int) -> Images:
        chunk = int(np.searchsorted(archive.starts, row, side="right")) - 1
        return images(chunk)[row - archive.starts[chunk]]

    return alike_by(thumbs, flipped, archive.patient, image_of)
