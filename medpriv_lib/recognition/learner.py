"""What changes while a recogniser is trained, and the single step that changes it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from medpriv_lib.core.precision import native_bfloat16
from medpriv_lib.learning.augment import augment
from medpriv_lib.learning.checkpoint import (
    named,
    optimiser_tensors,
    part_of,
    read_checkpoint,
    restore_optimiser,
    write_checkpoint,
)
from medpriv_lib.recognition.networks import Recogniser

Target = Literal["identity", "eye", "disease"]


@dataclass(frozen=True)
class Settings:
    """How a recogniser is trained; the same settings, seed, data and machine give the same network.

    `rate` is the peak of a one-cycle learning rate (linear up over the first `warmup` of the steps,
    cosine down to 0); `patience` epochs without a better validation loss end the training;
    `balanced` weighs classes by inverse frequency; `strength` scales the augmentation (0: none);
    `dropout` is that of the dense layer of 32; `half` allows bfloat16 autocast in training where
    the processor has it (2 to 3 times faster; judging never uses it).
    """

    epochs: int = 40
    batch: int = 64
    rate: float = 4e-3
    decay: float = 1e-2
    warmup: float = 0.2
    smoothing: float = 0.05
    patience: int = 15
    balanced: bool = False
    strength: float = 1.0
    dropout: float = 0.5
    half: bool = True


DEFAULTS = {
    # with dropout .5 the 32 units do not learn to tell 115 patients apart: 15 % of the validation
    # images after 60 epochs at strength 1; at 32x32 and 20 epochs 2 % with it, 72 % without, 86 %
    # at half the strength and batch
    "identity": Settings(epochs=60, batch=32, strength=0.5, dropout=0.0),
    "disease": Settings(epochs=40, balanced=True),
    "eye": Settings(epochs=80, batch=64, rate=3e-3, strength=0.5, dropout=0.2),
}


class Learner:
    """A recogniser in training: network, optimiser, the best state so far; what a checkpoint holds.

    `images` (N, C, H, W) in [-1, 1] and `labels` (N,) are the training images, on one device.
    """

    def __init__(
        self,
        network: Recogniser,
        settings: Settings,
        images: Float[Tensor, "n c h w"],
        labels: Int64[Tensor, " n"],
        seed: int,
    ) -> None:
        """Take a network with its first weights, on the images' device."""
        self.network, self.settings, self.seed = network, settings, seed
        self.images, self.labels = images, labels
        self.optimiser = torch.optim.AdamW(
            network.parameters(), settings.rate, weight_decay=settings.decay, fused=True
        )
        self.epoch, self.best_epoch, self.best_loss = 0, 0, math.inf
        self.best = {k: v.clone() for k, v in network.state_dict().items()}
        self.curve: dict[str, list[float]] = {"train_loss": [], "val_loss": [], "val_accuracy": []}
        self.seconds = 0.0
        weights = torch.bincount(labels, minlength=network.classes).float()
        self.class_weights = weights.mean() / weights.clamp_min(1) if settings.balanced else None
        self.half = settings.half and native_bfloat16(images.device)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the best is older than the patience allows."""
        late = self.epoch - self.best_epoch > self.settings.patience and self.best_loss < math.inf
        return self.epoch >= self.settings.epochs or late

    def step(self, rows: Int64[Tensor, " b"], generator: torch.Generator, rate: float) -> Tensor:
        """Learn from these training images at this rate; return the loss, a detached scalar.

        The augmentation is drawn from `generator`, the dropout from torch's global one.
        """
        x = self.distorted(self.images[rows], generator)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.half):
            output = self.network(x)
        loss = functional.cross_entropy(
            output.float(),
            self.labels[rows],
            self.class_weights,
            label_smoothing=self.settings.smoothing,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def distorted(
        self, x: Float[Tensor, "n c h w"], generator: torch.Generator
    ) -> Float[Tensor, "n c h w"]:
        """Return a batch as it is learnt from, a little changed."""
        return augment(x, generator, self.settings.strength)

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step: one cycle (Smith 2018) with a cosine fall
        (Loshchilov, Hutter 2017).
        """
        warm = max(1, round(self.settings.warmup * steps))
        if step < warm:
            return self.settings.rate * (step + 1) / warm
        done = (step - warm) / max(1, steps - warm)
        return self.settings.rate * 0.5 * (1 + math.cos(math.pi * done))

    def end_epoch(self, row: dict[str, float]) -> None:
        """Note an epoch's quantities, and keep the state where the validation loss is the lowest so
        far; without one, always.
        """
        self.epoch += 1
        for key, value in row.items():
            self.curve[key].append(value)
        if "val_loss" not in row or row["val_loss"] < self.best_loss:
            self.best_loss, self.best_epoch = row.get("val_loss", math.inf), self.epoch
            self.best = {k: v.clone() for k, v in self.network.state_dict().items()}

    def save(self, folder: Path, training: dict[str, Any]) -> None:
        """Write everything in one file, so that no kill can leave half of it."""
        tensors = named("network", self.network.state_dict()) | named("best", self.best)
        tensors |= named("optimiser", optimiser_tensors(self.optimiser))
        state = {key: getattr(self, key) for key in ("epoch", "best_epoch", "curve", "seconds")}
        # JSON has no infinity
        state["best_loss"] = self.best_loss if self.best_loss < math.inf else None
        write_checkpoint(folder, tensors, state, training)

    def restore(self, folder: Path, training: dict[str, Any]) -> None:
        """Go on from a checkpoint, where there is one; errors as of `read_checkpoint`."""
        found = read_checkpoint(folder, training)
        if found is None:
            return
        tensors, state = found
        self.network.load_state_dict(part_of(tensors, "network"))
        best = part_of(tensors, "best")
        self.best = {k: best[k].to(v.device) for k, v in self.best.items()}
        restore_optimiser(self.optimiser, part_of(tensors, "optimiser"))
        self.epoch, self.best_epoch = state["epoch"], state["best_epoch"]
        self.curve, self.seconds = state["curve"], state["seconds"]
        self.best_loss = math.inf if state["best_loss"] is None else state["best_loss"]
