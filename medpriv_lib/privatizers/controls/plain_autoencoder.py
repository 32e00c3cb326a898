"""A plain autoencoder: what compression alone does, without any term for privacy."""

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch.nn import functional

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import channels_of, require_images, size_of, to_tensor, to_uint8
from medpriv_lib.core.precision import flushed_denormals, halved, in_full, native_bfloat16
from medpriv_lib.core.release import Release
from medpriv_lib.learning.augment import augment
from medpriv_lib.learning.checkpoint import (
    named,
    optimiser_tensors,
    part_of,
    read_checkpoint,
    restore_optimiser,
    write_checkpoint,
)
from medpriv_lib.privatizers.protocol import Compared, Privatizer, Resources
from medpriv_lib.privatizers.vgan.networks import Architecture, Generator

NAME = "plain-autoencoder"
BLOCK = 100  # steps whose random numbers are drawn at once; checkpoints lie between blocks


@dataclass(frozen=True)
class Steps:
    """How long the autoencoder is trained: `steps` of `batch` images, Adam from `rate` down a
    cosine; `strength` of the augmentation; a checkpoint every `keep` steps, a multiple of 100.
    """

    steps: int = 8000
    batch: int = 64
    rate: float = 1e-3
    strength: float = 0.5
    keep: int = 1000


class PlainAutoencoder(Privatizer):
    """Release what PPRL-VGAN's encoder and decoder show when they are trained to show the source.

    The code is as wide (128 numbers, no noise, one identity for all), the networks are half as
    wide, and the loss is the mean absolute difference of the pixels and nothing else. It tells how
    much of what a method hides is hidden by the narrow code alone.
    """

    name = NAME
    title = "Plain autoencoder"
    marker = "^"
    needs = "weights"
    compared = (Compared("plain autoencoder", {}, needs_visits=True),)
    control = True

    def __init__(self, network: Generator) -> None:
        """Take a trained network."""
        self.network = network

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the autoencoder in memory, that of the weights' folder, or the one that ships.

        Raises `NotApplicable` where there is none, `ValueError` where it is another cohort's.
        """
        cls.check(settings)
        if cls.name in resources.trained:
            method: Self = resources.trained[cls.name]
            return method
        folder = weights.DEFAULT if resources.weights is None else resources.weights
        if not (folder / f"{cls.name}.safetensors").is_file():
            raise NotApplicable(
                f"no autoencoder was trained: no {cls.name}.safetensors in the folder of the "
                "weights; train it with data_scripts/train_autoencoder.py"
            )
        tensors, card = weights.load(folder / cls.name, cls.name)
        if resources.cohort is not None:
            weights.require_cohort(card, resources.cohort)
        with weights.fitting(folder / cls.name):
            network = Generator(Architecture(**card["architecture"]))
            network.load_state_dict(in_full(tensors))
        return cls(network.eval())

    @torch.no_grad()
    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return every image decoded from its code; nothing is drawn."""
        a, n = self.network.architecture, len(cohort)
        require_images(cohort.images, a.size, a.channels, "autoencoder")
        device = next(self.network.parameters()).device
        parts = []
        for start in range(0, n, 32):
            x = to_tensor(cohort.images[start : start + 32], device)
            parts.append(to_uint8(_shown(self.network, x).cpu()))
        return Release(
            images=np.concatenate(parts),
            source=np.arange(n, dtype=np.int64),
            contributors=np.empty((n, 0), dtype=np.int64),
            method=self.name,
        )


class _Training:
    """A training in progress: its network, its optimiser, the steps that are done and the losses.

    All random numbers of a block follow from `seed` and its first step, so a training that goes on
    after a checkpoint goes on as it would have.
    """

    def __init__(
        self, architecture: Architecture, budget: Steps, seed: int, device: torch.device
    ) -> None:
        self.budget, self.seed, self.device = budget, seed, device
        self.network = Generator(architecture).to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), budget.rate, fused=True)
        self.half = native_bfloat16(device)
        self.step, self.losses = 0, list[float]()
        self.total = torch.zeros((), device=device)  # of the losses since the last checkpoint

    def restore(self, checkpoint: Path, told: dict[str, Any]) -> None:
        """Go on after the checkpoint of the same training, where there is one."""
        if (found := read_checkpoint(checkpoint, told)) is not None:
            tensors, state = found
            self.network.load_state_dict(part_of(tensors, "network"))
            restore_optimiser(self.optimiser, part_of(tensors, "optimiser"))
            self.step, self.losses = state["step"], state["curve"]["loss"]

    def block(self, images: torch.Tensor) -> None:
        """Learn from one block of batches."""
        budget = self.budget
        drawn = np.random.SeedSequence([self.seed, self.step]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(drawn))
        block = min(BLOCK, budget.steps - self.step)
        rows = torch.randint(len(images), (block, budget.batch), generator=generator)
        for some in rows.to(self.device):
            x = augment(images[some], generator, budget.strength).clamp(-1, 1)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                shown = _shown(self.network, x)
            loss = functional.l1_loss(shown.float(), x)
            rate = 0.5 * budget.rate * (1 + math.cos(math.pi * self.step / budget.steps))
            self.optimiser.param_groups[0]["lr"] = rate
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.total, self.step = self.total + loss.detach(), self.step + 1

    def write(self, checkpoint: Path, told: dict[str, Any]) -> None:
        """Note the mean loss since the last checkpoint, and write another one."""
        since = self.step % self.budget.keep or self.budget.keep
        self.losses.append(float(self.total) / since)
        self.total = torch.zeros((), device=self.device)
        tensors = named("network", self.network.state_dict())
        tensors |= named("optimiser", optimiser_tensors(self.optimiser))
        state = {"step": self.step, "curve": {"loss": self.losses}}
        write_checkpoint(checkpoint, tensors, state, told)


def fit_autoencoder(
    cohort: Cohort,
    folder: str | os.PathLike,
    seed: int = 0,
    *,
    budget: Steps | None = None,
    device: str | torch.device | None = None,
    report: Callable[[int, float], None] | None = None,
    command: str = "medpriv_lib.privatizers.controls.plain_autoencoder.fit_autoencoder",
) -> PlainAutoencoder:
    """Train the autoencoder on a cohort's training images and write it into `folder`.

    Stopped at any point, the same call goes on from the last checkpoint. `report(step, loss)` is
    told the mean loss since the last checkpoint. Raises `ValueError` where the folder holds another
    training, or weights of another cohort.
    """
    folder, budget = Path(folder), budget or Steps()
    if (folder / f"{NAME}.safetensors").is_file():
        return PlainAutoencoder.ready(Resources(cohort, folder))
    train = cohort.of("train")
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    architecture = Architecture(1, size_of(train.images), channels=channels_of(train.images))
    architecture = replace(
        architecture,
        encoder=tuple(width // 2 for width in architecture.encoder),
        decoder=tuple(width // 2 for width in architecture.decoder),
        refine=architecture.refine // 2,
    )
    checkpoint = folder / f"{NAME}-in-training"
    checkpoint.mkdir(parents=True, exist_ok=True)
    told = {"data": train.hash(), "seed": seed, "budget": asdict(budget)}
    forked = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=forked), flushed_denormals():
        torch.manual_seed(seed)
        training = _Training(architecture, budget, seed, device)
        training.restore(checkpoint, told)
        images = to_tensor(train.images, device)
        training.network.train()
        while training.step < budget.steps:
            training.block(images)
            if training.step % budget.keep < BLOCK or training.step >= budget.steps:
                training.write(checkpoint, told)
                if report is not None:
                    report(training.step, training.losses[-1])
    card = {
        "kind": NAME,
        "data_hash": cohort.hash(),
        "config": asdict(budget),
        "seed": seed,
        "command": command,
        "metrics": {"loss": training.losses[-1]},
        "curve": {"loss": training.losses},
        "architecture": asdict(architecture),
    }
    weights.save(folder / NAME, halved(training.network.state_dict()), card)
    shutil.rmtree(checkpoint)
    return PlainAutoencoder.ready(Resources(cohort, folder))


def _shown(network: Generator, x: torch.Tensor) -> torch.Tensor:
    """Return images decoded from the mean of their code; everybody has identity 0."""
    mu, _ = network.encoder(x)
    return network.decoder(mu, torch.zeros(len(x), dtype=torch.int64, device=x.device))
