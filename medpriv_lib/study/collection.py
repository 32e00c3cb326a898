"""What the technologies of collection cost over the number of patients.

`python -m medpriv_lib.study.collection --out FOLDER` writes `collection.json` there, and goes on
from the file where it was stopped. Every run that is timed is also checked: the intersection must
be the plain one.
"""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from medpriv_lib.collection.costs import COLLECTORS, SEED, TECHNOLOGIES, K, cost
from medpriv_lib.core.files import write_json
from medpriv_lib.study.command import into_folder

NAME = "collection.json"
INTERSECTION = "private set intersection"
PATIENTS: dict[str, Sequence[int]] = {
    "keyed pseudonyms": (5_000, 20_000, 100_000),
    "k-anonymous tables": (5_000, 20_000),
    "secret-shared upload": (5_000, 20_000),
    INTERSECTION: (1_000, 5_000, 20_000, 100_000),
}
REPEATS = 3
LARGE = 5_000  # from here on a point is timed once


def measure(
    folder: Path, say: Callable[[str], None], patients: Mapping[str, Sequence[int]] = PATIENTS
) -> dict:
    """Measure the points that are not in `folder/collection.json` yet; return all.

    The file is saved after each point. "seconds" are CPU seconds of all parties on one core, the
    least of the repeats, with the largest beside it; "bytes" are those of the last run.
    """
    path = folder / NAME
    content: dict = {"provenance": provenance(), "points": []}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["provenance"] == content["provenance"]:
            content = found
    for technology, sizes in patients.items():
        for n in sizes:
            if any((one["technology"], one["n"]) == (technology, n) for one in content["points"]):
                continue
            say(f"{technology}, {n:,} patients")
            content["points"].append(point(technology, n))
            write_json(path, content)
    content["intersection"] = straight(content["points"])
    write_json(path, content)
    return content


def point(technology: str, n: int) -> dict:
    """Return one measured point."""
    runs = [cost(technology, n) for _ in range(REPEATS if n < LARGE else 1)]
    seconds = [one.seconds for one in runs]
    return {
        "technology": technology,
        "n": n,
        "repeats": len(runs),
        "seconds": round(min(seconds), 4),
        "most_seconds": round(max(seconds), 4),
        "bytes": runs[-1].bytes,
    }


def straight(points: Sequence[dict]) -> dict:
    """Return how far the intersection's seconds are from a straight line through zero.

    "microseconds" are those of one patient on each side, the mean over the points, with the least
    and the largest as "spread"; "predicted_100000" is what 100,000 patients would take by the
    largest smaller point alone, and "measured_100000" says whether they were also measured.
    """
    known = {one["n"]: one["seconds"] for one in points if one["technology"] == INTERSECTION}
    if not known:
        return {}
    each = {n: seconds / n for n, seconds in known.items()}
    smaller = max((n for n in each if n < 100_000), default=max(each))
    return {
        "microseconds": round(1e6 * float(np.mean(list(each.values()))), 1),
        "spread": [round(1e6 * min(each.values()), 1), round(1e6 * max(each.values()), 1)],
        "predicted_100000": round(100_000 * each[smaller], 1),
        "predicted_from": smaller,
        "measured_100000": 100_000 in known,
    }


def provenance() -> dict:
    """Return which versions, settings and machine the numbers belong to."""
    return {
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "cryptography": metadata.version("cryptography"),
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "command": "python -m medpriv_lib.study.collection",
        "seed": SEED,
        "k": K,
        "collectors": COLLECTORS,
        "technologies": sorted(TECHNOLOGIES),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the study as a command."""
    into_folder("medpriv_lib.study.collection", measure, argv)


if __name__ == "__main__":
    main()
