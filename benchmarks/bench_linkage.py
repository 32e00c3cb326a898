"""Linkage scoring of all pairs beside a plain loop over pairs and beside scikit-learn's area under
the curve.

Ours and the peers take turns on the same embeddings; the figures are medians in seconds, the ratio
is peer / ours.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
from sklearn.metrics import roc_auc_score

from medpriv_lib.attacks.verification import finding, pairs, places
from medpriv_lib.core.cohort import Cohort

REPEATS = 3


def scene(
    images: int, patients: int, released: int
) -> tuple[Cohort, np.ndarray, np.ndarray, np.ndarray]:
    """Return a cohort, the sources of the released images, and unit vectors of releases and
    originals.
    """
    rng = np.random.default_rng(0)
    patient = np.arange(images) % patients
    eye = np.where(rng.random(images) < 0.5, "L", "R")
    cohort = Cohort(
        np.zeros((images, 16, 16), np.uint8),
        patient,
        eye,
        patient % 4 == 0,
        np.full(images, "test"),
        np.arange(patients).astype(str),
    )
    source = rng.permutation(images)[:released]
    centre = rng.normal(size=(patients, 64))
    points = centre[patient] + rng.normal(size=(images, 64))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return cohort, source, points[source], points


def ours(cohort: Cohort, source: np.ndarray, shown: np.ndarray, points: np.ndarray) -> float:
    rows = np.arange(len(cohort))
    which = pairs(cohort, source, rows)
    found = places(shown @ points.T, which, cohort.patient[source])
    return finding("linkage", "-.", [found], [np.arange(len(source))], cohort, source).measures[
        "linkage_auc"
    ]


def plain_loop(cohort: Cohort, source: np.ndarray, shown: np.ndarray, points: np.ndarray) -> float:
    """Score pair by pair and hand the lists of each side and label to scikit-learn: no interval, no
    threshold.
    """
    lists: dict = {}
    for i, a in enumerate(source.tolist()):
        for b in range(len(cohort)):
            if a == b or cohort.eye[a] != cohort.eye[b] or cohort.diseased[a] != cohort.diseased[b]:
                continue
            truth, scores = lists.setdefault((cohort.eye[a], cohort.diseased[a]), ([], []))
            truth.append(cohort.patient[a] == cohort.patient[b])
            scores.append(float(shown[i] @ points[b]))
    areas = [
        (roc_auc_score(truth, scores), sum(truth)) for truth, scores in lists.values() if any(truth)
    ]
    return sum(area * count for area, count in areas) / sum(count for _, count in areas)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    rows = []
    for images, patients, released in ((450, 30, 90), (1795, 115, 359)):
        given = scene(images, patients, released)
        difference = abs(ours(*given) - plain_loop(*given))
        if difference > 1e-9:
            raise ValueError(
                f"the two areas differ by {difference}: the benchmark would compare different "
                "things"
            )
        times = [
            (seconds(partial(ours, *given)), seconds(partial(plain_loop, *given)))
            for _ in range(REPEATS)
        ]
        mine, peer = (median(column) for column in zip(*times, strict=True))
        rows.append(
            {
                "name": f"Linkage of {released} released images to {images} originals with "
                "1,000 bootstrap draws; peer: plain loop and scikit-learn, no interval",
                "ours": mine,
                "peer": peer,
                "ratio": peer / mine,
                "unit": "s",
            }
        )
    return rows


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']}: {row['ours']:.3f} s, peer {row['peer']:.3f} s, ratio "
            f"{row['ratio']:.1f}"
        )
