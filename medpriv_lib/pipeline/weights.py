"""The networks of a cohort: load the shipped ones or one's own, or train them, going on where the
training was stopped.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import PartialState
from tqdm.auto import tqdm

from medpriv_lib.core import weights as store
from medpriv_lib.core.budgets import Budget
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.vgan.networks import Architecture, Generator
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.training import Row, train
from medpriv_lib.privatizers.vgan.validation import settings_of, validation, write_weights
from medpriv_lib.recognition.fitting import fit_judges, fit_observers
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import Progress, logits

VGAN = PPRLVGAN.name


def load_weights(
    folder: str | os.PathLike | None, cohort: Cohort, device: str | None = None
) -> tuple[Judges, PPRLVGAN, dict[str, str]]:
    """Return the judges, PPRL-VGAN and the SHA-256 of both files; `folder` None means the shipped
    weights.

    Raises `FileNotFoundError` where there are none, and `ValueError` where they are damaged or of
    another cohort, with the remedy.
    """
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder of weights; make one with `medpriv fit --cohort FILE --out "
            f"{folder}`, or leave out --weights"
        )
    own = None if folder is None else Path(folder)
    judges = Judges.load(folder, cohort).to(device or "cpu")
    vgan = PPRLVGAN.of(Resources(cohort, own)).to(device or "cpu")
    card = store.read_card(store.shipped(VGAN) if own is None else own / VGAN)
    return judges, vgan, {"judges": judges.card["sha256"], VGAN: card["sha256"]}


def fit_weights(
    cohort: Cohort,
    folder: str | os.PathLike,
    seed: int,
    budget: Budget,
    device: str | None = None,
    progress: Progress | bool = True,
    command: str | None = None,
    report: Callable[[str], None] | None = None,
) -> None:
    """Train the judges and PPRL-VGAN on a cohort and write them into a folder, made where missing.

    Called again after it was stopped, it goes on from the last checkpoint; what is finished is
    kept. The validation curve of PPRL-VGAN is drawn by two recognisers that fill no table and are
    not kept; it changes nothing in the weights. `progress` shows bars on a terminal; `report` is
    told in one line each what is finished, and that the weights must not be shared: they hold the
    patients' names. `command` is written into the cards, None means this function with its seed and
    budget. Raises `ValueError` where the folder holds weights of another cohort or other settings.
    """
    folder, tell = Path(folder), report or _silent
    training, val = cohort.of("train"), cohort.of("val")
    config = Training(
        rounds=budget.rounds,
        batch=budget.batch,
        seed=seed,
        warmup=min(300, budget.rounds // 8),
        reconstruction=min(400, budget.rounds // 2),
        recogniser_epochs=budget.epochs,
    )
    architecture = Architecture.of(cohort)
    command = command or f"medpriv_lib.pipeline.weights.fit_weights, seed {seed}, {budget}"
    folder.mkdir(parents=True, exist_ok=True)
    tell(f"{folder}: {store.PRIVATE}")
    processes = PartialState(cpu=device == "cpu")
    # under `accelerate launch` one process trains the judges, others load them
    with processes.main_process_first():
        judges = fit_judges(
            cohort,
            seed,
            folder,
            epochs=budget.epochs,
            device=device,
            progress=progress,
            command=command,
        )
    tell(f"{folder / 'judges.safetensors'}: the judges are trained")
    if (folder / f"{VGAN}.safetensors").is_file():
        _require_same(folder / VGAN, cohort, seed, config)
        return
    checkpoints = folder / f"{VGAN}-in-training"
    validate = None
    if processes.is_main_process and judges.identity is not None:  # the others never measure
        patient, disease = fit_observers(
            cohort, seed, checkpoints, epochs=budget.epochs, device=device, progress=progress
        )
        validate = _validation(training, val, patient, disease)
        tell(f"{VGAN}: those who draw its validation curve are trained")
    with tqdm(
        total=config.rounds,
        desc=VGAN,
        unit="round",
        disable=not (progress and sys.stderr.isatty()),
    ) as bar:

        def advance(row: Row) -> None:
            bar.update(int(row["round"]) - bar.n)
            shown = {key: row[key] for key in ("replacement", "disease") if key in row}
            bar.set_postfix(shown)
            shares = ", ".join(f"{key} {100 * value:.0f} %" for key, value in shown.items())
            tell(f"{VGAN}: round {row['round']} of {config.rounds}" + f": {shares}" * bool(shares))

        trainer = train(training, architecture, config, checkpoints, validate, report=advance)
    if not processes.is_main_process:
        return
    write_weights(folder / VGAN, trainer, training, cohort, command)
    shutil.rmtree(checkpoints)
    tell(f"{folder / VGAN}.safetensors: PPRL-VGAN is trained")


def _silent(line: str) -> None:
    """Say nothing."""


def _validation(
    training: Cohort, val: Cohort, patient: Recogniser, disease: Recogniser
) -> Callable[[Generator], dict[str, Any]]:
    return validation(
        training,
        val,
        lambda images: logits(patient, images),
        lambda images: logits(disease, images),
    )


def _require_same(path: Path, cohort: Cohort, seed: int, config: Training) -> None:
    card = store.read_card(path)
    store.require_cohort(card, cohort)
    if card["seed"] != seed or card["config"].get("training") != settings_of(config):
        raise ValueError(
            f"{path}.safetensors: weights of another seed or budget; choose another folder"
        )
