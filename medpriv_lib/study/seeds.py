"""The study once for each of several trainings, and how its numbers move from one to the next."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from medpriv_lib.core.budgets import Budget
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.measures.scores import RATES
from medpriv_lib.pipeline.weights import fit_weights
from medpriv_lib.study.compare import Study
from medpriv_lib.study.table import Row, arrange, read_table, write_table


def train_seeds(
    cohort: Cohort,
    out: Path,
    draws: int,
    seeds: range,
    budget: Budget,
    scored: Callable[[Path, Path, int], Study],
    device: str | None = None,
    progress: bool = True,
    fit: Callable[..., None] = fit_weights,
) -> Study:
    """Train and score once for each seed, in folders of their own below `out`; return the first.

    `scored(weights, folder, seed)` is asked for what is not finished yet; `fit` trains, as
    `fit_weights` does. With several seeds, `seeds.json` holds mean and standard deviation of every
    rate. Raises `ValueError` where a folder holds another cohort's result or other settings'.
    """
    studies = []
    for seed in seeds:
        folder = out / f"seed-{seed}"
        folder.mkdir(exist_ok=True)
        done = _finished(folder, cohort, draws, seed, budget)
        if done is None:
            fit(cohort, folder / "weights", seed, budget, device, progress)
            study = scored(folder / "weights", folder, seed)
            study.provenance["config"]["budget"] = asdict(budget)
            write_table(study.rows, folder, study.provenance, study.notes, study.paired)
            rows = arrange(read_table(folder / "table.csv"))
            done = Study(rows, study.provenance, study.notes, study.paired)
        studies.append(done)
    first = out / f"seed-{seeds[0]}"
    for file in sorted(first.glob("*.png")):
        shutil.copyfile(file, out / file.name)
    first_study = studies[0]
    write_table(
        first_study.rows, out, first_study.provenance, first_study.notes, first_study.paired
    )
    if len(studies) > 1:
        write_json(out / "seeds.json", {"seeds": list(seeds), "rows": _over_seeds(studies)})
    return studies[0]


def _finished(folder: Path, cohort: Cohort, draws: int, seed: int, budget: Budget) -> Study | None:
    """Return the study that this folder holds already; raise where it holds one of another cohort
    or other settings.
    """
    if not (folder / "table.json").is_file():
        return None
    try:
        content = json.loads((folder / "table.json").read_text(encoding="utf-8"))
        provenance, notes = content["provenance"], content.get("notes", [])
        between = content.get("paired", [])
        config = provenance["config"]
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{folder / 'table.json'}: not a result of this study ({error}); move it away"
        ) from error
    if "budget" not in config:  # killed between the table and its last line: score again
        return None
    wanted = {"draws": draws, "seed": seed, "budget": asdict(budget)}
    if provenance["data_hash"] != cohort.hash() or any(
        config.get(key) != value for key, value in wanted.items()
    ):
        raise ValueError(
            f"{folder}: holds the result of another cohort or of other settings; choose another "
            "--out"
        )
    return Study(arrange(read_table(folder / "table.csv")), provenance, notes, between)


def _over_seeds(studies: Sequence[Study]) -> list[Row]:
    """Return mean and standard deviation over seeds of every rate of every row, in percent."""
    rows = []
    for same in zip(*(study.rows for study in studies), strict=True):
        row: Row = {"experiment": same[0]["experiment"], "set": same[0]["set"]}
        for rate in RATES:
            values = [each[rate] for each in same if each[rate] is not None]
            if len(values) == len(same):
                row[rate] = round(float(np.mean(values)), 2)
                row[f"{rate}_std"] = round(float(np.std(values, ddof=1)), 2)
        rows.append(row)
    return rows
