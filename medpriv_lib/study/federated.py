"""What it costs not to gather: one recogniser from pooled images, from one site's, from all sites'.

`python -m medpriv_lib.study.federated --out FOLDER` writes `federated.json` there, row by row, and
goes on from the file where it was stopped.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from medpriv_lib.core import weights as store
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.second import Kind, second_cohort
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.federation.sites import How, Site, deal
from medpriv_lib.pipeline.federate import Federation, federate
from medpriv_lib.recognition.crossfit import folds
from medpriv_lib.study.command import into_folder
from medpriv_lib.study.federated_rows import NAME, Run, read, summary, written

SITES = 3
SEEDS = 5
ROUNDS = 16
PIXELS = 32
TRAINING = LocalTraining()
PROXIMAL = 0.1
FOLDS = 2 * SEEDS  # two of them test a seed's recognisers, one gives the threshold


@dataclass(frozen=True)
class Arm:
    """One row for each seed: who trains with whom. `dealt` None: all patients at one site."""

    name: str
    dealt: How | None
    proximal: float = 0.0
    alone: bool = False


ARMS = (
    Arm("pooled", None),
    Arm("federated", "even"),
    Arm("alone", "even", alone=True),
    Arm("federated", "size"),
    Arm("alone", "size", alone=True),
    Arm("fedprox", "size", proximal=PROXIMAL),
)


def shrunk(cohort: Cohort, pixels: int = PIXELS) -> Cohort:
    """Return a cohort with images of `pixels`, each pixel the mean of a block of the original ones.

    Raises `ValueError` where the images' size is no multiple of `pixels`.
    """
    n, size = cohort.images.shape[:2]
    if size % pixels or cohort.images.ndim != 3:
        raise ValueError(f"grey images of {size} pixels cannot be shrunk to {pixels} by blocks")
    block = size // pixels
    means = cohort.images.reshape(n, pixels, block, pixels, block).mean(axis=(2, 4))
    images = np.rint(means).astype(np.uint8)
    return replace(cohort, images=images, evidence=None, twin=None)


def split_for(cohort: Cohort, seed: int) -> Cohort:
    """Return the cohort split by patient for one seed: two of ten folds test, the next one gives
    the threshold. Over the five seeds each patient is a test patient once.
    """
    fold = folds(cohort, FOLDS, seed=0)[cohort.patient]
    test = np.isin(fold, (2 * seed, 2 * seed + 1))
    val = fold == (2 * seed + 2) % FOLDS
    return replace(cohort, split=np.where(test, "test", np.where(val, "val", "train")))


def sites_of(cohort: Cohort, arm: Arm, seed: int) -> tuple[Site, ...]:
    """Return the sites of an arm, the same for all arms that are dealt alike."""
    how = arm.dealt or "even"
    return deal(cohort, SITES if arm.dealt else 1, how, seeded(seed, "deal", how))


def trained(
    arm: Arm, cohort: Cohort, seed: int, folder: Path | None = None
) -> Iterator[tuple[str, Federation]]:
    """Yield the recognisers of an arm, each with the name of its site, "" where it is of all."""
    sites = sites_of(cohort, arm, seed)
    training = replace(TRAINING, proximal=arm.proximal)
    for group in [(site,) for site in sites] if arm.alone else [sites]:
        name = group[0].name if arm.alone else ""
        found = federate(group, rounds=ROUNDS, training=training, seed=seed, fewest=len(group))
        yield name, found


def run_of(
    key: dict[str, Any], site: str, found: Federation, test: Cohort, seconds: tuple[float, float]
) -> Run:
    """Return one row: the scores of the test images, and what the training cost."""
    rounds = found.rounds
    per_site = [sum(one.bytes for one in left) for left in found.left.values()]
    return Run(
        **key,
        site=site,
        threshold=found.threshold,
        scores=[round(float(score), 4) for score in found.score(test)],
        cpu=round(seconds[0], 1),
        seconds=round(seconds[1], 1),
        rounds=len(rounds),
        sent_per_site=round(sum(one.sent for one in rounds) / len(found.left)),
        left_per_site=round(sum(per_site) / len(per_site)),
        loss=[round(one.loss or 0.0, 4) for one in rounds],
        f1=[None if one.f1 is None else round(one.f1, 4) for one in rounds],
    )


def measure(
    folder: Path,
    say: Callable[[str], None],
    cohorts: tuple[Kind, ...] = ("crossed",),
    seeds: int = SEEDS,
    arms: tuple[Arm, ...] = ARMS,
) -> dict[str, Any]:
    """Train what is not in `folder/federated.json` yet, write after each row, and return all.

    Rows that others added are kept. A file of other images or settings is begun anew.
    """
    path = folder / NAME
    whole = {kind: shrunk(second_cohort(kind)) for kind in cohorts}
    content = read(path, provenance(whole))
    for seed in range(seeds):
        for kind, cohort in whole.items():
            here = split_for(cohort, seed)
            for arm in arms:
                key = {"cohort": kind, "seed": seed, "dealt": arm.dealt or "", "arm": arm.name}
                if any(all(run.get(k) == v for k, v in key.items()) for run in content["runs"]):
                    continue
                started = time.process_time(), time.monotonic()
                made = []
                for site, found in trained(arm, here, seed):
                    spent = time.process_time() - started[0], time.monotonic() - started[1]
                    made.append(written(run_of(key, site, found, here.of("test"), spent)))
                    started = time.process_time(), time.monotonic()
                content["runs"] += made
                content["rows"] = summary(content["runs"], whole, split_for)
                write_json(path, content)
                say(f"{kind}, seed {seed}, {arm.name} {arm.dealt or ''}")
    return content


def provenance(cohorts: dict[Kind, Cohort]) -> dict[str, Any]:
    """Return which images, settings, versions and machine the numbers belong to."""
    return {
        "data_hash": {kind: cohort.hash() for kind, cohort in cohorts.items()},
        "patients": {kind: cohort.patients for kind, cohort in cohorts.items()},
        "images": {kind: len(cohort) for kind, cohort in cohorts.items()},
        "settings": {
            "sites": SITES,
            "rounds": ROUNDS,
            "pixels": PIXELS,
            "training": asdict(TRAINING),
            "proximal": PROXIMAL,
            "seeds": SEEDS,
        },
        "versions": store.versions() | {"flwr": metadata.version("flwr")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one used",
        "command": "python -m medpriv_lib.study.federated",
    }


def main(argv: list[str] | None = None) -> None:
    """Run the study as a command."""
    into_folder("medpriv_lib.study.federated", measure, argv)


if __name__ == "__main__":
    main()
