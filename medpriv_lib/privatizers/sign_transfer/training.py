"""The training of sign transfer on rendered scenes: resumable at any moment to the same end.

All scenes lie on the device, every random number of a step is drawn there, and nothing is read back
between two validations.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medpriv_lib.core.precision import flushed_denormals, native_bfloat16
from medpriv_lib.learning.average import follow
from medpriv_lib.learning.checkpoint import (
    named_parts,
    optimiser_tensors,
    part_of,
    read_checkpoint,
    restore_optimiser,
    write_checkpoint,
)
from medpriv_lib.learning.reversal import reversed_gradient
from medpriv_lib.learning.rounds import run
from medpriv_lib.privatizers.sign_transfer.adversary import (
    Matcher,
    matching_loss,
)
from medpriv_lib.privatizers.sign_transfer.distort import Distortion, lit, moved
from medpriv_lib.privatizers.sign_transfer.losses import Batch, Weights, change, loss
from medpriv_lib.privatizers.sign_transfer.network import Architecture, Network
from medpriv_lib.privatizers.sign_transfer.scenes import EYES, TARGETS, Scenes

Row = dict[str, float]


@dataclass(frozen=True)
class Training:
    """The budget and every option; all of it is written into the card of the weights.

    `healthy` the share of sources that are twins and ask for nothing; `ema` the decay per step of
    the averaged network, the one that is kept; `warmup` steps over which the learning rate rises
    before it falls as a cosine. `adversary`, if not 0, weighs the opponent's reversed gradient.
    `precision` "auto" takes bfloat16 where the processor multiplies it natively, "no" never does.
    """

    steps: int = 6000
    batch: int = 256
    rate: float = 3e-3
    weight_decay: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    warmup: int = 200
    ema: float = 0.998
    healthy: float = 0.35
    adversary: float = 0.0
    weights: Weights = field(default_factory=Weights)
    distortion: Distortion = field(default_factory=Distortion)
    precision: str = "auto"
    seed: int = 0
    validate_every: int = 500


class Held:
    """Scenes on a device, and batches drawn from them."""

    def __init__(self, scenes: Scenes, device: str | torch.device) -> None:
        """Move the scenes to the device, as bytes."""
        kept = (scenes.images, scenes.twins, scenes.evidence.astype(np.uint8))
        self.images, self.twins, self.evidence = (torch.from_numpy(a).to(device) for a in kept)
        self.ratio = torch.from_numpy(scenes.ratio).to(device)

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.images)

    def pairs(self, scene: Tensor, i: Tensor, j: Tensor, healthy: Tensor) -> Batch:
        """Return eyes i of the scenes as sources and eyes j as targets, undistorted.

        A healthy source is the twin of eye i, and wants of eye j what it is without the signs.
        """
        x, t, y, s = (
            _signed(part[scene, eye])
            for eye, part in ((i, self.images), (i, self.twins), (j, self.images), (j, self.twins))
        )
        mask, other = (self.evidence[scene, eye][:, None].float() for eye in (i, j))
        source = torch.where(healthy[:, None, None, None], t, x)
        return Batch(source, x, t, y, s, mask, other, healthy, self.ratio[scene])

    def draw(self, n: int, healthy: float, generator: torch.Generator) -> Batch:
        """Return n random pairs; the target is another eye with open lids."""
        device = self.images.device
        ints = partial(torch.randint, size=(n,), generator=generator, device=device)
        scene, i = ints(0, len(self)), ints(0, EYES)
        j = ints(EYES - TARGETS, EYES)
        j = torch.where(i == j, 2 * EYES - TARGETS - 1 - j, j)
        ill = torch.rand(n, generator=generator, device=device) >= healthy
        return self.pairs(scene, i, j, ~ill)


def distorted(batch: Batch, d: Distortion, generator: torch.Generator) -> Batch:
    """Return the pairs as they are taught: moved together, the source in another light."""
    stack, grown = moved(torch.cat(batch[:7], 1), d, generator)
    source, x, t, y, s, mask, other = stack.split(1, 1)
    source = lit(source, d, generator)
    mask, other = (mask > 0.5).float(), (other > 0.5).float()
    return Batch(source, x, t, y, s, mask, other, batch.healthy, batch.ratio * grown)


class Trainer:
    """The state of one training."""

    def __init__(
        self,
        scenes: Scenes,
        architecture: Architecture,
        config: Training,
        device: str | torch.device = "cpu",
    ) -> None:
        """Move the scenes to the device and build everything from `config.seed`.

        Raises `ValueError` for scenes of another size than the network's.
        """
        if scenes.images.shape[-1] != architecture.size:
            raise ValueError(
                f"scenes of {scenes.images.shape[-1]} px do not fit a network of "
                f"{architecture.size} px; render them in that size"
            )
        self.config, self.architecture, self.device = config, architecture, torch.device(device)
        self.held = Held(scenes, self.device)
        low = config.precision == "auto" and native_bfloat16(self.device)
        self.autocast = partial(torch.autocast, self.device.type, torch.bfloat16, enabled=low)
        with torch.random.fork_rng(devices=[]):  # layers start from the global generator only
            torch.manual_seed(config.seed)
            self.network, self.matcher = Network(architecture), Matcher()
        for one in (self.network, self.matcher):
            one.to(self.device).to(memory_format=torch.channels_last).train()
        learners = [self.network, self.matcher] if config.adversary else [self.network]
        self.parameters = [parameter for one in learners for parameter in one.parameters()]
        self.optimiser = torch.optim.AdamW(
            self.parameters,
            config.rate,
            config.betas,
            weight_decay=config.weight_decay,
            fused=True,
        )
        state = self.network.state_dict()
        self.average = {key: value.detach().clone() for key, value in state.items()}
        self.random = torch.Generator(self.device).manual_seed(1_000_003 * config.seed + 7)
        self.step_number, self.seconds = 0, 0.0
        self.curve: list[Row] = []
        self.training = {
            "data": digest(scenes),
            "architecture": asdict(architecture),
            "config": asdict(config),
            "precision": "bf16" if low else "no",
        }

    def step(self) -> None:
        """One step: draw, distort, read, descend; then the average moves on."""
        config = self.config
        done = self.step_number / config.steps
        rise = min(1.0, (self.step_number + 1) / max(1, config.warmup))
        rate = config.rate * rise * 0.5 * (1 + math.cos(math.pi * done)) + 1e-5
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        plain = self.held.draw(config.batch, config.healthy, self.random)
        batch = distorted(plain, config.distortion, self.random)
        with flushed_denormals():
            with self.autocast():
                reading = self.network(batch.source)
            total = loss(reading, batch, config.weights)
            if config.adversary:
                # the eye as it was before it was moved: how it was moved is no part of who it is
                seen = reversed_gradient(change(reading, batch.s), config.adversary)
                with self.autocast():
                    scores = self.matcher(seen, plain.t)
                total = total + matching_loss(scores, batch.healthy)
            self.optimiser.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimiser.step()
        self.step_number += 1
        state = self.network.state_dict()
        follow(self.average, state, self.step_number, self.config.ema, start=20)

    @property
    def done(self) -> int:
        """How many steps are behind it."""
        return self.step_number

    def averaged(self) -> Network:
        """Return the averaged network in evaluation mode."""
        network = Network(self.architecture).to(self.device)
        network.load_state_dict(self.average)
        return network.eval()

    def save(self, folder: Path) -> None:
        """Write the checkpoint."""
        tensors = {"random": self.random.get_state()} | named_parts(self._state())
        state = {key: getattr(self, key) for key in ("step_number", "seconds", "curve")}
        write_checkpoint(folder, tensors, state, self.training)

    def load(self, folder: Path) -> bool:
        """Go on from the folder's checkpoint; False where there is none. Raises `ValueError` for
        another training's.
        """
        found = read_checkpoint(folder, self.training, self.device)
        if found is None:
            return False
        tensors, state = found
        self.network.load_state_dict(part_of(tensors, "network"))
        self.matcher.load_state_dict(part_of(tensors, "matcher"))
        self.average = part_of(tensors, "average")
        restore_optimiser(self.optimiser, part_of(tensors, "optimiser"))
        self.random.set_state(tensors["random"].cpu())
        for key, value in state.items():
            setattr(self, key, value)
        return True

    def _state(self) -> dict[str, dict[str, Tensor]]:
        return {
            "network": self.network.state_dict(),
            "matcher": self.matcher.state_dict(),
            "average": self.average,
            "optimiser": optimiser_tensors(self.optimiser),
        }


def train(
    scenes: Scenes,
    architecture: Architecture,
    config: Training,
    device: str | torch.device = "cpu",
    folder: str | Path | None = None,
    validate: Callable[[Network], Row] | None = None,
    checkpoint_minutes: float = 3.0,
    report: Callable[[Row], None] | None = None,
) -> Trainer:
    """Train to the last step and return the trainer, whose `averaged()` is the result.

    With a `folder` the training goes on from the checkpoint there and writes one every
    `checkpoint_minutes`, and at the end. `validate` is given the averaged network every
    `validate_every` steps; what it returns is added to the curve and passed to `report`. Raises
    `ValueError` where the checkpoint belongs to other scenes or settings.
    """
    trainer = Trainer(scenes, architecture, config, device)

    def measure() -> None:
        row = {"step": trainer.done, "seconds": round(trainer.seconds, 2)}
        trainer.curve.append(row | (validate(trainer.averaged()) if validate else {}))
        if report:
            report(trainer.curve[-1])

    kept = None if folder is None else Path(folder)
    run(trainer, config.steps, config.validate_every, measure, kept, checkpoint_minutes)
    return trainer


def digest(scenes: Scenes) -> str:
    """Return 16 hexadecimal digits that change when any scene changes."""
    found = hashlib.sha256(repr(scenes.images.shape).encode())
    for part in (scenes.images, scenes.twins, scenes.evidence, scenes.ratio):
        found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:16]


def _signed(levels: Tensor) -> Tensor:
    return levels[:, None].float() / 127.5 - 1
