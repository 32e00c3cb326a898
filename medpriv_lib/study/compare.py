"""The paper's comparison from a cohort to its table: load or train the networks, privatise, judge,
write.
"""

import contextlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from medpriv_lib import __version__
from medpriv_lib.core.budgets import PAPER, Budget
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.default import default_cohort
from medpriv_lib.measures.scores import RATES, score, summarise
from medpriv_lib.pipeline.weights import fit_weights, load_weights
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.reader import Reader
from medpriv_lib.recognition.verdicts import Panel
from medpriv_lib.study.decoded import RememberingDecoder
from medpriv_lib.study.examine import DRAWS as EXPLAINED
from medpriv_lib.study.examine import Examiner
from medpriv_lib.study.rows import Releases, methods, with_predicted_labels
from medpriv_lib.study.table import Row, arrange, read_table, write_json, write_table


@dataclass(frozen=True)
class Study:
    """What came out: the `rows` of the table, in percent, and their `provenance`."""

    rows: list[Row]
    provenance: dict


def run_study(
    cohort: Cohort | None = None,
    weights: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    draws: int | None = None,
    seed: int = 0,
    train: bool = False,
    seeds: int = 1,
    budget: Budget = PAPER,
    device: str | None = None,
    progress: bool = True,
) -> Study:
    """Run the comparison and return its table; with `out`, also write table, provenance and figures
    there.

    `cohort` None is the cohort of the package and `weights` None the shipped ones; another cohort
    is trained on unless `weights` names a folder made by `medpriv fit` for it. `train` fits
    everything anew, below `out`, once for each of `seeds` seeds from `seed` on; stopped at any
    point, the same call goes on from there. `draws` random draws of the replacement identities
    (None: the budget's). Scoring runs on the CPU unless `device` says otherwise. Raises
    `ValueError` where the arguments do not fit together or the weights belong to another cohort.
    """
    own = cohort is not None
    cohort = cohort if own else default_cohort()
    train = train or (own and weights is None)
    draws = budget.draws if draws is None else draws
    if draws < 1 or seeds < 1:
        raise ValueError(f"there must be at least one draw and one seed, not {draws} and {seeds}")
    if train and weights is not None:
        raise ValueError(
            "training anew and using weights exclude each other; leave out one of the two"
        )
    if train and out is None:
        raise ValueError("training needs a folder that keeps what is finished; name one with --out")
    for split in ("train", "val", "test"):
        cohort.of(split)  # an empty split is an error now, not after hours of training
    if out is not None:
        out = Path(out)
        out.mkdir(parents=True, exist_ok=True)
    if train:
        return _train_seeds(cohort, out, draws, range(seed, seed + seeds), budget, device, progress)
    if seeds != 1:
        raise ValueError("several seeds need training: add --train")
    return _score_weights(cohort, weights, out, draws, seed, device, progress)


def _score_weights(
    cohort: Cohort,
    weights,
    out: Path | None,
    draws: int,
    seed: int,
    device: str | None,
    progress: bool,
) -> Study:
    judges, vgan, cards = load_weights(weights, cohort, device)
    study = compare(cohort, judges, vgan, draws=draws, seed=seed, progress=progress)
    study.provenance["weights"] = cards
    study.provenance["device"] = device or "cpu"
    if out is not None:
        from medpriv_lib.study.figures.examples import write_figures  # matplotlib is slow to import
        from medpriv_lib.study.figures.requirements import write_explanation_figures

        write_table(study.rows, out, study.provenance)
        write_figures(cohort, vgan, study.rows, out, seed)
        write_explanation_figures(cohort, vgan, judges.disease, study.rows, out, seed)
    return study


def _train_seeds(
    cohort: Cohort,
    out: Path,
    draws: int,
    seeds: range,
    budget: Budget,
    device: str | None,
    progress: bool,
) -> Study:
    studies = []
    for seed in seeds:
        folder = out / f"seed-{seed}"
        folder.mkdir(exist_ok=True)
        done = _finished(folder, cohort, draws, seed, budget)
        if done is None:
            fit_weights(cohort, folder / "weights", seed, budget, device, progress)
            study = _score_weights(cohort, folder / "weights", folder, draws, seed, None, progress)
            study.provenance["config"]["budget"] = asdict(budget)
            write_table(study.rows, folder, study.provenance)
            done = Study(arrange(read_table(folder / "table.csv")), study.provenance)
        studies.append(done)
    first = out / f"seed-{seeds[0]}"
    for file in sorted(first.glob("*.png")):
        shutil.copyfile(file, out / file.name)
    write_table(studies[0].rows, out, studies[0].provenance)
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
        provenance = json.loads((folder / "table.json").read_text(encoding="utf-8"))["provenance"]
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
            f"{folder}: holds the result of another cohort or of other settings; choose another --out"
        )
    return Study(read_table(folder / "table.csv"), provenance)


def _over_seeds(studies: list[Study]) -> list[Row]:
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


def compare(
    cohort: Cohort, judges: Judges, vgan: PPRLVGAN, draws: int, seed: int, progress: bool = True
) -> Study:
    """Privatise the test images with every method, judge the releases and return the arranged
    table.
    """
    began = time.perf_counter()
    train, test = cohort.of("train"), cohort.of("test")
    reader = Reader(judges.disease)
    panel = Panel(judges, reader.logits)
    predicted = replace(test, diseased=panel.ask(test.images, test.patient).disease)
    prior = RememberingDecoder(vgan)
    listed = [*methods(vgan, prior), *with_predicted_labels(methods(vgan, prior))]
    releases = Releases(train, {"": test, "true": test, "predicted": predicted}, vgan, seed, draws)
    releases.prepare(listed, lambda total: _bar(total, "decoding", progress))
    examiner = Examiner(train, releases.cohorts, vgan, judges, seed, draws, reader)
    examiner.prepare(listed, lambda total: _bar(total, "decoding twins", progress))
    rows, waiting = [], []
    with _bar(len(listed), "judging", progress) as bar, _second_thread() as second:
        for method in listed:
            row: Row = {
                "experiment": method.experiment,
                "set": method.set,
                "labels": method.labels,
                "note": "",
            }
            rows.append(row)
            try:
                drawn = list(releases.of(method))
                panel.ask(
                    np.concatenate([each.images for each in drawn]),
                    np.tile(test.patient, len(drawn)),
                    np.concatenate([each.contributors for each in drawn]),
                )  # large batches are faster
                row |= summarise([score(release, test, panel) for release in drawn], test.patients)
                waiting.append((row, second.submit(examiner.row, method, drawn[:EXPLAINED])))
            except (
                ValueError
            ) as error:  # what a method cannot do on this cohort, such as a class smaller than K
                row["note"] = f"empty: {error}"
            bar.update(1)
        for row, explained in waiting:
            try:
                row |= explained.result()
            except ValueError as error:
                row["note"] = f"empty: {error}"
    study = Study(arrange(rows), provenance(cohort, test, draws, seed))
    study.provenance["explained"] = examiner.sizes()
    study.provenance["seconds"] = round(time.perf_counter() - began, 1)
    return study


@contextlib.contextmanager
def _second_thread() -> Iterator[ThreadPoolExecutor]:
    """Explain rows while further ones are judged: explaining is mostly Python, which leaves a core
    idle.

    Rows are explained one after the other, in their order.
    """
    switch = sys.getswitchinterval()
    second = ThreadPoolExecutor(1)
    try:
        sys.setswitchinterval(
            min(switch, 0.0005)
        )  # judging asks for the interpreter often and briefly
        yield second
    finally:
        second.shutdown(cancel_futures=True)
        sys.setswitchinterval(switch)


def provenance(cohort: Cohort, test: Cohort, draws: int, seed: int) -> dict:
    """Return what a result was made from and with: settings, data, counts, versions, machine."""
    versions = {
        "medpriv": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    for package in ("opencv-python-headless", "opencv-python", "scikit-learn"):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "config": {"draws": draws, "seed": seed},
        "cohort": cohort.name,
        "data_hash": cohort.hash(),
        "images": {split: int((cohort.split == split).sum()) for split in ("train", "val", "test")},
        "patients": cohort.patients,
        "n": len(test),
        "versions": versions,
        "machine": platform.machine(),
    }


@contextlib.contextmanager
def _bar(total: int, what: str, progress: bool) -> Iterator[tqdm]:
    """Show progress on stderr where a person is looking; stay quiet in pipes."""
    hidden = not (progress and sys.stderr.isatty())
    with tqdm(total=total, desc=what, disable=hidden, leave=False, unit_scale=True) as bar:
        yield bar
