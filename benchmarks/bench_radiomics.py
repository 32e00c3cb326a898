"""Radiomics beside fastrad, in images per second, on the regions of the eyes that ship.

The same families on both sides: first order, shape, GLCM, GLSZM and NGTDM with bins of 8 grey
levels. fastrad's run lengths and its further families are left out, since they have no like here;
ours with run lengths stand in a row of their own. fastrad takes one image at a time, so that is how
the two are compared, in turns; the figures are medians over images. Where fastrad is not installed
the peer's column stays empty. The pairs of the GLCM are also counted by a plain loop over pixels.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median

import numpy as np
import torch

from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.measures.radiomics.directions import DIRECTIONS
from medpriv_lib.measures.radiomics.discretise import Levels, fixed_bin_number
from medpriv_lib.measures.radiomics.extract import radiomics
from medpriv_lib.measures.radiomics.glcm import pairs
from medpriv_lib.measures.radiomics.region import eye_regions

SHARED = ("first order", "shape", "glcm", "glszm", "ngtdm")
ONE_BY_ONE = 24
BINS, LOOPED = 32, 8


def ours(images: np.ndarray, masks: np.ndarray) -> None:
    radiomics(images, masks, (1.0, 1.0), families=SHARED, width=8.0)


def with_fastrad() -> Callable[[np.ndarray, np.ndarray], None] | None:
    if find_spec("fastrad") is None or find_spec("pydicom") is None:
        return None
    from fastrad import FeatureExtractor, FeatureSettings, Mask, MedicalImage

    classes = ["firstorder", "shape2d", "glcm", "glszm", "ngtdm"]
    extractor = FeatureExtractor(
        FeatureSettings(classes, bin_width=8.0, device="cpu", force2D=True)
    )

    def work(images: np.ndarray, masks: np.ndarray) -> None:
        for image, mask in zip(images, masks, strict=True):
            parts = (torch.from_numpy(part[None].astype(np.float32)) for part in (image, mask))
            extractor.extract(MedicalImage(next(parts)), Mask(next(parts)))

    return work


def looped(grey: np.ndarray, direction: tuple[int, int], bins: int) -> np.ndarray:
    """Count the pairs of neighbouring levels, one pixel at a time."""
    found = np.zeros((len(grey), bins, bins))
    for row, y, x in np.ndindex(*grey.shape):
        there = y + direction[0], x + direction[1]
        if grey[row, y, x] and 0 <= there[0] < grey.shape[1] and 0 <= there[1] < grey.shape[2]:
            i, j = grey[row, y, x], grey[row, *there]
            if j:
                found[row, i - 1, j - 1] += 1
                found[row, j - 1, i - 1] += 1
    return found


def beside_a_loop(images: np.ndarray, masks: np.ndarray) -> tuple[float, float]:
    """Return images per second of counting pairs in four directions, ours and the loop's."""
    levels = fixed_bin_number(images, masks, bins=BINS)
    few = Levels(levels.grey[:LOOPED], levels.count[:LOOPED])
    same = (pairs(few, DIRECTIONS[0]) == looped(few.grey, DIRECTIONS[0], BINS)).all()
    if not same:
        raise RuntimeError("the loop counts other pairs; look at the library")
    ours_ = seconds(lambda: [pairs(levels, one) for one in DIRECTIONS])
    theirs = seconds(lambda: [looped(few.grey, one, BINS) for one in DIRECTIONS])
    return len(images) / ours_, LOOPED / theirs


def seconds(work: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    images = default_cohort().images
    masks, peer = eye_regions(images).iris, with_fastrad()
    one: list[float] = []
    other: list[float] = []
    for row in range(ONE_BY_ONE + 1):
        part = images[[row]], masks[[row]]
        times = seconds(ours, *part), seconds(peer, *part) if peer else float("nan")
        if row:  # the first image warms up
            one.append(1 / times[0])
            other.append(1 / times[1])
    each, all_at_once = median(one), len(images) / seconds(ours, images, masks)
    theirs = median(other) if peer else None
    whole = len(images) / seconds(radiomics, images, masks, (1.0, 1.0))
    found = len(images) / seconds(eye_regions, images)
    rows = [
        ("radiomics, one image at a time, beside fastrad", each, theirs),
        (f"radiomics, {len(images)} images at once, beside fastrad", all_at_once, theirs),
        ("pairs of the GLCM, beside a plain loop", *beside_a_loop(images, masks)),
        ("radiomics, all six families, 32 bins", whole, None),
        ("radiomics, iris and pupil of prepared eyes", found, None),
    ]
    return [
        {
            "name": name,
            "ours": mine,
            "peer": theirs,
            "ratio": mine / theirs if theirs else None,
            "unit": "images/s",
        }
        for name, mine, theirs in rows
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
