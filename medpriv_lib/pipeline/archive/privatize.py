"""Privatise an archive: image by image in its chunks, or in blocks of similar patients."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Int64
from tqdm import tqdm

from medpriv_lib.core.cluster import spread
from medpriv_lib.core.files import atomic_write, sha256_of, write_json
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.shards import write_shares
from medpriv_lib.core.sharing import FORMS
from medpriv_lib.core.workplace import reserved
from medpriv_lib.data.archive.archive import FILE, Archive
from medpriv_lib.pipeline.archive.parts import Work, gallery_of, places_of, release_part
from medpriv_lib.privatizers.blocks import BLOCK, blocks, directions_of, how_many
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.registry import privatizer

T = TypeVar("T")


def privatize_archive(
    archive: Archive,
    method: str,
    out: str | os.PathLike,
    *,
    split: str = "test",
    gallery: str | os.PathLike | None = None,
    weights: str | os.PathLike | None = None,
    files: str = "png",
    block: int = BLOCK,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool | None = False,
    **settings: Any,
) -> int:
    """Write a release of the images of one split (or "all") into `out`; return how many it holds.

    A method that looks at each image alone runs chunk by chunk. One that averages images of those
    given (K-Same, K-Same-Select's release form) forms its groups within blocks of about `block`
    similar patients; a patient is in one block, and a set of up to 1.5 `block` patients is grouped
    as in memory. `gallery` is a cohort file, or an archive with up to 20,000 training images, for
    methods that draw from patients; `weights` as elsewhere; `files`
    is "png" or "dicom"; `workers` and `scheduler` as
    in `core.cluster.spread`. `out` has share/, a thousand files a folder, and keep/. A run that
    was killed goes on with the same call. Released pictures are compared with the originals of
    their part only. A method that shows nobody twice releases one part. Raises what
    `pipeline.privatize.privatize` raises, `NotApplicable` for more images than such a method can
    show, and `ValueError` where `out` holds anything else.
    """
    cls, out = privatizer(method), Path(os.path.abspath(out))
    settings = cls.suited(archive.shape[0]) | settings
    cls.check(settings)
    if files not in FORMS:
        raise ValueError(f"unknown form {files!r}; choose from {', '.join(FORMS)}")
    rows = archive.rows_of(split)
    needed = [None if path is None else Path(os.path.abspath(path)) for path in (gallery, weights)]
    drawn_from = None
    if needed[0] is not None:
        drawn_from = gallery_of(needed[0])  # whatever is wrong is said before any work
    most = cls.ready(Resources(drawn_from, needed[1]), **settings).most
    if most is not None and len(rows) > most:
        raise NotApplicable(
            f"{method} releases {most:,} images at most in one set, and {len(rows):,} were asked "
            "for: it shows nobody twice; name a smaller split, or weights with a larger bank of "
            "strangers"
        )
    plan = {"method": method, "settings": settings, "split": split, "files": files, "block": block}
    plan |= {"archive": sha256_of(archive.folder / FILE), "needed": [str(one) for one in needed]}
    spent, keep = (workers, scheduler), out / "keep"
    together = _together(method, settings)
    with reserved(out):
        _begin(out, plan)
        if most is not None:
            parts = [rows]  # parts do not know of each other whom they show
        elif together is None:
            parts = _by_chunk(archive, rows)
        else:
            parts = _by_block(archive, rows, together, block, keep, spent)
        work = [
            Work(archive.folder, keep, number, some, method, settings, needed[0], needed[1], files)
            for number, some in enumerate(parts)
        ]
        done = _shown(spread(release_part, work, *spent), len(work), "privatize", progress)
        counts = list(done)
        write_shares(
            out,
            counts,
            files,
            method,
            workers=workers,
            scheduler=scheduler,
            watch=lambda some, total: _shown(some, total, "write", progress),
        )
    return sum(counts)


def _together(method: str, settings: dict[str, Any]) -> int | None:
    """Return K of a method whose groups are formed among the images given, None for others."""
    cls = privatizer(method)
    whole = {one.name: one.default for one in cls.parameters} | settings
    return cls.claims_k(whole) if cls.averages_from(whole) == "given" else None


def _by_chunk(archive: Archive, rows: Int64[np.ndarray, " n"]) -> list[Int64[np.ndarray, " m"]]:
    found = np.split(rows, np.searchsorted(rows, archive.starts[1:-1]))
    return [some for some in found if len(some)]


def _by_block(
    archive: Archive,
    rows: Int64[np.ndarray, " n"],
    k: int,
    block: int,
    keep: Path,
    spent: tuple[int | None, str | None],
) -> list[Int64[np.ndarray, " m"]]:
    """Return the rows of each block; what an earlier run found is taken again: sums of another
    machine may differ in their last digit, and a patient would be in two blocks or in none.
    """
    path = keep / "blocks.npy"
    if not path.exists():
        seen = rows[np.linspace(0, len(rows) - 1, min(len(rows), how_many(_pixels(archive))))
                    .astype(np.int64)]  # fmt: skip
        directions = directions_of(archive.take(seen).images)
        pieces = [(archive.folder, some, directions) for some in _by_chunk(archive, rows)]
        places = np.concatenate(list(spread(places_of, pieces, *spent)))
        people, whose = np.unique(archive.patient[rows], return_inverse=True)
        of_each = np.bincount(whose)
        mean = [np.bincount(whose, along) / of_each for along in places.T.astype(np.float64)]
        sick = np.bincount(whose, archive.diseased[rows]).astype(np.int64)
        counts = np.stack([of_each - sick, sick], axis=1)
        number = np.empty(len(people), np.int64)
        for place, some in enumerate(blocks(np.stack(mean, axis=1), counts, k, block)):
            number[some] = place
        with atomic_write(path, private=True) as temporary:
            np.save(temporary, number[whose])
    where = np.load(path, allow_pickle=False)
    order = np.argsort(where, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(where[order])) + 1)


def _pixels(archive: Archive) -> int:
    return int(np.prod(archive.shape))


def _begin(out: Path, plan: dict[str, Any]) -> None:
    """Make the folders, or go on with what an earlier run of the same plan left."""
    keep = out / "keep"
    if out.exists() and any(out.iterdir()):
        told = keep / "plan.json"
        if (out / "share").exists() or not told.exists():
            raise ValueError(f"{out} holds something already; name a new or an empty folder")
        if json.loads(told.read_text()) != json.loads(json.dumps(plan)):
            raise ValueError(
                f"{out}: a release of other images or settings was begun here; give the same ones "
                "and the run goes on, or name a new folder"
            )
    (keep / "parts").mkdir(parents=True, exist_ok=True)
    keep.chmod(0o700)
    write_json(keep / "plan.json", plan)


def _shown(done: Iterable[T], total: int, what: str, progress: bool | None) -> Iterable[T]:
    hidden = None if progress is None else not progress
    return tqdm(done, total=total, desc=what, unit="part", disable=hidden)
