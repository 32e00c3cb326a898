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

from medpriv_lib.data.eyes.examine import examine
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.images import read_grey
from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.synthetic.cohort import write_synthetic
from medpriv_lib.data.warsaw import read_warsaw

ROUNDS = 5


def plain_circle(image: np.ndarray) -> tuple[int, int, int] | None:
    """Return the first Hough circle (x, y, r) in px, as the short scripts on the web do."""
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
        return None
    x, y, r = (round(float(v)) for v in circles[0, 0])
    return x, y, r


def plain_loop(files: Sequence[Path]) -> int:
    """Crop around the first Hough circle of each file; return how many had one."""
    found = 0
    for file in files:
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        circle = None if image is None else plain_circle(image)
        if image is None or circle is None:
            continue
        x, y, r = circle
        half = round(1.4 * r)
        square = image[max(0, y - half) : y + half, max(0, x - half) : x + half]
        cv2.resize(square, (64, 64), interpolation=cv2.INTER_AREA)
        found += 1
    return found


def localising(files: Sequence[Path]) -> dict:
    """Return the row of localising alone, in CPU milliseconds for an image of 640x480."""
    ours: list[float] = []
    peer: list[float] = []
    for file in files:
        image = read_grey(file)
        image = image[: len(image) - strip_rows(image)]
        for times, work in ((ours, examine), (peer, plain_circle)):
            least = []
            for _ in range(ROUNDS):
                start = time.process_time()
                work(image)
                least.append(1000 * (time.process_time() - start))
            times.append(min(least))
    return {
        "name": "localising an image of 640x480, CPU",
        "ours": float(np.mean(ours)),
        "peer": float(np.mean(peer)),
        "ratio": float(np.mean(peer) / np.mean(ours)),
        "unit": "ms",
        "note": f"means over {len(files)} rendered eyes of the least of {ROUNDS}; the peer is "
        "OpenCV's median and Hough circles",
    }


def run(patients: int = 8, images: int = 80) -> list[dict]:
    """Return two rows: images per second of ours and of the plain loop (medians over rounds) with
    the ratio, and localising alone.
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
        alone = localising(listing.files)
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
        },
        alone,
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']}: ours {row['ours']:.1f}, plain OpenCV {row['peer']:.1f} "
            f"{row['unit']}, ratio {row['ratio']:.2f} ({row['note']})"
        )
