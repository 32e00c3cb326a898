"""Attack every row of the study on a cohort, many rows at a time, and write the best attackers'
figures by label.

python data_scripts/attack_rows.py --cohort crossed --weights medpriv_lib/weights/crossed \
    --out chapters/results/attacks-second.json --rows FOLDER --workers 16

The file holds one table for each cohort; the tables of the others stay as they are, and so do the
other rows of this one where they were made with the same images, seed, draws and budget.

One process per worker, one thread each. A finished row is kept in the folder of rows, so that the
same command goes on where it was stopped; the attackers' networks of originals are trained first
and shared.
With --doubled each row is attacked again with twice the effort, and the file says which attackers
have flattened.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy starts its threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from concurrent.futures import ProcessPoolExecutor, as_completed  # noqa: E402
from dataclasses import asdict, dataclass, fields, replace  # noqa: E402
from multiprocessing import get_context  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import numpy as np  # noqa: E402
import torch  # noqa: E402

from medpriv_lib.attacks.attackers import Attackers  # noqa: E402
from medpriv_lib.attacks.budget import FULL, LONG, Budget  # noqa: E402
from medpriv_lib.attacks.registry import attacks  # noqa: E402
from medpriv_lib.attacks.run import attack_release, flattened  # noqa: E402
from medpriv_lib.attacks.scene import PARTS, Scene  # noqa: E402
from medpriv_lib.core.cohort import Cohort  # noqa: E402
from medpriv_lib.core.files import write_json  # noqa: E402
from medpriv_lib.core.not_applicable import NotApplicable  # noqa: E402
from medpriv_lib.core.provenance import versions  # noqa: E402
from medpriv_lib.core.randomness import seeded  # noqa: E402
from medpriv_lib.data.default import default_cohort  # noqa: E402
from medpriv_lib.data.second import KINDS, second_cohort  # noqa: E402
from medpriv_lib.pipeline.weights import load_weights  # noqa: E402
from medpriv_lib.privatizers.protocol import Resources  # noqa: E402
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN  # noqa: E402
from medpriv_lib.recognition.judges import Judges  # noqa: E402
from medpriv_lib.study.decoded import networks_of  # noqa: E402
from medpriv_lib.study.plan import file_name  # noqa: E402
from medpriv_lib.study.row_scenes import scenes_of  # noqa: E402
from medpriv_lib.study.rows import Method, methods  # noqa: E402


@dataclass(frozen=True)
class Job:
    """What every worker is told: files, and how much is spent."""

    cohort: str | None
    weights: str | None
    rows: Path
    draws: int
    seed: int
    budget: Budget
    doubled: bool


class Worker:
    """What a process keeps: the cohort and its networks, read once."""

    job: Job
    cohort: Cohort
    judges: Judges
    vgan: PPRLVGAN
    cards: dict[str, str]
    resources: Resources

    @classmethod
    def begin(cls, job: Job) -> None:
        """Read cohort and networks."""
        torch.set_num_threads(1)
        cls.job, cls.cohort = job, cohort_of(job.cohort)
        cls.judges, cls.vgan, cls.cards = load_weights(job.weights, cls.cohort, "cpu")
        folder = None if job.weights is None else Path(job.weights)
        cls.resources = Resources(cls.cohort, folder, networks_of(cls.vgan))

    @classmethod
    def original(cls, part: str, budget: Budget) -> str:
        """Train one network of originals, or find it."""
        test, rest = (
            np.flatnonzero((cls.cohort.split == "test") == wanted) for wanted in (True, False)
        )
        images, nobody = cls.cohort.images, np.empty((len(test), 0), dtype=np.int64)
        scene = Scene(cls.cohort, images[test], test, images[rest], rest, nobody)
        team = Attackers(cls.cohort, cls.job.rows / "networks", cls.job.seed, budget=budget)
        team.original(scene, part)
        return part

    @classmethod
    def attack(cls, row: Method) -> dict:
        """Attack one row, or find what was found."""
        path = cls.job.rows / f"{file_name(row)}-{cls.key(row)}.json"
        if path.is_file():
            return dict(json.loads(path.read_text(encoding="utf-8")))
        began = time.perf_counter()
        result: dict[str, Any] = {"experiment": row.experiment, "set": row.set}
        try:
            result |= cls.found(row)
        except NotApplicable as reason:  # this cohort does not allow the method
            result |= {"figures": {}, "findings": [], "note": f"empty: {reason}"}
        result["seconds"] = round(time.perf_counter() - began, 1)
        write_json(path, result)
        return result

    @classmethod
    def found(cls, row: Method) -> dict:
        """Release a row and attack it."""
        job, test = cls.job, cls.cohort.of("test")
        drawn = [
            row.release(cls.resources, test, seeded(job.seed, row.experiment, row.stream, number))
            for number in range(job.draws if row.random else 1)
        ]
        scenes = scenes_of(row, cls.cohort, cls.resources, drawn, job.seed)
        maker = row.ready(cls.resources)
        each = []
        for budget in (job.budget, job.budget.doubled())[: 1 + job.doubled]:
            each.append(
                attack_release(
                    scenes,
                    drawn[0],
                    maker,
                    identity=cls.judges.identity,
                    budget=budget,
                    seed=job.seed,
                    name=file_name(row),
                    folder=job.rows / "networks",
                )
            )
        result = each[0].plain() | {"draws": len(drawn), "note": ""}
        return result | ({"doubled": flattened(*each)} if job.doubled else {})

    @classmethod
    def key(cls, row: Method) -> str:
        """Name a result by all that it depends on."""
        job, names = cls.job, [one.name for one in attacks()]
        made_of = (cls.cohort.hash(), row.name, row.cls.name, sorted(row.settings.items()), names)
        spent = (job.draws, job.seed, job.budget, job.doubled, sorted(cls.cards.items()))
        return hashlib.sha256(repr((made_of, spent)).encode()).hexdigest()[:12]


def cohort_of(file: str | None) -> Cohort:
    if file in KINDS:
        return second_cohort(file)
    return default_cohort() if file is None else Cohort.load(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohort", help="a file, confounded or crossed; default: the package's")
    parser.add_argument("--weights", help="folder of `medpriv fit`; default: the package's")
    parser.add_argument("--out", required=True, help="JSON file of all rows")
    parser.add_argument("--rows", help="folder of finished rows; default: OUT-rows beside OUT")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="text in a row's name; may be repeated")
    parser.add_argument("--doubled", action="store_true", help="again with twice the effort")
    parser.add_argument(
        "--short", type=int, default=1, help="divide all efforts by this: for a trial run"
    )
    parser.add_argument(
        "--no-long", action="store_true", help="without the tower that is trained for long"
    )
    options = parser.parse_args()
    out = Path(options.out)
    rows = Path(options.rows) if options.rows else out.with_name(f"{out.stem}-rows")
    (rows / "networks").mkdir(parents=True, exist_ok=True)
    budget = shorter(FULL if options.no_long else LONG, options.short)
    job = Job(
        options.cohort, options.weights, rows, options.draws, options.seed, budget, options.doubled
    )
    second = cohort_of(options.cohort).visit is not None
    listed = [
        row
        for row in methods(second=second)
        if not options.only or any(text in " / ".join(row.name) for text in options.only)
    ]
    done: dict[tuple[str, str], dict] = {}
    with ProcessPoolExecutor(options.workers, get_context("spawn"), Worker.begin, (job,)) as pool:
        budgets = [budget, budget.doubled()][: 1 + options.doubled]
        first = [pool.submit(Worker.original, part, one) for one in budgets for part in PARTS]
        for future in as_completed(first):
            print("network of originals,", future.result(), flush=True)
        running = {pool.submit(Worker.attack, row): row for row in listed}
        for ended in as_completed(running):
            row = running[ended]
            done[row.name] = ended.result()
            print(*row.name, done[row.name]["seconds"], "s", flush=True)
            found = [done[one.name] for one in listed if one.name in done]
            write_json(out, beside(out, options, budget, found))


def beside(out: Path, options: argparse.Namespace, budget: Budget, rows: list[dict]) -> dict:
    """Return what the file shall hold: these rows, beside those of other cohorts."""
    cohort = cohort_of(options.cohort)
    test = cohort.of("test")
    made = {
        "n": len(test.images),
        "patients": len(np.unique(test.patient)),
        "hash": cohort.hash(),
        "seed": options.seed,
        "draws": options.draws,
        "effort": f"1/{options.short} of the full",
        "budget": asdict(budget),
        "versions": versions(),
    }
    before = json.loads(out.read_text(encoding="utf-8"))["cohorts"] if out.is_file() else {}
    name = options.cohort or "default"
    old = before.get(name, {"rows": []})
    alike = all(old.get(key) == value for key, value in made.items() if key != "versions")
    found = {(row["experiment"], row["set"]): row for row in (old["rows"] if alike else [])}
    found |= {(row["experiment"], row["set"]): row for row in rows}
    order = [row.name for row in methods(second=cohort.visit is not None)]
    return {
        "cohorts": before | {name: made | {"rows": [found[one] for one in order if one in found]}}
    }


def shorter(budget: Budget, by: int) -> Budget:
    """Return a budget with all numbers of steps, decodes and runs divided."""
    if by == 1:
        return budget
    changed: dict[str, Any] = {}
    for one in fields(budget):
        value = getattr(budget, one.name)
        if isinstance(value, int):
            changed[one.name] = value if one.name == "generator_size" else max(2, value // by)
        elif value is not None:
            changed[one.name] = replace(value, steps=max(2, value.steps // by))
    return replace(budget, **changed)


if __name__ == "__main__":
    main()
