"""The training of a disentangled network from the first step to the last: resumable at any moment
to the same end.
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.privatizers.disentangled.networks import Architecture, Networks
from medpriv_lib.privatizers.disentangled.settings import Training
from medpriv_lib.privatizers.disentangled.trainer import Trainer

Row = dict[str, float]


def train(
    cohort: Cohort,
    architecture: Architecture,
    config: Training,
    folder: str | Path | None = None,
    validate: Callable[[Networks], Row] | None = None,
    device: str | torch.device = "cpu",
    checkpoint_minutes: float = 3.0,
    report: Callable[[Row], None] | None = None,
) -> Trainer:
    """Train to the last round and return the trainer, whose `averaged()` is the result.

    `cohort` holds the training images only. With a `folder` the training goes on from the
    checkpoint there and writes one every `checkpoint_minutes`, and at the end. `validate` is given
    the averaged networks every `validate_every` rounds and at the end; what it returns is added to
    the curve, with the losses of that round, and passed to `report`. Raises `ValueError` as
    `Trainer` does, and where the checkpoint belongs to another cohort or other settings.
    """
    folder = None if folder is None else Path(folder)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(cohort, architecture, config, device, folder)
    if folder is not None:
        trainer.load(folder)
    saved = started = time.monotonic()
    while trainer.round < config.rounds:
        trainer.step()
        last = trainer.round == config.rounds
        if trainer.round % config.validate_every == 0 or last:
            losses = {f"loss_{k}": round(float(v), 5) for k, v in trainer.losses.items()}  # waits
            trainer.seconds += time.monotonic() - started
            measured = validate(trainer.averaged()) if validate else {}
            seconds = {"seconds": round(trainer.seconds, 1)}
            trainer.curve.append({"round": trainer.round} | measured | losses | seconds)
            if report:
                report(trainer.curve[-1])
            started = time.monotonic()  # the pace counts the training alone
        if folder is not None and (last or time.monotonic() - saved > 60 * checkpoint_minutes):
            trainer.seconds += time.monotonic() - started
            trainer.save(folder)
            saved = started = time.monotonic()
    return trainer
