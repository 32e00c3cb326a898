"""K-Same and K-Same-Select beside anonypyx's K-Same, and their memory on 20,000 images.

Ours and the peer take turns; the figures are medians of three (of two on 1,795 images, where the
peer takes longest) in seconds, the ratio is peer / ours. anonypyx knows one image per person and no
labels: the peer's figure is always its K-Same on n images of n persons, also beside our
K-Same-Select on n images of 115 patients. Of its variants "pixel" is timed: both form the same
groups, in a space of principal components that they fit first; "eigen" only adds the way back from
it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.privatizers.k_same import KSame, KSameSelect

REPEATS = {995: 3, 1795: 2}


def cohort_of(n: int, patients: int, size: int = 64) -> Cohort:
    """Return `n` images of faces that are a patient's own plus noise; one patient in four is
    diseased.
    """
    rng = np.random.default_rng(0)
    patient = np.arange(n) % patients
    faces = rng.integers(64, 192, (patients, size, size), dtype=np.uint8)
    images = np.empty((n, size, size), dtype=np.uint8)
    for row in range(n):
        images[row] = faces[patient[row]] + rng.integers(0, 32, (size, size), dtype=np.uint8)
    return Cohort(
        images=images,
        patient=patient,
        eye=np.full(n, ""),
        diseased=patient % 4 == 0,
        split=np.full(n, "train"),
        patient_names=np.arange(patients).astype(str),
    )


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def beside_anonypyx(n: int, k: int) -> list[dict]:
    from anonypyx.ksame import kSame

    person_specific, several = cohort_of(n, n), cohort_of(n, 115)
    images = person_specific.images
    select, release = KSameSelect(k).fit(several), KSameSelect(k, "release")
    ours: dict[str, Callable[[], object]] = {
        "K-Same, one image each": lambda: KSame(k).privatize(person_specific),
        "K-Same-Select, query form, every image asked": lambda: select.privatize(several),
        "K-Same-Select, release form": lambda: release.privatize(several),
    }

    def peer() -> None:
        kSame(images, 64, 64, k=k, variant="pixel").anonymize()

    times: dict[str, list[float]] = {name: [] for name in (*ours, "peer")}
    for work in ours.values():
        work()  # the first call starts the BLAS threads
    for _ in range(REPEATS[n]):
        for name, work in (*ours.items(), ("peer", peer)):
            times[name].append(seconds(work))
    plain = median(times["peer"])
    return [
        {
            "name": f"{name}, n = {n}, K = {k}",
            "ours": median(times[name]),
            "peer": plain,
            "ratio": plain / median(times[name]),
            "unit": "s",
        }
        for name in ours
    ]


def memory() -> list[dict]:
    rows = []
    for name in ("KSame(3)", 'KSameSelect(3, "release")', "KSameSelect(3)"):
        program = (
            f"import resource; from bench_k_same import *; "
            f"c = cohort_of(20000, 20000); m = {name}; start = time.perf_counter(); "
            "m.fit(c).privatize(c); print(time.perf_counter() - start, "
            "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)"
        )
        took, peak = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=__file__.rpartition("/")[0],
            env=_environment(),
        ).stdout.split()
        rows.append(
            {
                "name": f"{name} on 20,000 images, peak memory ({float(took):.0f} s)",
                "ours": float(peak),
                "peer": None,
                "ratio": None,
                "unit": "GiB",
            }
        )
    return rows


def _environment() -> dict:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    return [row for n in REPEATS for k in (3, 12) for row in beside_anonypyx(n, k)] + memory()


if __name__ == "__main__":
    for row in run():
        peer = (
            "" if row["peer"] is None else f"   peer {row['peer']:.3f}   ratio {row['ratio']:.1f}"
        )
        print(f"{row['name']:<72} {row['ours']:.3f} {row['unit']}{peer}")
