"""The loop around a training's step: when to validate, when to keep, and what the pace counts."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch


class Steps(Protocol):
    """A training that goes on by steps: what the loop needs of a trainer.

    `done` steps behind it, `seconds` they took, `device` they run on.
    """

    seconds: float
    device: torch.device

    @property
    def done(self) -> int:
        """How many steps are behind it."""

    def step(self) -> object:
        """Make one step."""

    def save(self, folder: Path) -> None:
        """Write the checkpoint."""

    def load(self, folder: Path) -> bool:
        """Go on from the checkpoint, where there is one."""


def run(
    trainer: Steps,
    total: int,
    every: int,
    validate: Callable[[], None],
    folder: Path | None = None,
    minutes: float = 3.0,
) -> None:
    """Make steps until `total` are done; `validate` is called every `every` of them and at the end.

    With a `folder`, made where missing, the training goes on from the checkpoint there and writes
    one every `minutes`, and at the end. `trainer.seconds` counts the steps alone: validation and
    writing are left out. Errors as of `trainer.load`.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        trainer.load(folder)
    started = saved = time.monotonic()
    while trainer.done < total:
        trainer.step()
        last = trainer.done == total
        if trainer.done % every == 0 or last:
            if trainer.device.type == "cuda":
                torch.cuda.synchronize(trainer.device)  # the pace counts what was computed
            trainer.seconds += time.monotonic() - started
            validate()
            started = time.monotonic()
        if folder is not None and (last or time.monotonic() - saved > 60 * minutes):
            trainer.seconds += time.monotonic() - started
            trainer.save(folder)
            started = saved = time.monotonic()
