"""What it costs not to gather: one recogniser from pooled images, from one site's, from all sites'.

`python -m medpriv_lib.study.federated --out FOLDER` writes `federated.json` there, row by row, and
goes on from the file where it was stopped.
"""

import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from medpriv_lib.core import weights as store
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import Kind, packaged_cohort
from medpriv_lib.federation.certificates import two_thirds
from medpriv_lib.federation.conduct import Rounds
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.federation.private.accountant import noise_for
from medpriv_lib.federation.private.patient_gradients import Mechanism
from medpriv_lib.federation.private.privacy import Privacy
from medpriv_lib.federation.sites import Site, deal
from medpriv_lib.pipeline.federate import Federation, federate
from medpriv_lib.recognition.crossfit import folds
from medpriv_lib.recognition.probe import Probe
from medpriv_lib.study.arms import ARMS, PROXIMAL, Arm
from medpriv_lib.study.command import into_folder
from medpriv_lib.study.federated_rows import (
    MASKED,
    NAME,
    OPEN,
    Run,
    read,
    summary,
    without_patients,
    written,
)
from medpriv_lib.study.members import member_risk

SITES = 3
SEEDS = 5
PIXELS = 32
PROBE_ROUNDS = 30
# plain gradient steps; the class weights are for an announced prevalence, not one counted here
PROBE_TRAINING = LocalTraining(rate=2.0, class_weights=(0.65, 2.1))
DELTA = 0.01  # below 1 / the patients of all sites
ROWS = "federated-rows.json"  # of a cohort of one's own
FOLDS = 2 * SEEDS  # two of them test a seed's recognisers, one gives the threshold


@dataclass(frozen=True)
class Course:
    """How the network is trained in every arm: `rounds` of `training` on images of `pixels`."""

    rounds: int = 16
    pixels: int = PIXELS
    training: LocalTraining = LocalTraining()


COURSE = Course()


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
    arm: Arm, cohort: Cohort, seed: int, course: Course = COURSE
) -> Iterator[tuple[str, Federation]]:
    """Yield the recognisers of an arm, each with the name of its site, "" where it is of all."""
    sites = sites_of(cohort, arm, seed)
    training = PROBE_TRAINING if arm.probe else replace(course.training, proximal=arm.proximal)
    for group in [(site,) for site in sites] if arm.alone else [sites]:
        name = group[0].name if arm.alone else ""
        found = federate(
            group,
            rounds=Rounds(PROBE_ROUNDS if arm.probe else course.rounds, fewest=len(group)),
            training=training,
            seed=seed,
            model="probe" if arm.probe else "network",
            privacy=_privacy(arm) if arm.probe else None,
            aggregation="secure" if arm.secure else "open",
        )
        yield name, found


def _privacy(arm: Arm) -> Privacy:
    """Return an arm's privacy: drawn from the seed, for nobody is protected by a study."""
    promised = math.isfinite(arm.epsilon)
    return Privacy(
        arm.epsilon,
        DELTA,
        arm.clip,
        noise="distributed" if promised else "local",
        multiplier=_noise(arm.epsilon) if promised else 0.0,
        seeded=True,
    )


@cache
def _noise(epsilon: float) -> float:
    return noise_for(epsilon, DELTA, Privacy(epsilon).rate, PROBE_ROUNDS)


def run_of(
    key: dict[str, Any],
    site: str,
    found: Federation,
    test: Cohort,
    seconds: tuple[float, float],
    epsilon: float | None = None,
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
        saw=seen_of(found),
        noise=round(_noise(epsilon), 4) if epsilon else None,
        epsilon=round(max(found.spent.values()), 3) if found.spent else None,
    )


def seen_of(found: Federation) -> str:
    """Return what the coordinator got of each site, read from what left the first one."""
    names = {piece.name for message in next(iter(found.left.values())) for piece in message.pieces}
    if "masked.numbers" in names:
        return MASKED
    return OPEN if len(found.left) > 1 else "its weights"


def measure(
    folder: Path,
    say: Callable[[str], None],
    cohorts: tuple[Kind, ...] = ("crossed",),
    seeds: int = SEEDS,
    arms: tuple[Arm, ...] = ARMS,
    own: Cohort | None = None,
    course: Course = COURSE,
) -> dict[str, Any]:
    """Train what is not in `folder/federated.json` yet, write after each row, and return all.

    Rows that others added are kept. A file of other images or settings is begun anew, and rows of
    the linear layer are where its own settings are others. With a cohort of one's `own` the network
    alone is trained, on that cohort alone, since the expert behind the linear layer knows eyes
    only; then `federated-rows.json` has the rows without anything about a single image. Raises
    `ValueError` for images that cannot be shrunk.
    """
    path = folder / NAME
    full: dict[str, Cohort] = {kind: packaged_cohort(kind) for kind in cohorts}
    if own is not None:
        full, arms = {"own": own}, tuple(arm for arm in arms if not arm.probe)
    whole = {kind: shrunk(cohort, course.pixels) for kind, cohort in full.items()}
    content = read(path, provenance(whole, course))
    for seed in range(seeds):
        for kind, cohort in whole.items():
            small = split_for(cohort, seed)
            for arm in arms:
                # the same patients; the expert reads 64 pixels
                here = split_for(full[kind], seed) if arm.probe else small
                key = {"cohort": kind, "seed": seed, "dealt": arm.dealt or "", "arm": arm.name}
                if any(all(run.get(k) == v for k, v in key.items()) for run in content["runs"]):
                    continue
                started = time.process_time(), time.monotonic()
                made = []
                promised = arm.epsilon if math.isfinite(arm.epsilon) else None
                for site, found in trained(arm, here, seed, course):
                    spent = time.process_time() - started[0], time.monotonic() - started[1]
                    run = run_of(key, site, found, here.of("test"), spent, promised)
                    made.append(written(run))
                    started = time.process_time(), time.monotonic()
                content["runs"] += made
                content["rows"] = summary(content["runs"], whole, split_for)
                write_json(path, content)
                if own is not None:
                    write_json(folder / ROWS, without_patients(content))
                say(f"{kind}, seed {seed}, {arm.name} {arm.dealt or ''}")
    if own is None and "crossed" in full:
        _add_members(content, full["crossed"], arms, lambda: write_json(path, content), say)
    return content


def _add_members(
    content: dict[str, Any],
    cohort: Cohort,
    arms: tuple[Arm, ...],
    save: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Ask LiRA about the linear layers of the arms with even sites; masks change no weights."""
    known = content.setdefault("membership", {})
    for arm in arms:
        asked = arm.probe and arm.dealt == "even" and not arm.alone
        if asked and (arm.clip or not arm.secure) and arm.name not in known:
            known[arm.name] = members_of(arm, cohort)
            save()
            say(f"membership, {arm.name}")


def members_of(arm: Arm, cohort: Cohort) -> dict[str, Any]:
    """Return what LiRA finds in the linear layers of an arm with even sites under masks."""
    noise = 0.0
    if math.isfinite(arm.epsilon):  # all sites' shares; the threshold's alone are promised
        noise = _noise(arm.epsilon) * math.sqrt(SITES / two_thirds(SITES))
    mechanism = Mechanism(Privacy(1.0).rate, arm.clip or math.inf, noise, Privacy(1.0).most)
    inputs = Probe().read(cohort.images)
    return member_risk(inputs, cohort, mechanism, PROBE_TRAINING, PROBE_ROUNDS, arm.name)


def provenance(cohorts: Mapping[str, Cohort], course: Course = COURSE) -> dict[str, Any]:
    """Return which images, settings, versions and machine the numbers belong to."""
    return {
        "data_hash": {kind: cohort.hash() for kind, cohort in cohorts.items()},
        "patients": {kind: cohort.patients for kind, cohort in cohorts.items()},
        "images": {kind: len(cohort) for kind, cohort in cohorts.items()},
        "settings": {
            "sites": SITES,
            "rounds": course.rounds,
            "pixels": course.pixels,
            "training": asdict(course.training),
            "proximal": PROXIMAL,
            "seeds": SEEDS,
        },
        "probe": {
            "rounds": PROBE_ROUNDS,
            "training": asdict(PROBE_TRAINING),
            "delta": DELTA,
            "rate": Privacy(1.0).rate,
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
