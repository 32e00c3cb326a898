"""From listed image files to a cohort: label strip off, iris centred, right eyes mirrored, resized,
split.
"""

import os
from typing import Any

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images
from medpriv_lib.data.alike import alike_pictures
from medpriv_lib.data.choices import LENIENT, USUAL_CUT, USUAL_SPLIT, Care, Cut, Split
from medpriv_lib.data.common_marks import CommonMarks
from medpriv_lib.data.cut_all import cut_all
from medpriv_lib.data.cut_out import CutOut
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.people import shared_pictures
from medpriv_lib.data.preparation import Pairs, Preparation


def prepare(
    listing: Listing,
    cut: Cut = USUAL_CUT,
    split: Split = USUAL_SPLIT,
    care: Care = LENIENT,
    *,
    workers: int | None = None,
    name: str | None = None,
    progress: bool | None = None,
) -> tuple[Cohort, dict]:
    """Read, crop, resize and split the listed images; return the cohort and a report.

    Each image is cut out as `cut` says; with `localize`, images where no eye is found are left out
    and named in the report. Right eyes are mirrored. The result is uint8 (N, size, size), with
    `colour` (N, size, size, 3). Where the listing
    has a truth folder, twins and evidence masks go through the same cut (a pixel is evidence where
    at least half of it is) and the report holds the errors of the located circles in px of the
    source images.

    Nothing is left out quietly: `report["left_out"]` lists every file that did not become an image,
    those of the loader included, for `data.left_out.write_left_out`. `care` says what is refused;
    `TooManyLost`, raised where too few images are left, holds that list, and `DoubledPeople` names
    patients who seem to be one person; accepted ones are in the report (`spellings`,
    `shared_pictures`). Pictures of two patients that
    are one but for brightness, size or a codec's losses are reported only (`alike_pictures`: pixels
    correlate by .995 or more).

    Raises `ValueError` for bad arguments, for an image that cannot be read (naming it) and where no
    eye is found at all.
    """
    _fits(listing, cut)
    task = Preparation(listing, cut, split, care)
    marks = CommonMarks()
    cuts = cut_all(CutOut(listing, cut, marks), workers, progress)
    parts, rows = cuts.kept, task.keep(cuts.kept, cuts.lost)
    images = np.stack([part.image for row in rows if (part := parts[row]).image is not None])
    two, one = shared_pictures(images, listing.patient[rows])
    task.refuse_shared(two)
    keys = () if listing.truth is None else ("evidence", "twin")
    truth: dict[str, Any] = {key: np.stack([parts[row].truth[key] for row in rows]) for key in keys}
    cohort = Cohort(images=images, **task.columns(name), **truth)
    pairs = {
        "shared_pictures": two,
        "repeated_pictures": one,
        "alike_pictures": _alike(images, listing.patient[rows], two),
    }
    per_image = [task.record_of(int(row), parts[int(row)]) for row in rows]
    return cohort, task.report(cohort, pairs, parts, cuts.odd, marks, per_image)


def _alike(images: Images, patient: np.ndarray, equal: Pairs) -> Pairs:
    """Return the pairs of images with nearly one picture that are not among the equal ones."""
    told = {later for _, later in equal}
    return [pair for pair in alike_pictures(images, patient) if pair[1] not in told]


def _fits(listing: Listing, cut: Cut) -> None:
    """Refuse what does not fit into memory."""
    each = int(np.prod(cut.shape)) * (1 if listing.truth is None else 3)
    needed, memory = len(listing) * each, _memory()
    if memory and needed > memory:
        raise ValueError(
            f"{len(listing)} images of {cut.size}x{cut.size} need {needed / 2**30:.1f} GiB and "
            f"this machine has {memory / 2**30:.1f}; prepare an archive (--archive), or use a "
            "smaller size"
        )


def _memory() -> int:
    """Return the bytes of this machine's memory, or 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
