"""One part of an archive is privatised: the work that processes and cluster workers are given."""

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.core.shards import part_file, write_part
from medpriv_lib.data.archive.archive import Archive, is_archive
from medpriv_lib.pipeline.privatize import privatize, refuse_text
from medpriv_lib.privatizers.blocks import Directions

GALLERY = 20_000  # training images of an archive that a method draws from at most


@dataclass(frozen=True)
class Work:
    """One part to privatise: its `number`, the `rows` of the archive in it, the method with its
    settings, and the files of the cohort and the weights that the method needs, or None.
    """

    archive: Path
    keep: Path
    number: int
    rows: Int64[np.ndarray, " m"]
    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    gallery: Path | None = None
    weights: Path | None = None
    form: str = "png"


def release_part(work: Work) -> int:
    """Privatise one part and write it; return the number of its images.

    A part that is there stays. Its random numbers begin at the operating system's entropy, and its
    key records where. Raises what `pipeline.privatize.privatize` raises.
    """
    path = part_file(work.keep, work.number)
    if not path.exists():
        images = opened(work.archive).take(work.rows)
        release = privatize(
            images,
            work.method,
            gallery=None if work.gallery is None else gallery_of(work.gallery),
            weights=work.weights,
            **work.settings,
        )
        if work.form == "dicom":
            refuse_text(release)
        write_part(work.keep, work.number, release)
        return len(release)
    return len(Release.load(path))


def places_of(
    work: tuple[Path, Int64[np.ndarray, " m"], Directions],
) -> Float32[np.ndarray, "m d"]:
    """Return where some images of an archive lie along the main directions."""
    archive, rows, directions = work
    return directions.places(opened(archive).take(rows).images)


@cache
def opened(folder: Path) -> Archive:
    """Return an archive; a process that works on several parts opens it once."""
    return Archive.open(folder)


@cache
def gallery_of(path: Path) -> Cohort:
    """Return the cohort that a method draws from: of a file, or the training images of an archive.

    Raises `ValueError` where an archive has too many of them to draw from.
    """
    if not is_archive(path):
        return Cohort.load(path)
    archive = opened(path)
    rows = archive.rows_of("train")
    if len(rows) > GALLERY:
        raise ValueError(
            f"{path} has {len(rows):,} training images, more than the {GALLERY:,} that a method "
            "may draw from; name a cohort file with fewer by --cohort"
        )
    return replace(archive.take(rows), name=archive.name)
