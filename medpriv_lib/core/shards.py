"""A release too large for one folder and for memory: its parts in `keep/`, its files in shards.

`keep/parts/` has one release file for each part, and `share/` a thousand files a folder:
`share/0000` holds the first thousand of the order, `share/0001` the next. The order is one over
the whole.
"""

import csv
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from PIL import Image

from medpriv_lib.core.cluster import spread
from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.randomness import secret_order
from medpriv_lib.core.release import Release
from medpriv_lib.core.secondary_capture import write_capture
from medpriv_lib.core.sharing import ENDINGS, ONE_TIME

EACH = 1000  # files of a folder
WARNING = """This folder is the linkage key of the release beside it. Never share it.

parts/        which image each released one stands for, the patients that went into it, and where
              the random numbers began
order.csv     which released image each file in ../share is, counted through all parts
order.npy     the same numbers
plan.json     how the release was made

Whoever has this folder can name the patients. Keep it apart from ../share, or delete it: the
release does not need it.
"""


@dataclass(frozen=True)
class Shard:
    """One folder of `share/` to write: from the image `first` of the order on, in the order of
    `rows`; `starts` (C + 1,) says which rows each part holds.
    """

    keep: Path
    first: int
    rows: Int64[np.ndarray, " m"]
    starts: Int64[np.ndarray, " c1"]
    width: int
    form: str
    method: str


def part_file(keep: Path, number: int) -> Path:
    """Return the file of one part of the release."""
    return keep / "parts" / f"{number:05d}.npz"


def write_part(keep: Path, number: int, release: Release) -> None:
    """Write one part: its images, to be read where they lie, and last the release with its key."""
    path = part_file(keep, number)
    with atomic_write(path.with_suffix(".npy"), private=True) as temporary:
        np.save(temporary, release.images)
    release.save(path)


def write_shares(
    out: Path,
    counts: Sequence[int],
    form: str,
    method: str,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    watch: Callable[[Iterable[None], int], Iterable[None]] = lambda done, total: done,
) -> None:
    """Write `share/` of a release whose parts are complete, and order.csv beside them.

    `counts` is how many images each part holds. The order is drawn from the operating system's
    entropy once, and kept, so that a run that goes on after a kill has the same one. `share/` has
    its name only when all of it is there; `watch` may show how far the work is.
    """
    keep, starts = out / "keep", np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    order = _order(keep, int(starts[-1]))
    (keep / "share").mkdir(exist_ok=True)
    width = max(4, len(str(len(order))))
    shards = [
        Shard(keep, first, order[first : first + EACH], starts, width, form, method)
        for first in range(0, len(order), EACH)
    ]
    for _ in watch(spread(write_shard, shards, workers, scheduler), len(shards)):
        pass
    _write_order(keep, order, starts, width, form)
    (keep / "README.txt").write_text(WARNING, encoding="utf-8")
    for path in keep.glob("*.*"):
        path.chmod(0o600)
    os.utime(keep / "share", (ONE_TIME, ONE_TIME))
    os.rename(keep / "share", out / "share")
    for number in range(len(counts)):
        part_file(keep, number).with_suffix(".npy").unlink(missing_ok=True)


def write_shard(shard: Shard) -> None:
    """Write one folder of images without metadata, all of one time; leave it where it is."""
    folder = shard.keep / "share" / f"{shard.first // EACH:04d}"
    if folder.exists():
        return
    new = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    part = np.searchsorted(shard.starts, shard.rows, side="right") - 1
    parts = {
        int(number): np.load(part_file(shard.keep, number).with_suffix(".npy"), mmap_mode="r")
        for number in np.unique(part)
    }
    for place, (number, row) in enumerate(zip(part.tolist(), shard.rows.tolist(), strict=True)):
        image = np.array(parts[number][row - shard.starts[number]])
        path = new / _name(shard.first + place, shard.width, shard.form)
        if shard.form == "dicom":
            write_capture(image, path, path.stem, shard.method)
        else:
            Image.fromarray(image).save(path, format="PNG")  # from an array: without metadata
        os.utime(path, (ONE_TIME, ONE_TIME))
    os.utime(new, (ONE_TIME, ONE_TIME))
    try:
        os.rename(new, folder)
    except OSError:  # the same work was done twice, as a cluster may
        if not folder.exists():
            raise
        shutil.rmtree(new)


def _name(place: int, width: int, form: str) -> str:
    return f"{place + 1:0{width}d}{ENDINGS[form]}"


def _order(keep: Path, count: int) -> Int64[np.ndarray, " n"]:
    path = keep / "order.npy"
    if path.exists():
        order = np.load(path, allow_pickle=False)
        if np.array_equal(np.sort(order), np.arange(count)):
            return order
        raise ValueError(f"{path}: not an order of {count} images; remove it, and run this again")
    order = secret_order(count)
    with atomic_write(path, private=True) as temporary:
        np.save(temporary, order)
    return order


def _write_order(
    keep: Path, order: Int64[np.ndarray, " n"], starts: np.ndarray, width: int, form: str
) -> None:
    """Write order.csv: file, released row, row of the archive, patient."""
    rows, names = np.empty(len(order), np.int64), np.empty(len(order), object)
    for number in range(len(starts) - 1):
        release = Release.load(part_file(keep, number))
        given = release.given
        assert given is not None  # `privatize` records what was given
        here = slice(starts[number], starts[number + 1])
        rows[here], names[here] = given.row[release.source], given.patient[release.source]
    with (
        atomic_write(keep / "order.csv", private=True) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        table = csv.writer(file)
        table.writerow(["file", "released_row", "source_row", "patient"])
        for place, row in enumerate(order.tolist()):
            name = f"{place // EACH:04d}/{_name(place, width, form)}"
            table.writerow([name, row, int(rows[row]), names[row]])
