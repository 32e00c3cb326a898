"""The steps by which a disentangled network is trained, and the state that they change.

All images lie on the device, all random numbers of a step are drawn there, and nothing is read
back between two validations. A batch holds two images of each of its patients, so that the
verification form finds its pairs; the donors of the swaps are another permutation of the same
batch, which costs no encoding.
"""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import require_images, to_tensor
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
from medpriv_lib.learning.slope import squared_slope
from medpriv_lib.privatizers.disentangled.discriminator import Discriminator
from medpriv_lib.privatizers.disentangled.losses import discriminator_loss
from medpriv_lib.privatizers.disentangled.networks import Architecture, Networks
from medpriv_lib.privatizers.disentangled.objective import Batch, Objective
from medpriv_lib.privatizers.disentangled.settings import Training
from medpriv_lib.privatizers.vgan.recognisers import frozen_recognisers
from medpriv_lib.recognition.train import fit_recogniser

LABEL_SEED = 104_729  # of the frozen recogniser of the label


class Trainer:
    """The state of one training: networks and discriminator, two optimisers, the average, random
    numbers, round.
    """

    def __init__(
        self,
        train: Cohort,
        architecture: Architecture,
        config: Training,
        device: str | torch.device = "cpu",
        folder: Path | None = None,
    ) -> None:
        """Move the images to the device and build everything from `config.seed`.

        Frozen recognisers are trained here; a killed training of theirs goes on from what is in
        `folder`. Raises `ValueError` where the images do not fit the architecture, and where a
        label has no image.
        """
        a = architecture
        require_images(train.images, a.size, a.channels, "disentangled network")
        if train.diseased.all() or not train.diseased.any():
            raise ValueError("all training images have one label; disentangling needs both")
        self.device, self.config, self.architecture = torch.device(device), config, architecture
        low = config.precision == "bf16" or (
            config.precision == "auto" and native_bfloat16(self.device)
        )
        self.autocast = partial(torch.autocast, self.device.type, torch.bfloat16, enabled=low)
        self.images = to_tensor(train.images, self.device)
        self.patient = torch.from_numpy(train.patient).to(self.device)
        self.label = torch.from_numpy(train.diseased.astype(np.int64)).to(self.device)
        self.eye, self.rows_of, self.count_of = _rows_of(train, self.device)
        self._build()
        self.random = torch.Generator(self.device).manual_seed(1_000_003 * config.seed + 1)
        encode, generate = self.networks.encode, self.networks.generate
        if config.compile:
            encode, generate = torch.compile(encode), torch.compile(generate)
        self.objective = Objective(
            self.networks,
            self.discriminator,
            config,
            self._frozen(train, folder),
            self.random,
            encode,
            generate,
        )
        self.round, self.seconds = 0, 0.0
        self.curve: list[dict[str, float]] = []
        # what has to be equal for a checkpoint to be of this training
        self.training = {
            "data": train.hash(),
            "architecture": asdict(architecture),
            "config": asdict(config),
            "precision": "bf16" if low else "no",
        }
        self.losses: dict[str, Tensor] = {}

    def _build(self) -> None:
        with torch.random.fork_rng(devices=[]):  # first weights come from the global generator
            torch.manual_seed(self.config.seed)
            self.networks = Networks(self.architecture)
            self.discriminator = Discriminator(self.architecture)
        for network in (self.networks, self.discriminator):
            network.to(self.device).to(memory_format=torch.channels_last).train()
        c, hidden = self.config, self.networks.adversaries
        apart = {id(one) for one in hidden.parameters()}
        rest = [one for one in self.networks.parameters() if id(one) not in apart]
        self.rates = ((c.rate, c.adversary_rate), (c.discriminator_rate,))
        taught = ((rest, list(hidden.parameters())), (list(self.discriminator.parameters()),))
        self.optimisers = [
            torch.optim.AdamW(
                [{"params": one, "lr": r} for one, r in zip(groups, rates, strict=True)],
                betas=c.betas,
                weight_decay=0.0,
                fused=True,
            )
            for groups, rates in zip(taught, self.rates, strict=True)
        ]
        self.average = {k: v.detach().clone() for k, v in self.networks.state_dict().items()}

    def _frozen(self, train: Cohort, folder: Path | None) -> list[tuple[str, nn.Module]]:
        c, found = self.config, []
        if c.frozen_recognisers and c.named and c.swap != "none":
            patients = frozen_recognisers(
                train, c.frozen_recognisers, c.recogniser_epochs, c.seed, self.device, folder, False
            )
            label, _ = fit_recogniser(
                train,
                None,
                "disease",
                seed=LABEL_SEED * (c.seed + 1),
                epochs=c.recogniser_epochs,
                device=self.device,
                resume=None if folder is None else folder / "recogniser-label",
                progress=False,
            )
            found = [("patient", one) for one in patients]
            found.append(("label", label.merged().requires_grad_(False)))
        return found

    def _pairs(self) -> Int64[Tensor, " b"]:
        """Return a batch of rows: images at random, then for each another of the same eye (the same
        one where there is no other).
        """
        half, random = self.config.batch // 2, self.random
        first = torch.randint(len(self.images), (half,), generator=random, device=self.device)
        count = self.count_of[self.eye[first]]
        place = (torch.rand(half, generator=random, device=self.device) * count).long()
        second = self.rows_of[self.eye[first], place]
        beside = self.rows_of[self.eye[first], (place + 1) % count]
        return torch.cat([first, torch.where(second == first, beside, second)])

    def generator_step(self) -> tuple[Tensor, Tensor]:
        """One step of encoder, generator and heads; returns the images as they were encoded and the
        made ones, detached.
        """
        c, rows = self.config, self._pairs()
        x = self.images[rows]
        x = x if c.inputs is None else c.inputs(x, self.random).clamp(-1, 1)
        order = torch.randperm(c.batch, generator=self.random, device=self.device)
        batch = Batch(x, self.patient[rows], self.label[rows], order)
        self.discriminator.requires_grad_(False)
        with self.autocast():
            terms, shown = self.objective.terms(batch, c.strength(self.round))
        self._descend(0, torch.stack(list(terms.values())).sum())
        self.discriminator.requires_grad_(True)
        self.losses = {key: value.detach() for key, value in terms.items()}
        return x, shown.detach()

    def discriminator_step(self, x: Tensor, made: Tensor) -> None:
        """One step of the discriminator: originals and made images in one pass, each distorted."""
        c = self.config
        with self.autocast():
            judged, _ = self.discriminator(self.objective.seen(torch.cat([x, made])))
        loss = discriminator_loss(judged[: len(x)], judged[len(x) :])
        if c.r1 and self.round % c.r1_every == 0:
            slope = squared_slope(self._real, self.objective.seen(x))
            loss = loss + c.r1_every * c.r1 / 2 * slope
        self._descend(1, loss)

    def _real(self, images: Tensor) -> Tensor:
        with self.autocast():
            return self.discriminator(images)[0]

    def _descend(self, which: int, loss: Tensor) -> None:
        self.optimisers[which].zero_grad()
        loss.backward()
        self.optimisers[which].step()

    def step(self) -> None:
        """One round: a step of the networks, one of the discriminator, then the average moves."""
        factor = self.config.slowing(self.round)
        for optimiser, rates in zip(self.optimisers, self.rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        with flushed_denormals():
            judged = self.config.strength(self.round) > 0
            x, made = self.generator_step()
            if judged and (self.config.adversarial or self.config.features):
                self.discriminator_step(x, made)
        self.round += 1
        follow(self.average, self._tensors(), self.round, self.config.ema, start=9)

    def _tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self.networks.state_dict().items()}

    @property
    def done(self) -> int:
        """How many rounds are behind it."""
        return self.round

    def averaged(self) -> Networks:
        """Return the averaged networks, float32, in evaluation mode, on the training's device."""
        networks = Networks(self.architecture).to(self.device)
        networks.load_state_dict(self.average)
        return networks.eval().to(memory_format=torch.channels_last)

    def save(self, folder: Path) -> None:
        """Write the checkpoint."""
        tensors = {"random": self.random.get_state()} | named_parts(self._state())
        state = {"round": self.round, "seconds": self.seconds, "curve": self.curve}
        write_checkpoint(folder, tensors, state, self.training)

    def load(self, folder: Path) -> bool:
        """Go on from the folder's checkpoint; False where there is none. Raises `ValueError` for
        another training's.
        """
        found = read_checkpoint(folder, self.training, self.device)
        if found is None:
            return False
        tensors, state = found
        self.networks.load_state_dict(part_of(tensors, "networks"))
        self.discriminator.load_state_dict(part_of(tensors, "discriminator"))
        # a file keeps no memory layout
        for key, value in part_of(tensors, "average").items():
            self.average[key].copy_(value)
        for optimiser, part in zip(self.optimisers, ("optimiser", "its_optimiser"), strict=True):
            restore_optimiser(optimiser, part_of(tensors, part))
        self.random.set_state(tensors["random"].cpu())
        for key, value in state.items():
            setattr(self, key, value)
        return True

    def _state(self) -> dict[str, dict[str, Any]]:
        return {
            "networks": self._tensors(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average,
            "optimiser": optimiser_tensors(self.optimisers[0]),
            "its_optimiser": optimiser_tensors(self.optimisers[1]),
        }


def _rows_of(
    train: Cohort, device: torch.device
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, "e m"], Int64[Tensor, " e"]]:
    """Return which eye each image shows, each eye's rows, padded with 0, and how many there are.

    Where nobody says which eye, a patient has one.
    """
    _, eye = np.unique(2 * train.patient + (train.eye == "R"), return_inverse=True)
    count = np.bincount(eye)
    table = np.zeros((len(count), int(count.max())), dtype=np.int64)
    for number, many in enumerate(count):
        table[number, :many] = np.flatnonzero(eye == number)
    ready = [torch.from_numpy(one).to(device) for one in (eye.astype(np.int64), table, count)]
    return ready[0], ready[1], ready[2]
