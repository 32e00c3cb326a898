"""Preparation beside a plain OpenCV loop (imread, HoughCircles, resize), alternating in one run.

The plain loop is faster work, not the same work: it finds fewer irises and puts them elsewhere.
Both figures are printed.
"""

import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.synthetic.cohort import write_synthetic
from medpriv_lib.data.warsaw import read_warsaw

ROUNDS = 5


def plain_loop(files: Sequence[Path]) -> int:
    """Crop around the first Hough circle of each file, as the short scripts on the web do; return
    how many had one.
    """
    found = 0
    for file in files:
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if image is None:
            continue
        circles = cv2.HoughCircles(
            cv2.medianBlur(image, 5),
            cv2.HOUGH_GRADIENT,
            1,
            480,
            param1=100,
            param2=40,
            minRadius=70,
            maxRadius=180,
        )
        if circles is None:
            continue
        x, y, r = (round(float(v)) for v in circles[0, 0])
        half = round(1.4 * r)
        square = image[max(0, y - half) : y + half, max(0, x - half) : x + half]
        cv2.resize(square, (64, 64), interpolation=cv2.INTER_AREA)
        found += 1
    return found


def run(patients: int = 8, images: int = 80) -> list[dict]:
    """Return one row: images per second of ours and of the plain loop (medians over rounds), and
    the ratio.
    """
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        listing = read_warsaw(write_synthetic(folder + "/set", patients, images, seed=9))
        ours, peer = [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            _, report = prepare(listing, progress=False)
            middle = time.perf_counter()
            found = plain_loop(listing.files)
            ours.append(images / (middle - start))
            peer.append(images / (time.perf_counter() - middle))
    error = report["error_px"]["iris_centre"]
    note = (
        f"found {report['found_rate']:.3f}, centre error {error['median']:.2f} px median, "
        f"{error['p95']:.2f} px p95; the plain loop found a circle in {found / images:.3f}"
    )
    return [
        {
            "name": "preparation",
            "ours": float(np.median(ours)),
            "peer": float(np.median(peer)),
            "ratio": float(np.median(np.array(ours) / np.array(peer))),
            "unit": "images/s",
            "note": note,
        }
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']}: ours {row['ours']:.1f}, plain OpenCV loop {row['peer']:.1f} "
            f"{row['unit']}, ratio {row['ratio']:.2f} ({row['note']})"
        )
