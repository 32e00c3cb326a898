"""From listed image files to a cohort: label strip off, iris centred, right eyes mirrored, resized,
split.
"""

import os
import time
from typing import NoReturn

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images
from medpriv_lib.core.printable import printable
from medpriv_lib.data.account import account, errors, refuse_losses, refuse_single
from medpriv_lib.data.alike import alike_pictures
from medpriv_lib.data.common_marks import CommonMarks
from medpriv_lib.data.cut_all import cut_all
from medpriv_lib.data.cut_out import CutOut, Part
from medpriv_lib.data.frame import Frame, frame_of_centre, frame_of_eye
from medpriv_lib.data.left_out import LeftOut, TooManyLost
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.people import refuse_shared, refuse_spellings, shared_pictures, spellings
from medpriv_lib.data.split import split_groups, split_images

__all__ = ["Frame", "frame_of_centre", "frame_of_eye", "prepare"]

SIZES = (8, 4096)  # of a prepared image, px


def prepare(
    listing: Listing,
    size: int = 64,
    localize: bool = True,
    split_by: str = "image",
    seed: int = 0,
    *,
    least_kept: float = 0.9,
    doubles: str = "refuse",
    keep_single: bool = True,
    colour: bool = False,
    workers: int | None = None,
    name: str | None = None,
    progress: bool | None = None,
) -> tuple[Cohort, dict]:
    """Read, crop, resize and split the listed images; return the cohort and a report.

    With `localize`, the label strip is cut (the last 11 of 480 rows, or more for a taller label),
    the iris is found and becomes the centre of a square of 1.4 iris diameters; images where no eye
    is found are left out and named in the report. Without, the largest centred square is kept, for
    images that are not eyes. Right eyes are mirrored. The result is uint8 (N, size, size), with
    `colour` (N, size, size, 3), `size` from 8 to 4096. `split_by` "image" (as the paper; patients
    are in all splits), "eye" or "patient"; the same seed gives the same split. Where the listing
    has a truth folder, twins and evidence masks go through the same cut (a pixel is evidence where
    at least half of it is) and the report holds the errors of the located circles in px of the
    source images.

    Nothing is left out quietly: `report["left_out"]` lists every file that did not become an image,
    those of the loader included, for `data.left_out.write_left_out`. Where fewer than `least_kept`
    (a share, 0 to 1) of what should be images are left, `TooManyLost` is raised and holds that
    list. `doubles` says what happens where two patients seem to be one person, by two spellings of
    a name or by one picture under both: "refuse" raises `DoubledPeople`, "report" counts them as
    two and says so in the report (`spellings`, `shared_pictures`). Pictures of two patients that
    are one but for brightness, size or a codec's losses are reported only (`alike_pictures`: pixels
    correlate by .995 or more). `keep_single` False refuses a split by image
    with a patient who has one image, whether listed so or left so by losses.

    Raises `ValueError` for bad arguments, for an image that cannot be read (naming it) and where no
    eye is found at all.
    """
    check(listing, size, split_by, least_kept, doubles)
    _fits(listing, size, colour)
    names = spelled(listing)
    if doubles == "refuse":
        refuse_spellings(listing, names)
    strict = split_by == "image" and not keep_single
    if strict:
        refuse_single(listing)
    start = time.perf_counter()
    marks = CommonMarks()
    cuts = cut_all(CutOut(listing, size, localize, marks, colour), workers, progress)
    parts, kept = cuts.kept, np.array(sorted(cuts.kept), dtype=np.int64)
    if len(kept) == 0:
        refuse_empty(listing, [*listing.left_out, *cuts.lost], localize)
    left_out = [*listing.left_out, *cuts.lost]
    refuse_losses(listing, len(kept), left_out, least_kept)
    if strict:
        refuse_single(listing, kept)
    images = np.stack([part.image for row in kept if (part := parts[row]).image is not None])
    two, one = shared_pictures(images, listing.patient[kept])
    if doubles == "refuse" and listing.named:
        refuse_shared(listing, [(int(kept[a]), int(kept[b])) for a, b in two])
    cohort = _cohort(listing, images, parts, kept, split_by, seed, name)
    eyes = {row: f.eye for row in parts if (f := parts[row].finding) and f.eye is not None}
    report = account(cohort, listing, left_out, kept) | {
        "found_rate": len(kept) / len(listing) if localize else None,
        "size": size,
        "split_by": split_by,
        "seed": seed,
        "spellings": names,
        "shared_pictures": [_names(listing, kept, pair) for pair in two],
        "repeated_pictures": [_names(listing, kept, pair) for pair in one],
        "alike_pictures": _alike(listing, kept, images, two),
        "odd_size": [listing.name_of(row) for row in cuts.odd],
        "common_marks": [str(mark) for mark in marks.found()],
        "per_image": [record_of(listing, int(row), parts[int(row)]) for row in kept],
        "seconds": time.perf_counter() - start,
    }
    if localize and listing.truth is not None:
        report["error_px"] = errors(listing, eyes)
    return cohort, report


def record_of(listing: Listing, row: int, part: Part) -> dict:
    """Return what was done to one image, for the report."""
    finding = part.finding
    eye = None if finding is None else finding.eye
    return {
        "file": listing.name_of(row),
        "rows_cut": part.rows,
        "pixels_filled": part.filled,
        "side": part.side,
        "shape": part.shape[:2],
        "grey_levels": part.levels,
        "share_filled": part.filled / max(1, part.side**2),
        "score": None if finding is None else finding.score,
        "iris_r": None if eye is None else eye.iris_r,
        "missing_signs": [] if finding is None else list(finding.missing),
        "levels": part.note,
    }


def _names(listing: Listing, kept: np.ndarray, pair: tuple[int, int]) -> tuple[str, str]:
    return listing.name_of(int(kept[pair[0]])), listing.name_of(int(kept[pair[1]]))


def spelled(listing: Listing) -> list[tuple[str, ...]]:
    """Return the patients' names that may be one person's, where the listing has names."""
    if listing.alike is not None:
        return list(listing.alike)
    return spellings(listing.patient) if listing.named else []


def refuse_empty(listing: Listing, left_out: list[LeftOut], localize: bool) -> NoReturn:
    """Raise where no image is left, with the reason of the first."""
    root, first = printable(listing.root), next(item for item in left_out if item.lost)
    if localize and not listing.strict:
        raise ValueError(
            f"{root}: no eye was found in any of the {len(listing)} images; for images that are "
            "not eyes prepare with localize=False (--no-localize)"
        )
    raise TooManyLost(
        f"{root}: none of the {len(listing)} images is left (the first: {printable(first.file)}, "
        f"{first.reason})",
        left_out,
    )


def _alike(
    listing: Listing, kept: np.ndarray, images: Images, equal: list[tuple[int, int]]
) -> list[tuple[str, str]]:
    """Return the pairs of files with nearly one picture that are not among the equal ones."""
    told = {later for _, later in equal}
    pairs = alike_pictures(images, listing.patient[kept])
    return [_names(listing, kept, pair) for pair in pairs if pair[1] not in told]


def check(listing: Listing, size: int, split_by: str, least_kept: float, doubles: str) -> None:
    """Refuse what cannot be done before any image is read."""
    if size < SIZES[0]:
        raise ValueError(f"size is {size}; use 8 or more pixels")
    if size > SIZES[1]:
        raise ValueError(f"size is {size}; use {SIZES[1]} or fewer pixels")
    if split_by not in ("image", "eye", "patient"):
        raise ValueError(f"split_by is {split_by!r}; use image, eye or patient")
    if split_by == "eye" and (listing.eye == "").any():
        raise ValueError(
            "split by eye needs the eye of every image; add an `eye` column, or split by image or "
            "patient"
        )
    if not 0 <= least_kept <= 1:
        raise ValueError(f"least_kept is {least_kept}; use a share from 0 to 1")
    if doubles not in ("refuse", "report"):
        raise ValueError(f"doubles is {doubles!r}; use refuse or report")


def _fits(listing: Listing, size: int, colour: bool) -> None:
    """Refuse what does not fit into memory."""
    each = size**2 * (3 if colour else 1) * (1 if listing.truth is None else 3)
    needed, memory = len(listing) * each, _memory()
    if memory and needed > memory:
        raise ValueError(
            f"{len(listing)} images of {size}x{size} need {needed / 2**30:.1f} GiB and this "
            "machine "
            f"has {memory / 2**30:.1f}; prepare an archive (--archive), or use a smaller size"
        )


def _memory() -> int:
    """Return the bytes of this machine's memory, or 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def _cohort(
    listing: Listing,
    images: Images,
    parts: dict[int, Part],
    kept: np.ndarray,
    split_by: str,
    seed: int,
    name: str | None,
) -> Cohort:
    names, patient = np.unique(listing.patient[kept], return_inverse=True)
    patient, diseased = patient.astype(np.int64), listing.diseased[kept]
    eye = listing.eye[kept].astype("<U1")
    keys = () if listing.truth is None else ("evidence", "twin")
    return Cohort(
        images=images,
        patient=patient,
        eye=eye,
        diseased=diseased,
        split=split_of(patient, eye, diseased, split_by, seed),
        patient_names=names,
        name=name or listing.root.name,
        visit=None if listing.visit is None else listing.visit[kept],
        **{key: np.stack([parts[row].truth[key] for row in kept]) for key in keys},
    )


def split_of(
    patient: np.ndarray, eye: np.ndarray, diseased: np.ndarray, split_by: str, seed: int
) -> np.ndarray:
    """Return "train", "val" or "test" of each image (N,), by image, patient or eye."""
    rng = np.random.default_rng(seed)
    if split_by == "image":
        return split_images(patient, diseased, rng)
    return split_groups(
        patient if split_by == "patient" else 2 * patient + (eye == "R"), diseased, rng
    )
