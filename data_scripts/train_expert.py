"""Teach the expert disease judge on invented people who are in no cohort, and write its weights.

    python data_scripts/train_expert.py --device cuda --population-size 8000

Renders the people first (kept in KEEP, .11 core seconds an image, two images each: 8,000 people are
half an hour on 1 core and two minutes on 16), then teaches the expert of the tables and the one for
choices. Stopped at any point, the same command goes on from there. Prints the figures that decide
whether the expert may be used: on the test split of the cohorts that ship, on its twins, and on
families of cameras that it was never taught on.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from medpriv_lib.core.cohort import Cohort  # noqa: E402
from medpriv_lib.core.files import write_json  # noqa: E402
from medpriv_lib.core.weights import FOLDER  # noqa: E402
from medpriv_lib.data.packaged import packaged_cohort  # noqa: E402
from medpriv_lib.data.synthetic.camera import FAMILIES, HELD_OUT, Family  # noqa: E402
from medpriv_lib.data.synthetic.population import population  # noqa: E402
from medpriv_lib.recognition.expert import DEVELOPMENT_NAME, NAME  # noqa: E402
from medpriv_lib.recognition.expert_training import (  # noqa: E402
    TEACHING,
    by_family,
    fit_expert,
    joined_cohorts,
    reading,
)

SEEDS = {"families": 501, "cohort-camera": 502, "threshold": 503, "held-out": 504}
EACH = 2  # images of a person


def kept(file: Path, make: Callable[[], Cohort]) -> Cohort:
    """Return the cohort of a file, rendered first where there is none."""
    if not file.is_file():
        started = time.monotonic()
        make().save(file)
        print(f"{file}: rendered in {time.monotonic() - started:.0f} s", flush=True)
    return Cohort.load(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default=str(FOLDER))
    parser.add_argument("--keep", help="folder of what is rendered (default: OUT/expert-people)")
    parser.add_argument("--device", default=None)
    parser.add_argument("--population-size", type=int, default=8000, help="people taught on")
    parser.add_argument("--held-out-size", type=int, default=250, help="people of each family")
    parser.add_argument("--epochs", type=int, help=f"(default {TEACHING[NAME].settings.epochs})")
    parser.add_argument("--workers", type=int, help="processes that render (default: all cores)")
    parser.add_argument("--no-cohorts", action="store_true", help="no figures on the cohorts")
    options = parser.parse_args()
    out = Path(options.out)
    folder = Path(options.keep) if options.keep else out / "expert-people"
    folder.mkdir(parents=True, exist_ok=True)
    people, held = options.population_size, options.held_out_size
    workers = options.workers
    own = people // 4  # by the cohorts' camera, the others by families of cameras

    def of(name: str, count: int, cameras: Mapping[str, Family] | None = None) -> Cohort:
        file = folder / f"{name}-{count}.npz"
        return kept(file, lambda: population(count, EACH, SEEDS[name], cameras, workers=workers))

    teaching = joined_cohorts([of("families", people - own, FAMILIES), of("cohort-camera", own)])
    threshold = of("threshold", max(250, own // 2))
    families = {
        name: kept(
            folder / f"held-out-{name}-{held}.npz",
            partial(population, held, EACH, SEEDS["held-out"], {name: family}, workers=workers),
        )
        for name, family in HELD_OUT.items()
    }
    command = "python data_scripts/train_expert.py " + shlex.join(sys.argv[1:])
    figures: dict[str, dict] = {}
    for name in (DEVELOPMENT_NAME, NAME):
        budget = TEACHING[name]
        if options.epochs:
            budget = replace(budget, settings=replace(budget.settings, epochs=options.epochs))
        started = time.monotonic()
        expert = fit_expert(
            teaching,
            threshold,
            out,
            development=name == DEVELOPMENT_NAME,
            teaching=budget,
            device=options.device,
            command=command,
            progress=lambda epoch, epochs, row: print(
                f"epoch {epoch}/{epochs}", {k: round(v, 4) for k, v in row.items()}, flush=True
            ),
        )
        print(f"{name}: taught in {time.monotonic() - started:.0f} s", flush=True)
        figures[name] = {"threshold people": reading(expert, threshold)}
        figures[name] |= by_family(expert, families)
        if not options.no_cohorts:
            # choices are made by the development expert, so it is shown validation images only
            split = "val" if name == DEVELOPMENT_NAME else "test"
            for kind in ("confounded", "crossed"):
                figures[name][f"{kind}, {split}"] = reading(expert, packaged_cohort(kind).of(split))
        for where, row in figures[name].items():
            print(f"{name}, {where}: {json.dumps(_rounded(row))}", flush=True)
        write_json(out / f"{name}-figures.json", figures[name])


def _rounded(row: dict) -> dict:
    return {key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()}


if __name__ == "__main__":
    main()
