"""The networks of the study: load the shipped ones or one's own, or train them, going on where it
was stopped.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from tqdm.auto import tqdm

from medpriv_lib.core import weights as store
from medpriv_lib.core.budgets import Budget
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.privatizers.vgan.networks import Architecture
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.training import train
from medpriv_lib.privatizers.vgan.validation import settings_of, validation, write_weights
from medpriv_lib.recognition.judges import Judges, fit_judges
from medpriv_lib.recognition.train import logits

VGAN = "pprl-vgan"


def load_weights(
    folder: str | os.PathLike | None, cohort: Cohort, device: str | None = None
) -> tuple[Judges, PPRLVGAN, dict]:
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
    path = store.shipped(VGAN) if folder is None else Path(folder) / f"{VGAN}.safetensors"
    judges = Judges.load(folder, cohort).to(device or "cpu")
    vgan = PPRLVGAN.load(path, device=device or "cpu")
    card = store.read_card(path)
    store.require_cohort(card, cohort)
    return judges, vgan, {"judges": judges.card["sha256"], VGAN: card["sha256"]}


def fit_weights(
    cohort: Cohort,
    folder: str | os.PathLike,
    seed: int,
    budget: Budget,
    device: str | None = None,
    progress: bool = True,
) -> None:
    """Train the judges and PPRL-VGAN on a cohort and write them into a folder, made where missing.

    Called again after it was stopped, it goes on from the last checkpoint; what is finished is
    kept. Raises `ValueError` where the folder holds weights of another cohort or other settings.
    """
    folder = Path(folder)
    for split in ("train", "val"):
        cohort.of(split)
    config = Training(
        rounds=budget.rounds,
        batch=budget.batch,
        seed=seed,
        warmup=min(300, budget.rounds // 8),
        reconstruction=min(400, budget.rounds // 2),
        recogniser_epochs=budget.epochs,
    )
    architecture = Architecture(cohort.patients, cohort.images.shape[1])
    folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["medpriv", *sys.argv[1:]])
    processes = PartialState(cpu=device == "cpu")
    with (
        processes.main_process_first()
    ):  # under `accelerate launch` one process trains the judges, others load them
        judges = fit_judges(
            cohort,
            seed,
            folder,
            epochs=budget.epochs,
            device=device,
            progress=progress,
            command=command,
        )
    if (folder / f"{VGAN}.safetensors").is_file():
        card = store.read_card(folder / VGAN)
        store.require_cohort(card, cohort)
        if card["seed"] != seed or card["config"].get("training") != settings_of(config):
            raise ValueError(
                f"{folder / VGAN}.safetensors: weights of another seed or budget; choose another folder"
            )
        return
    training, val = cohort.of("train"), cohort.of("val")
    validate = None
    if judges.identity is not None:
        judges.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        validate = validation(
            training,
            val,
            lambda images: logits(judges.identity, images),
            lambda images: logits(judges.disease, images),
        )
    hidden = not (progress and sys.stderr.isatty())
    with tqdm(total=config.rounds, desc="pprl-vgan", unit="round", disable=hidden) as bar:

        def report(row: dict) -> None:
            bar.update(row["round"] - bar.n)
            bar.set_postfix(
                {key: value for key, value in row.items() if key in ("replacement", "disease")}
            )

        trainer = train(
            training, architecture, config, folder / f"{VGAN}-in-training", validate, report=report
        )
    if not processes.is_main_process:
        return
    write_weights(folder / VGAN, trainer, training, cohort, command)
    shutil.rmtree(folder / f"{VGAN}-in-training")
