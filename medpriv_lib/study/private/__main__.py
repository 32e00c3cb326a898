"""What differential privacy costs, with the patient as unit; whom it hides; how many it takes.

`python -m medpriv_lib.study.private --out FOLDER` writes `private.json` there, a cell at a time,
and goes on from the file where it was stopped. Invented patients are rendered once and kept.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from medpriv_lib.core.files import write_json
from medpriv_lib.core.intervals import area
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.provenance import versions
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.federation.private import logistic
from medpriv_lib.federation.private.patient_gradients import Mechanism
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.study.private import attacked
from medpriv_lib.study.private.cells import (
    COHORT_WEIGHTS,
    FOLDS,
    RATE,
    STEPS,
    Cell,
    Material,
    left_out,
    run_cell,
    summary,
)
from medpriv_lib.study.private.people import (
    PUBLIC_PEOPLE,
    TEST_PEOPLE,
    People,
    Scale,
    invented,
    of_cohort,
)

NAME = "private.json"
COHORT = "crossed"
EPSILONS = (8.0, 3.0, 1.0)
CURVE = (115, 300, 1000)
SPARE = 50  # more people, where some eyes are not found
PUBLIC = 500  # invented people for the model that has seen no patient
NETWORK_SEEDS = 2  # on the curve, and for images as unit
Work = tuple[str, Callable[[], dict]]


class Study:
    """The material of all cells, made when it is first asked for."""

    def __init__(self, keep: Path, say: Callable[[str], None]) -> None:
        """Keep what is rendered in the folder `keep`."""
        self.keep, self.say = keep, say

    @cache  # noqa: B019 (one study lives as long as the command)
    def cohort(self) -> People:
        """Return the 115 patients."""
        return of_cohort(packaged_cohort(COHORT))

    @cache  # noqa: B019
    def strangers(self) -> tuple[People, People]:
        """Return public people, whose features are the scale, and the curve's test patients."""
        people = invented(TEST_PEOPLE, self.keep, self.say, test=True)
        public = people.patient < PUBLIC_PEOPLE
        return people.take(public), people.take(~public)

    def scale(self) -> Scale:
        """Return the scale of the radiomics, from public people."""
        return Scale.of(self.strangers()[0].features)

    @cache  # noqa: B019
    def embedded(self) -> np.ndarray:
        """Return the penultimate layer of the expert's first network on the cohort, scaled by what
        it gives for public people.
        """
        network, public = Expert.load().networks[0].eval(), self.strangers()[0]

        def of(images: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                parts = [network.embed(part) for part in to_tensor(images).split(64)]
            return torch.cat(parts).double().numpy()

        return Scale.of(of(public.images)).apply(of(self.cohort().images))

    def vectors(self, model: str) -> np.ndarray:
        """Return what a model of this name reads of the cohort."""
        if model == "embedding":
            return self.embedded()
        return self.scale().apply(self.cohort().features)

    def material(self, cell: Cell) -> Material:
        """Return what a cell learns from."""
        if cell.part == "cohort":
            vectors = self.vectors(cell.model)
            return Material(self.cohort(), vectors, class_weights=COHORT_WEIGHTS)
        scale, test = self.scale(), self.strangers()[1]
        people = invented(cell.patients, self.keep, self.say)
        if len(people) < cell.patients:  # an eye was not found
            people = invented(cell.patients + SPARE, self.keep, self.say)
        people = people.first(cell.patients)
        others = (test, scale.apply(test.features))
        return Material(people, scale.apply(people.features), others)

    def without_patients(self, reader: str) -> dict:
        """Score the cohort by what was learnt from invented people alone: epsilon is 0."""
        cohort = self.cohort()
        if reader == "expert":
            score = Expert.load().score(cohort.images)
        else:
            public = invented(PUBLIC, self.keep, self.say)
            settings = logistic.Settings(Mechanism(RATE, float("inf")), STEPS, 0.02)
            models = logistic.private_logistic(
                self.scale().apply(public.features), public.diseased, public.patient, settings,
                seeded(0, "public"),
            )  # fmt: skip
            score = logistic.scores(models, self.vectors("radiomics"))[0]
        parts = [left_out(cohort.patient, fold) for fold in range(FOLDS)]
        scored = [(score[out], cohort.diseased[out], cohort.patient[out]) for out in parts]
        return summary(scored, [area(one, ill) for one, ill, _ in scored])


def cells() -> Iterator[Cell]:
    """Yield the cells, the cheap ones first."""

    def row(part: str, model: str, unit: str, patients: int, seeds: int = 5) -> Iterator[Cell]:
        yield Cell(part, model, unit, None, patients, clipped=False, seeds=seeds)
        for epsilon in EPSILONS:
            yield Cell(part, model, unit, epsilon, patients, seeds=seeds)

    for model in ("radiomics", "embedding"):
        for unit in ("patient", "image"):
            yield from row("cohort", model, unit, 115)
    yield from row("cohort", "network", "patient", 115)
    yield Cell("cohort", "network", "patient", None, 115)
    for patients in CURVE:
        yield from row("curve", "radiomics", "patient", patients)
    yield from row("curve", "network", "patient", CURVE[1], NETWORK_SEEDS)
    yield from row("cohort", "network", "image", 115, NETWORK_SEEDS)
    yield from row("curve", "network", "patient", CURVE[2], NETWORK_SEEDS)


def works(study: Study) -> Iterator[Work]:
    """Yield the name of every part of the file and how it is made."""
    for reader in ("expert", "radiomics"):
        yield f"public/{reader}", partial(study.without_patients, reader)
    attacks: dict = {"lira": (attacked.CASES, attacked.membership)}
    attacks["canary"] = (attacked.CANARY_CASES, attacked.canary)
    for name, (cases, made) in attacks.items():
        for case in cases:

            def attack(made: Callable = made, case: str = case) -> dict:
                return made(case, study.cohort(), study.vectors("radiomics"))

            yield f"{name}/{case}", attack
    for cell in cells():
        yield cell.key, lambda cell=cell: run_cell(cell, study.material(cell))  # type: ignore[misc]


def provenance() -> dict:
    """Return which images, versions and machine the numbers belong to."""
    return {
        "cohort": COHORT,
        "data_hash": packaged_cohort(COHORT).hash(),
        "versions": versions("opacus", "dp-accounting", "opencv-python-headless"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "command": "python -m medpriv_lib.study.private",
    }


def measure(
    folder: Path,
    keep: Path,
    say: Callable[[str], None],
    parts: Callable[[Study], Iterable[Work]] = works,
) -> dict:
    """Make what is not in `folder/private.json` yet, save after each part, and return all.

    `parts` of the study, all of them unless somebody names others. A file of other images is begun
    anew.
    """
    path, content = folder / NAME, {"provenance": provenance(), "parts": {}}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["provenance"]["data_hash"] == content["provenance"]["data_hash"]:
            content = found
    for key, make in parts(Study(keep, say)):
        if key not in content["parts"]:
            content["parts"][key] = make()
            write_json(path, content)
            row = content["parts"][key]
            told = {k: row[k] for k in ("auc", "right", "bound", "promised", "cpu") if k in row}
            say(f"{key} {told}")
    return content


def main(argv: list[str] | None = None) -> None:
    """Read the folders from the command line, measure, say how far it is on stderr."""
    parser = argparse.ArgumentParser(prog="python -m medpriv_lib.study.private")
    parser.add_argument("--out", default="chapters/results", metavar="FOLDER")
    parser.add_argument("--keep", default="runs/private", metavar="FOLDER", help="rendered people")
    options = parser.parse_args(argv)
    folder, keep = Path(options.out), Path(options.keep)
    if not folder.is_dir():
        parser.error(f"{folder}: no such folder; create it first")
    keep.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    measure(folder, keep, lambda text: print(text, file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
