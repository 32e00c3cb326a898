"""From listed image files to an archive: what `data.prepare` does, chunk by chunk."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from medpriv_lib.core.cluster import spread
from medpriv_lib.core.files import write_json
from medpriv_lib.core.workplace import reserved
from medpriv_lib.data.archive.alike import alike_in
from medpriv_lib.data.archive.archive import Archive, PerImage
from medpriv_lib.data.archive.cutting import Kept, cut_chunk, look_again, marks_of, settle
from medpriv_lib.data.archive.plan import Plan, usual_chunk
from medpriv_lib.data.archive.recorded import Recorded, read_parts
from medpriv_lib.data.choices import LENIENT, USUAL_CUT, USUAL_SPLIT, Care, Cut, Split
from medpriv_lib.data.cut_all import sorted_out, the_better, to_look_at_again
from medpriv_lib.data.left_out import LeftOut
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.people import shared_prints
from medpriv_lib.data.preparation import Preparation

T = TypeVar("T")


def prepare_archive(
    listing: Listing,
    folder: str | os.PathLike,
    cut: Cut = USUAL_CUT,
    split: Split = USUAL_SPLIT,
    care: Care = LENIENT,
    *,
    each: int | None = None,
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
    each = usual_chunk(cut) if each is None else each
    if each < 1:
        raise ValueError(f"each is {each}; a chunk has one image or more")
    task = Preparation(listing, cut, split, care)
    plan = Plan(Path(os.path.abspath(folder)), listing, cut, each)
    spent = (workers, scheduler)
    with reserved(plan.folder):
        plan.begin()
        kept, lost, odd = _cut(plan, spent, progress)
        rows = task.keep(kept, lost)
        prints = [one for some in _settle(task, plan, kept, spent, progress) for one in some]
        two, one = shared_prints(prints, listing.patient[rows])
        task.refuse_shared(two)
        edges = [plan.span(chunk)[0] for chunk in range(plan.chunks)] + [len(listing)]
        starts = np.searchsorted(rows, edges).astype(np.int64)
        archive = Archive(folder=plan.folder, shape=cut.shape, starts=starts, **task.columns(name))
        archive.save()
        marks = marks_of(plan.folders)
        plan.clear()
    told, alike = {later for _, later in two}, alike_in(archive)
    near = None if alike is None else [pair for pair in alike if pair[1] not in told]
    pairs = {"shared_pictures": two, "repeated_pictures": one, "alike_pictures": near}
    return archive, task.report(archive, pairs, kept, odd, marks, PerImage(archive))


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
    odd = _look_again(plan, parts, spent) if plan.cut.localize else []
    kept, lost = sorted_out(plan.listing, parts)
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
    task: Preparation,
    plan: Plan,
    kept: dict[int, Recorded],
    spent: tuple[int | None, str | None],
    progress: bool | None,
) -> Iterable[list[bytes]]:
    """Put the images that are kept into their chunks, and what was done to them beside."""
    chosen = []
    for chunk, folder in enumerate(plan.folders):
        rows = [row for row in range(*plan.span(chunk)) if row in kept]
        chosen.append(Kept(folder, tuple(kept[row] for row in rows), plan.cut.shape))
        records = [task.record_of(row, kept[row]) for row in rows]
        write_json(folder / "records.json", {"images": records})
    return _shown(spread(settle, chosen, *spent), plan.chunks, "settle", progress)


def _shown(done: Iterable[T], total: int, what: str, progress: bool | None) -> Iterable[T]:
    hidden = None if progress is None else not progress
    return tqdm(done, total=total, desc=what, unit="chunk", disable=hidden)
