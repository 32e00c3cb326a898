"""From listed image files to a cohort: label strip off, iris centred, right eyes mirrored, resized,
split.
"""

import csv
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from medpriv_lib.core.cohort import SPLITS, Cohort
from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.images import read_grey
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.split import split_groups, split_images

# Side of the crop in iris diameters: the lids, their margins and some sclera stay visible, as in
# the paper's figures.
CROP_DIAMETERS = 1.4


@dataclass(frozen=True)
class Frame:
    """The square of a source image that becomes one cohort image: its corner and side in px, and
    whether to mirror.
    """

    left: int
    top: int
    side: int
    mirror: bool

    def cut(self, image: np.ndarray, size: int, border: int = cv2.BORDER_REFLECT_101) -> np.ndarray:
        """Return the square of `image` as (size, size), area-averaged; outside the image it is
        mirrored.
        """
        height, width = image.shape
        over = max(
            0, -self.top, -self.left, self.top + self.side - height, self.left + self.side - width
        )
        if over:
            image = cv2.copyMakeBorder(image, over, over, over, over, border)
        square = image[
            self.top + over : self.top + over + self.side,
            self.left + over : self.left + over + self.side,
        ]
        # area averaging is only defined for shrinking; OpenCV would fall back to nearest neighbours
        way = cv2.INTER_AREA if self.side >= size else cv2.INTER_LINEAR
        small = cv2.resize(square, (size, size), interpolation=way)
        return np.ascontiguousarray(small[:, ::-1]) if self.mirror else small


def frame_of_eye(eye: Eye, right: bool) -> Frame:
    """Return the square of 1.4 iris diameters around the iris; mirrored for a right eye."""
    side = max(2, round(2 * CROP_DIAMETERS * eye.iris_r))
    return Frame(
        round(eye.iris_x + 0.5 - side / 2), round(eye.iris_y + 0.5 - side / 2), side, right
    )


def frame_of_centre(shape: tuple[int, int], right: bool) -> Frame:
    """Return the largest centred square of an image that is no eye."""
    side = min(shape)
    return Frame((shape[1] - side) // 2, (shape[0] - side) // 2, side, right)


def prepare(
    listing: Listing,
    size: int = 64,
    localize: bool = True,
    split_by: str = "image",
    seed: int = 0,
    *,
    workers: int | None = None,
    name: str | None = None,
    progress: bool | None = None,
) -> tuple[Cohort, dict]:
    """Read, crop, resize and split the listed images; return the cohort and a report.

    With `localize`, the label strip is cut (the last 11 of 480 rows, or more for a taller label),
    the iris is found and becomes the centre of a square of 1.4 iris diameters; images where no eye
    is found are left out and named in the report. Without, the largest centred square is kept, for
    images that are not eyes. Right eyes are mirrored. The result is uint8 (N, size, size).
    `split_by` "image" (as the paper; patients are in all splits), "eye" or "patient"; the same seed
    gives the same split. Where the listing has a truth folder, twins and evidence masks go through
    the same cut (a pixel is evidence where at least half of it is) and the report holds the errors
    of the located circles in px of the source images. Raises `ValueError` for bad arguments, for an
    image that cannot be read (naming it) and where no eye is found at all.
    """
    if size < 8:
        raise ValueError(f"size is {size}; use 8 or more pixels")
    if split_by not in ("image", "eye", "patient"):
        raise ValueError(f"split_by is {split_by!r}; use image, eye or patient")
    if split_by == "eye" and (listing.eye == "").any():
        raise ValueError(
            "split by eye needs the eye of every image; add an `eye` column, or split by image or patient"
        )
    start = time.perf_counter()
    rows = range(len(listing))
    with ThreadPoolExecutor(
        workers or min(8, os.cpu_count() or 1)
    ) as pool:  # OpenCV and Pillow release the GIL
        done = pool.map(lambda row: _prepare_one(listing, row, size, localize), rows)
        hidden = None if progress is None else not progress  # None: quiet where nobody watches
        parts = list(tqdm(done, total=len(listing), desc="prepare", unit="image", disable=hidden))
    kept = np.array([row for row in rows if parts[row] is not None], dtype=np.int64)
    if len(kept) == 0:
        raise ValueError(
            f"{listing.root}: no eye was found in any of the {len(listing)} images; "
            "for images that are not eyes prepare with localize=False (--no-localize)"
        )
    seconds = time.perf_counter() - start
    names, patient = np.unique(listing.patient[kept], return_inverse=True)
    patient, diseased, eye = (
        patient.astype(np.int64),
        listing.diseased[kept],
        listing.eye[kept].astype("<U1"),
    )
    truth = {}
    if listing.truth is not None:
        truth = {key: np.stack([parts[row][key] for row in kept]) for key in ("evidence", "twin")}
    cohort = Cohort(
        images=np.stack([parts[row]["image"] for row in kept]),
        patient=patient,
        eye=eye,
        diseased=diseased,
        split=_split(patient, eye, diseased, split_by, seed),
        patient_names=names,
        name=name or listing.root.name,
        **truth,
    )
    lost = [listing.name_of(row) for row in rows if parts[row] is None]
    report = _report(cohort, listing, lost, localize, split_by, seed) | {"seconds": seconds}
    if localize and listing.truth is not None:
        report["error_px"] = _errors(listing, {row: parts[row]["eye"] for row in kept})
    return cohort, report


def _prepare_one(listing: Listing, row: int, size: int, localize: bool) -> dict | None:
    file = listing.files[row]
    image, right = read_grey(file), listing.eye[row] == "R"
    eye = None
    if localize:
        image = image[: len(image) - strip_rows(image)]
        eye = locate(image)
        if eye is None:
            return None
        frame = frame_of_eye(eye, right)
    else:
        frame = frame_of_centre(image.shape, right)
    part = {"image": frame.cut(image, size), "eye": eye}
    if listing.truth is not None:
        part |= _truth_of(listing, row, frame, len(image), size, part["image"])
    return part


def _truth_of(
    listing: Listing, row: int, frame: Frame, height: int, size: int, image: np.ndarray
) -> dict:
    """Cut twin and mask exactly as the image; a healthy image is its own twin and shows no
    evidence.
    """
    if not listing.diseased[row]:
        return {"twin": image, "evidence": np.zeros((size, size), dtype=bool)}
    stem = listing.truth / listing.files[row].stem
    twin = read_grey(f"{stem}_twin.png")[:height]
    mask = (read_grey(f"{stem}_mask.png")[:height] > 0).astype(np.float32)
    return {
        "twin": frame.cut(twin, size),
        "evidence": frame.cut(mask, size, cv2.BORDER_CONSTANT) >= 0.5,
    }


def _split(
    patient: np.ndarray, eye: np.ndarray, diseased: np.ndarray, split_by: str, seed: int
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if split_by == "image":
        return split_images(patient, diseased, rng)
    return split_groups(
        patient if split_by == "patient" else 2 * patient + (eye == "R"), diseased, rng
    )


def _report(
    cohort: Cohort, listing: Listing, lost: list[str], localize: bool, split_by: str, seed: int
) -> dict:
    alone = cohort.patient_names[np.bincount(cohort.patient, minlength=cohort.patients) == 1]
    sizes = {s: int((cohort.split == s).sum()) for s in SPLITS}
    return {
        "listed": len(listing),
        "kept": len(cohort),
        "found_rate": len(cohort) / len(listing) if localize else None,
        "not_found": lost,
        "patients": cohort.patients,
        "diseased": int(cohort.diseased.sum()),
        "splits": sizes,
        "split_by": split_by,
        "seed": seed,
        "counts": dict(listing.counts),
        "data_hash": cohort.hash(),
        "patients_with_one_image": alone.tolist(),  # they train only; no test image can be theirs
    }


def _errors(listing: Listing, eyes: dict[int, Eye]) -> dict[str, dict[str, float]]:
    """Compare the circles found with `truth/geometry.csv`: centres by distance, radii by absolute
    difference, in px.
    """
    table = listing.truth / "geometry.csv"
    if not table.is_file():
        return {}
    with table.open(newline="") as file:
        geometry = {Path(line["file"]).stem: line for line in csv.DictReader(file)}
    pairs = [
        (eye, geometry[listing.files[row].stem])
        for row, eye in eyes.items()
        if listing.files[row].stem in geometry
    ]
    found = {
        key: np.array([getattr(eye, key) for eye, _ in pairs]) for key in Eye.__dataclass_fields__
    }
    true = {key: np.array([float(line[key]) for _, line in pairs]) for key in found}
    away = {key: found[key] - true[key] for key in found}
    errors = {
        "iris_centre": np.hypot(away["iris_x"], away["iris_y"]),
        "iris_radius": np.abs(away["iris_r"]),
        "pupil_centre": np.hypot(away["pupil_x"], away["pupil_y"]),
        "pupil_radius": np.abs(away["pupil_r"]),
    }
    return {
        key: {
            "median": float(np.median(e)),
            "p95": float(np.quantile(e, 0.95)),
            "max": float(e.max()),
            "n": len(e),
        }
        for key, e in errors.items()
        if len(e)
    }
