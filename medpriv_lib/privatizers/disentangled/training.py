"""The training of a disentangled network from the first step to the last: resumable at any moment
to the same end.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.learning.rounds import run
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

    def measure() -> None:
        losses = {f"loss_{name}": round(float(loss), 5) for name, loss in trainer.losses.items()}
        measured = validate(trainer.averaged()) if validate else {}
        seconds = {"seconds": round(trainer.seconds, 1)}
        trainer.curve.append({"round": trainer.round} | measured | losses | seconds)
        if report:
            report(trainer.curve[-1])

    run(trainer, config.rounds, config.validate_every, measure, folder, checkpoint_minutes)
    return trainer
