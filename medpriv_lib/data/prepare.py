"""From listed image files to a cohort: label strip off, iris centred, right eyes mirrored, resized,
split.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images
from medpriv_lib.core.printable import printable
from medpriv_lib.data.account import account, errors, refuse_losses, refuse_single
from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.eyes.localize import SMALLEST, locate
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.frame import Frame, frame_of_centre, frame_of_eye
from medpriv_lib.data.images import BadImage, read_grey, read_noted
from medpriv_lib.data.left_out import LeftOut
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.people import refuse_shared, refuse_spellings, shared_pictures, spellings
from medpriv_lib.data.split import split_groups, split_images

__all__ = ["Frame", "frame_of_centre", "frame_of_eye", "prepare"]

SIZES = (8, 4096)  # of a prepared image, px
NO_EYE = "no eye was found; look at it, or cut the eye out and prepare without localising"


@dataclass
class _Part:
    """One image on its way into the cohort."""

    image: np.ndarray
    eye: Eye | None
    note: str
    truth: dict[str, np.ndarray] = field(default_factory=dict)


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
    workers: int | None = None,
    name: str | None = None,
    progress: bool | None = None,
) -> tuple[Cohort, dict]:
    """Read, crop, resize and split the listed images; return the cohort and a report.

    With `localize`, the label strip is cut (the last 11 of 480 rows, or more for a taller label),
    the iris is found and becomes the centre of a square of 1.4 iris diameters; images where no eye
    is found are left out and named in the report. Without, the largest centred square is kept, for
    images that are not eyes. Right eyes are mirrored. The result is uint8 (N, size, size), `size`
    from 8 to 4096. `split_by` "image" (as the paper; patients are in all splits), "eye" or
    "patient"; the same seed gives the same split. Where the listing has a truth folder, twins and
    evidence masks go through the same cut (a pixel is evidence where at least half of it is) and
    the report holds the errors of the located circles in px of the source images.

    Nothing is left out quietly: `report["left_out"]` lists every file that did not become an image,
    those of the loader included, for `data.left_out.write_left_out`. Where fewer than `least_kept`
    (a share, 0 to 1) of what should be images are left, `TooManyLost` is raised and holds that
    list. `doubles` says what happens where two patients seem to be one person, by two spellings of
    a name or by one picture under both: "refuse" raises `DoubledPeople`, "report" counts them as
    two and says so in the report (`spellings`, `shared_pictures`). `keep_single` False refuses a
    split by image with a patient who has one image, whether listed so or left so by losses.

    Raises `ValueError` for bad arguments, for an image that cannot be read (naming it) and where no
    eye is found at all.
    """
    _check(listing, size, split_by, least_kept, doubles)
    names = spellings(listing.patient) if listing.named else []
    if doubles == "refuse":
        refuse_spellings(listing, names)
    strict = split_by == "image" and not keep_single
    if strict:
        refuse_single(listing)
    start = time.perf_counter()
    parts = _parts(listing, size, localize, workers, progress)
    kept = np.array(sorted(parts), dtype=np.int64)
    if len(kept) == 0:
        raise ValueError(
            f"{printable(listing.root)}: no eye was found in any of the {len(listing)} images; "
            "for images that are not eyes prepare with localize=False (--no-localize)"
        )
    lost = [
        LeftOut(listing.name_of(row), str(listing.patient[row]), NO_EYE)
        for row in range(len(listing))
        if row not in parts
    ]
    left_out = [*listing.left_out, *lost]
    refuse_losses(listing, len(kept), left_out, least_kept)
    if strict:
        refuse_single(listing, kept)
    images = np.stack([parts[row].image for row in kept])
    two, one = shared_pictures(images, listing.patient[kept])
    if doubles == "refuse" and listing.named:
        refuse_shared(listing, [(int(kept[a]), int(kept[b])) for a, b in two])
    cohort = _cohort(listing, images, parts, kept, split_by, seed, name)
    eyes = {row: part.eye for row, part in parts.items() if part.eye is not None}
    report = account(cohort, listing, left_out, kept) | {
        "found_rate": len(kept) / len(listing) if localize else None,
        "split_by": split_by,
        "seed": seed,
        "spellings": names,
        "shared_pictures": [_names(listing, kept, pair) for pair in two],
        "repeated_pictures": [_names(listing, kept, pair) for pair in one],
        "stretched": {listing.name_of(row): part.note for row, part in parts.items() if part.note},
        "seconds": time.perf_counter() - start,
    }
    if localize and listing.truth is not None:
        report["error_px"] = errors(listing, eyes)
    return cohort, report


def _names(listing: Listing, kept: np.ndarray, pair: tuple[int, int]) -> tuple[str, str]:
    return listing.name_of(int(kept[pair[0]])), listing.name_of(int(kept[pair[1]]))


def _check(listing: Listing, size: int, split_by: str, least_kept: float, doubles: str) -> None:
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
    needed, memory = len(listing) * size**2 * (1 if listing.truth is None else 3), _memory()
    if memory and needed > memory:
        raise ValueError(
            f"{len(listing)} images of {size}x{size} need {needed / 2**30:.1f} GiB and this "
            "machine "
            f"has {memory / 2**30:.1f}; use a smaller size, or fewer images"
        )


def _memory() -> int:
    """Return the bytes of this machine's memory, or 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def _parts(
    listing: Listing, size: int, localize: bool, workers: int | None, progress: bool | None
) -> dict[int, _Part]:
    """Return what becomes of each row; rows without an eye are missing."""
    rows = range(len(listing))
    with ThreadPoolExecutor(
        workers or min(8, os.cpu_count() or 1)
    ) as pool:  # OpenCV and Pillow release the GIL
        done = pool.map(lambda row: _prepare_one(listing, row, size, localize), rows)
        hidden = None if progress is None else not progress  # None: quiet where nobody watches
        bar = tqdm(done, total=len(listing), desc="prepare", unit="image", disable=hidden)
        return {row: part for row, part in zip(rows, bar, strict=True) if part is not None}


def _prepare_one(listing: Listing, row: int, size: int, localize: bool) -> _Part | None:
    with _naming(listing.files[row]):
        image, note = read_noted(listing.files[row])
        right, eye = bool(listing.eye[row] == "R"), None
        if localize:
            if min(image.shape) < SMALLEST:
                raise ValueError(
                    f"{image.shape[1]}x{image.shape[0]} pixels, and an eye is looked for from "
                    f"{SMALLEST}x{SMALLEST} on; use a larger image, or prepare without localising"
                )
            image = image[: len(image) - strip_rows(image)]
            eye = locate(image)
            if eye is None:
                return None
            frame = frame_of_eye(eye, right)
        else:
            frame = frame_of_centre(image.shape, right)
        part = _Part(frame.cut(image, size), eye, note)
        if listing.truth is not None:
            part.truth = _truth_of(listing, row, frame, len(image), size, part.image)
        return part


@contextlib.contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Put the file's name before what goes wrong with it."""
    try:
        yield
    except BadImage:
        raise
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise
        raise BadImage(
            f"{printable(file, 1000)}: working on it needs more memory than there is; scale it "
            "down "
            "first, or use a smaller size"
        ) from error
    except ValueError as error:
        raise BadImage(f"{printable(file, 1000)}: {error}") from error


def _truth_of(
    listing: Listing, row: int, frame: Frame, height: int, size: int, image: np.ndarray
) -> dict[str, np.ndarray]:
    """Cut twin and mask exactly as the image; a healthy image is its own twin and shows no
    evidence.
    """
    if listing.truth is None or not listing.diseased[row]:
        return {"twin": image, "evidence": np.zeros((size, size), dtype=bool)}
    stem = listing.truth / listing.files[row].stem
    twin = read_grey(f"{stem}_twin.png")[:height]
    mask = (read_grey(f"{stem}_mask.png")[:height] > 0).astype(np.float32)
    return {
        "twin": frame.cut(twin, size),
        "evidence": frame.cut(mask, size, cv2.BORDER_CONSTANT) >= 0.5,
    }


def _cohort(
    listing: Listing,
    images: Images,
    parts: dict[int, _Part],
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
        split=_split(patient, eye, diseased, split_by, seed),
        patient_names=names,
        name=name or listing.root.name,
        **{key: np.stack([parts[row].truth[key] for row in kept]) for key in keys},
    )


def _split(
    patient: np.ndarray, eye: np.ndarray, diseased: np.ndarray, split_by: str, seed: int
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if split_by == "image":
        return split_images(patient, diseased, rng)
    return split_groups(
        patient if split_by == "patient" else 2 * patient + (eye == "R"), diseased, rng
    )
