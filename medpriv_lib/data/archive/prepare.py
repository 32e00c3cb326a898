"""From listed image files to an archive: what `data.prepare` does, chunk by chunk."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from medpriv_lib.core.cluster import spread
from medpriv_lib.core.files import write_json
from medpriv_lib.core.workplace import reserved
from medpriv_lib.data.account import account, errors, refuse_losses, refuse_single
from medpriv_lib.data.archive.alike import alike_in
from medpriv_lib.data.archive.archive import Archive, PerImage
from medpriv_lib.data.archive.cutting import Kept, cut_chunk, look_again, marks_of, settle
from medpriv_lib.data.archive.plan import Plan, usual_chunk
from medpriv_lib.data.archive.recorded import Recorded, read_parts
from medpriv_lib.data.cut_all import sorted_out, the_better, to_look_at_again
from medpriv_lib.data.left_out import LeftOut
from medpriv_lib.data.listing import FIRST_RECIPE, Listing
from medpriv_lib.data.people import refuse_shared, refuse_spellings, shared_prints
from medpriv_lib.data.prepare import check, record_of, refuse_empty, spelled, split_of

T = TypeVar("T")


def prepare_archive(
    listing: Listing,
    folder: str | os.PathLike,
    size: int = 64,
    localize: bool = True,
    split_by: str = "image",
    seed: int = 0,
    *,
    each: int | None = None,
    least_kept: float = 0.9,
    doubles: str = "refuse",
    keep_single: bool = True,
    colour: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    name: str | None = None,
    progress: bool | None = None,
) -> tuple[Archive, dict[str, Any]]:
    """Write an archive of the listed images into `folder`; return it and the report of `prepare`.

    The images are those of `data.prepare.prepare`, byte by byte and in the same order, whatever
    the chunks: `each` files make one (None: 1,000, or fewer of large images). Chunks are worked
    on by `workers` processes (None: one for each core), or by the workers of a Dask `scheduler`,
    as in `core.cluster.spread`. A run that was killed goes on with the same call. Pictures of two
    patients that are nearly one are looked for among up to `alike.MOST` images, for all pairs have
    to be compared; beyond that `alike_pictures` is None. Errors are those of `prepare`, and
    `ValueError` where `folder` holds another archive or anything else.
    """
    each = usual_chunk(size, colour) if each is None else each
    if each < 1:
        raise ValueError(f"each is {each}; a chunk has one image or more")
    check(listing, size, split_by, least_kept, doubles)
    names = spelled(listing)
    if doubles == "refuse":
        refuse_spellings(listing, names)
    strict = split_by == "image" and not keep_single
    if strict:
        refuse_single(listing)
    start = time.perf_counter()
    plan = Plan(Path(os.path.abspath(folder)), listing, size, localize, colour, each)
    spent = (workers, scheduler)
    with reserved(plan.folder):
        plan.begin()
        kept, lost, odd = _cut(plan, spent, progress)
        left_out, rows = [*listing.left_out, *lost], np.array(sorted(kept), dtype=np.int64)
        if len(rows) == 0:
            refuse_empty(listing, left_out, localize)
        refuse_losses(listing, len(rows), left_out, least_kept)
        if strict:
            refuse_single(listing, rows)
        prints = [one for some in _settle(plan, kept, spent, progress) for one in some]
        two, one = shared_prints(prints, listing.patient[rows])
        if doubles == "refuse" and listing.named:
            refuse_shared(listing, [(int(rows[a]), int(rows[b])) for a, b in two])
        archive = _table(plan, rows, split_by, seed, name)
        archive.save()
        marks = marks_of(plan.folders)
        plan.clear()
    told, alike = {later for _, later in two}, alike_in(archive)
    near = None if alike is None else [pair for pair in alike if pair[1] not in told]
    pairs = [
        None
        if found is None
        else [(listing.name_of(int(rows[a])), listing.name_of(int(rows[b]))) for a, b in found]
        for found in (two, one, near)
    ]
    report = account(archive, listing, left_out, rows) | {
        "found_rate": len(rows) / len(listing) if localize else None,
        "size": size,
        "split_by": split_by,
        "seed": seed,
        "spellings": names,
        "shared_pictures": pairs[0],
        "repeated_pictures": pairs[1],
        "alike_pictures": pairs[2],
        "odd_size": [listing.name_of(row) for row in odd],
        "common_marks": [str(mark) for mark in marks.found()],
        "per_image": PerImage(archive),
        "seconds": time.perf_counter() - start,
    }
    if localize and listing.truth is not None:
        eyes = {row: f.eye for row in kept if (f := kept[row].finding) and f.eye is not None}
        report["error_px"] = errors(listing, eyes)
    return archive, report


def _cut(
    plan: Plan, spent: tuple[int | None, str | None], progress: bool | None
) -> tuple[dict[int, Recorded], list[LeftOut], list[int]]:
    """Cut all files out, some of them twice; return what is kept by row, what is lost, and the
    rows of odd size.
    """
    pieces = [plan.piece(chunk) for chunk in range(plan.chunks)]
    for _ in _shown(spread(cut_chunk, pieces, *spent), plan.chunks, "prepare", progress):
        pass
    parts = [part for folder in plan.folders for part in read_parts(folder, "cut")]
    signs, odd = plan.localize and plan.listing.recipe != FIRST_RECIPE, []
    if signs:
        odd = _look_again(plan, parts, spent)
    kept, lost = sorted_out(plan.listing, parts, signs)
    return {row: parts[row] for row in kept}, lost, odd


def _look_again(
    plan: Plan, parts: list[Recorded], spent: tuple[int | None, str | None]
) -> list[int]:
    open_rows = to_look_at_again(parts, plan.listing.patient)
    sizes: dict[int, dict[int, float]] = {}
    for row, radius in open_rows.items():
        chunk, place = divmod(row, plan.each)
        sizes.setdefault(chunk, {})[place] = radius
    for _ in spread(look_again, [plan.piece(*one) for one in sizes.items()], *spent):
        pass
    odd = []
    for chunk, some in sizes.items():
        again = read_parts(plan.folders[chunk], "again")
        for place, part in zip(some, again, strict=True):
            row = chunk * plan.each + place
            parts[row], is_odd_one = the_better(parts[row], part)
            odd += [row] * is_odd_one
    return sorted(odd)


def _settle(
    plan: Plan,
    kept: dict[int, Recorded],
    spent: tuple[int | None, str | None],
    progress: bool | None,
) -> Iterable[list[bytes]]:
    """Put the images that are kept into their chunks, and what was done to them beside."""
    chosen = []
    for chunk, folder in enumerate(plan.folders):
        rows = [row for row in range(*plan.span(chunk)) if row in kept]
        chosen.append(Kept(folder, tuple(kept[row] for row in rows), plan.shape))
        records = [record_of(plan.listing, row, kept[row]) for row in rows]
        write_json(folder / "records.json", {"images": records})
    return _shown(spread(settle, chosen, *spent), plan.chunks, "settle", progress)


def _table(plan: Plan, rows: np.ndarray, split_by: str, seed: int, name: str | None) -> Archive:
    listing = plan.listing
    names, patient = np.unique(listing.patient[rows], return_inverse=True)
    patient, diseased = patient.astype(np.int64), listing.diseased[rows]
    eye = listing.eye[rows].astype("<U1")
    edges = [plan.span(chunk)[0] for chunk in range(plan.chunks)] + [len(listing)]
    return Archive(
        folder=plan.folder,
        name=name or listing.root.name,
        shape=plan.shape,
        starts=np.searchsorted(rows, edges).astype(np.int64),
        patient=patient,
        eye=eye,
        diseased=diseased,
        split=split_of(patient, eye, diseased, split_by, seed),
        patient_names=names,
        visit=None if listing.visit is None else listing.visit[rows],
    )


def _shown(done: Iterable[T], total: int, what: str, progress: bool | None) -> Iterable[T]:
    hidden = None if progress is None else not progress
    return tqdm(done, total=total, desc=what, unit="chunk", disable=hidden)
