"""The training of PPRL-VGAN, from the first step to the last: resumable at any moment to the same
end.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.privatizers.vgan.networks import Architecture, Generator
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.trainer import Trainer

Row = dict[str, float]


def train(
    cohort: Cohort,
    architecture: Architecture,
    config: Training,
    folder: str | Path | None = None,
    validate: Callable[[Generator], Row] | None = None,
    checkpoint_minutes: float = 3.0,
    report: Callable[[Row], None] | None = None,
) -> Trainer:
    """Train to the last round and return the trainer, whose `averaged()` is the result.

    `cohort` holds the training images only. With a `folder` the training goes on from the
    checkpoint there and writes one every `checkpoint_minutes`, and at the end. `validate` is given
    the averaged generator every `validate_every` rounds; what it returns is added to the curve and,
    with the pace, passed to `report`. Raises `ValueError` where the images do not fit the
    architecture and where the checkpoint belongs to another cohort or other settings.
    """
    folder = None if folder is None else Path(folder)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(cohort, architecture, config, folder)
    if folder is not None:
        trainer.load(folder)
    main = trainer.accelerator.is_main_process
    saved = started = time.monotonic()
    trainer.warm_up()
    while trainer.round < config.rounds:
        trainer.step()
        last = trainer.round == config.rounds
        if trainer.round % config.validate_every == 0 or last:
            now = time.monotonic()
            trainer.seconds, started = trainer.seconds + now - started, now
            if main:
                measured = validate(trainer.averaged()) if validate else {}
                seconds = round(trainer.seconds, 1)
                trainer.curve.append({"round": trainer.round, **measured, "seconds": seconds})
                if report:
                    report(trainer.curve[-1])
            started = time.monotonic()  # the pace counts the training alone
        if folder is not None and (
            last or _due(trainer, time.monotonic() - saved > 60 * checkpoint_minutes)
        ):
            now = time.monotonic()
            trainer.seconds, started = trainer.seconds + now - started, now
            trainer.save(folder)
            saved = time.monotonic()
    trainer.accelerator.wait_for_everyone()
    return trainer


def _due(trainer: Trainer, due: bool) -> bool:
    # the processes' clocks differ, and saving needs them all: the main one decides, not every round
    if trainer.accelerator.num_processes == 1:
        return due
    if trainer.round % 10:
        return False
    return bool(broadcast(torch.tensor(float(due), device=trainer.device)).item())


def fit_generator(
    train_images: Cohort,
    architecture: Architecture | None = None,
    config: Training | None = None,
    **options: Any,
) -> Generator:
    """Return the averaged generator of a training, in evaluation mode; options as of `train`."""
    architecture = architecture or Architecture.of(train_images)
    return train(train_images, architecture, config or Training(), **options).averaged()
