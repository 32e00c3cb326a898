"""The steps by which PPRL-VGAN is trained, and the state that they change: two generator and two
discriminator steps a round.

What Chen et al. fix is kept: the losses and their weights (`losses`), two generator steps a
round with fresh batches, smoothed labels for the discriminator, replacement identities drawn
uniformly from all patients. The rest are options of `Training`. Chen et al. take one discriminator
step a round; here that let the generator fool it with fine patterns, so each generator step is
followed by one.

Where the time goes: the decoder's convolutions, at the processor's peak. So the discriminator
learns from the images of the generator step before it instead of making its own, its own weight
gradients are skipped in generator steps, all data lies on the device, all random numbers of a step
are drawn there, and nothing is read back between two validations.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import require_images
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
from medpriv_lib.privatizers.vgan.draws import Draws
from medpriv_lib.privatizers.vgan.losses import (
    discriminator_loss,
    generator_loss,
    naming_loss,
    reconstruction_loss,
)
from medpriv_lib.privatizers.vgan.networks import Architecture, Discriminator, Generator
from medpriv_lib.privatizers.vgan.recognisers import frozen_recognisers
from medpriv_lib.privatizers.vgan.settings import Training

RECONSTRUCTION_RATE = 1e-3


class Trainer:
    """The state of one training: two networks, two optimisers, averaged generator, random numbers,
    round.
    """

    def __init__(
        self,
        train: Cohort,
        architecture: Architecture,
        config: Training,
        folder: Path | None = None,
    ) -> None:
        """Move the images to the device and build everything from `config.seed`.

        The frozen recognisers are trained here; a killed training of theirs goes on from what is in
        `folder`.
        """
        require_images(train.images, architecture.size, architecture.channels, "generator")
        # said outright, so that several processes on a machine without an accelerator find each
        # other (gloo)
        self.accelerator = Accelerator(cpu=not torch.accelerator.is_available())
        device = self.accelerator.device
        low = config.precision == "bf16" or (config.precision == "auto" and native_bfloat16(device))
        # not Accelerate's own mixed precision: that is one setting per Python process and cannot
        # change
        self.autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=low)
        self.config, self.architecture, self.device = config, architecture, device
        self.batch = config.batch // self.accelerator.num_processes
        if self.batch < 2:
            raise ValueError(
                f"batch {config.batch} leaves {self.batch} images per process; two are the least"
            )
        self.draws = Draws(
            train, self.batch, device, 1_000_003 * config.seed + self.accelerator.process_index
        )
        self._build()
        # the other processes find the finished ones in the folder
        with self.accelerator.main_process_first():
            self.recognisers = frozen_recognisers(
                train,
                config.frozen_recognisers,
                config.recogniser_epochs,
                config.seed,
                device,
                folder,
            )
        self.warmup, self.reconstruction = config.before()
        self.warmed, self.round, self.seconds = 0, 0, 0.0
        self.curve: list[dict[str, float]] = []
        # what has to be equal for a checkpoint to be of this training
        self.training = {
            "data": train.hash(),
            "architecture": asdict(architecture),
            "config": asdict(config),
            "precision": "bf16" if low else "no",
            "processes": self.accelerator.num_processes,
        }

    def _build(self) -> None:
        # layers take their first weights from the global generator only
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            generator = Generator(self.architecture)
            discriminator = Discriminator(self.architecture, self.config.discriminator_dropout)
        networks: tuple[torch.nn.Module, ...] = (generator, discriminator)
        for network in networks:
            network.to(self.device).to(memory_format=torch.channels_last).train()
        rate = self.config.learning_rate
        self.rates = (rate, self.config.discriminator_rate or rate)
        optimisers = [
            self.config.optimiser_of(network.parameters(), r)
            for network, r in zip(networks, self.rates, strict=True)
        ]
        self.bare_generator, self.bare_discriminator = generator, discriminator
        self.average = {
            key: value.detach().clone() for key, value in generator.state_dict().items()
        }
        (
            self.generator,
            self.discriminator,
            self.generator_optimiser,
            self.discriminator_optimiser,
        ) = self.accelerator.prepare(generator, discriminator, *optimisers)

    def _seen(self, images: Tensor) -> Tensor:
        """Return what D sees of the images."""
        return self.draws.distorted(images, self.config.augmentation)

    @contextlib.contextmanager
    def _dropout(self) -> Iterator[None]:
        # dropout draws from the global generator: seed it for this round alone, and leave it as it
        # was for the caller
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            step = self.config.seed * 1_000_003 + self.round + self.warmed
            torch.manual_seed(step * 1_009 + self.accelerator.process_index)
            yield

    def generator_step(self) -> Tensor:
        """One step of Equation 2; returns the made images, detached."""
        draws, rows = self.draws, self.draws.rows()
        c = draws.identities(self.architecture.patients)
        noise = draws.noise(self.architecture.latent)
        late = self.round >= self.config.recognisers_from * self.config.rounds
        joined = self.recognisers if late else []
        self.bare_discriminator.requires_grad_(False)
        with self.autocast():
            fake, mu, log_variance = self.generator(draws.images[rows], c, noise)
            seen = self._seen(fake)
            judged, named = self.bare_discriminator(seen), [network(seen) for network in joined]
        loss = generator_loss(
            judged,
            c,
            draws.task[rows],
            mu,
            log_variance,
            named=[logits.float() for logits in named],
        )
        self._descend(self.generator_optimiser, loss)
        self.bare_discriminator.requires_grad_(True)
        return fake.detach()

    def discriminator_step(self, fake: Tensor) -> None:
        """One step of Equation 1: real and made images in one pass, each distorted anew."""
        draws, rows = self.draws, self.draws.rows(self.config.reals)
        with self.autocast():
            heads = self.discriminator(self._seen(torch.cat([draws.images[rows], fake])))
        on_real, on_fake = zip(
            *(head.split([len(rows), self.batch]) for head in heads), strict=True
        )
        s = self.config.smoothing
        loss = discriminator_loss(
            on_real,
            on_fake,
            draws.patient[rows],
            draws.task[rows],
            draws.uniform(len(rows), 1 - s, 1),
            draws.uniform(self.batch, 0, s),
        )
        if self.config.r1 and self.round % self.config.r1_every == 0:
            slope = squared_slope(self._real, self._seen(draws.images[rows]))
            loss = loss + self.config.r1_every * self.config.r1 / 2 * slope
        self._descend(self.discriminator_optimiser, loss)

    def _real(self, images: Tensor) -> Tensor:
        """Return D^1's logits: is the image real?"""
        with self.autocast():
            return self.discriminator(images)[0]

    def warmup_step(self) -> None:
        """One step of the identity and task terms of Equation 1, on real images."""
        draws, rows = self.draws, self.draws.rows()
        with self._dropout(), self.autocast():
            _, identity, task = self.discriminator(self._seen(draws.images[rows]))
        loss = naming_loss(identity, task, draws.patient[rows], draws.task[rows])
        self._descend(self.discriminator_optimiser, loss)
        self.warmed += 1

    def reconstruction_step(self) -> None:
        """One step of a plain conditional variational autoencoder: each training image shown as its
        own patient.
        """
        draws, rows = self.draws, self.draws.rows()
        images, noise = draws.images[rows], draws.noise(self.architecture.latent)
        with self.autocast():
            shown, mu, log_variance = self.generator(images, draws.patient[rows], noise)
        loss = reconstruction_loss(shown, images, mu, log_variance)
        for group in self.generator_optimiser.param_groups:
            group["lr"] = RECONSTRUCTION_RATE
        self._descend(self.generator_optimiser, loss)
        self.warmed += 1

    def warm_up(self) -> None:
        """Take the steps that are still missing before the first round."""
        with flushed_denormals():
            while self.warmed < self.warmup:
                self.warmup_step()
            while self.warmed < self.warmup + self.reconstruction:
                self.reconstruction_step()

    def _descend(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad()
        self.accelerator.backward(loss)
        optimiser.step()

    def step(self) -> None:
        """One round: two generator steps, each or the last followed by D's, then the average moves
        on.
        """
        factor = self.config.slowing(self.round)
        for optimiser, rate in zip(
            (self.generator_optimiser, self.discriminator_optimiser), self.rates, strict=True
        ):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        with self._dropout(), flushed_denormals():
            # the discriminator's steps follow the last generator steps, on what these made
            for left in (1, 0):
                fake = self.generator_step()
                if left < self.config.discriminator_steps:
                    self.discriminator_step(fake)
        self.round += 1
        state = self.bare_generator.state_dict()
        follow(self.average, state, self.round, self.config.ema, start=9)

    def averaged(self) -> Generator:
        """Return the averaged generator, float32, in evaluation mode."""
        generator = Generator(self.architecture).to(self.device)
        generator.load_state_dict(self.average)
        return generator.eval()

    def save(self, folder: Path) -> None:
        """Write the checkpoint: the main process writes, all bring the states of their random
        numbers.
        """
        states = self.accelerator.gather(self.draws.random.get_state().to(self.device))
        states = states.view(self.accelerator.num_processes, -1)
        if not self.accelerator.is_main_process:
            return
        tensors = {"random": states} | named_parts(self._state())
        state = {key: getattr(self, key) for key in ("round", "warmed", "seconds", "curve")}
        write_checkpoint(folder, tensors, state, self.training)

    def load(self, folder: Path) -> bool:
        """Go on from the folder's checkpoint; False where there is none. Raises `ValueError` for
        another training's.
        """
        found = read_checkpoint(folder, self.training, self.device)
        if found is None:
            return False
        tensors, state = found
        self.bare_generator.load_state_dict(part_of(tensors, "generator"))
        self.bare_discriminator.load_state_dict(part_of(tensors, "discriminator"))
        self.average = part_of(tensors, "average")
        restore_optimiser(self.generator_optimiser, part_of(tensors, "generator_optimiser"))
        restore_optimiser(self.discriminator_optimiser, part_of(tensors, "discriminator_optimiser"))
        self.draws.random.set_state(tensors["random"][self.accelerator.process_index].cpu())
        for key, value in state.items():
            setattr(self, key, value)
        return True

    def _state(self) -> dict[str, dict[str, Tensor]]:
        return {
            "generator": self.bare_generator.state_dict(),
            "discriminator": self.bare_discriminator.state_dict(),
            "average": self.average,
            "generator_optimiser": optimiser_tensors(self.generator_optimiser),
            "discriminator_optimiser": optimiser_tensors(self.discriminator_optimiser),
        }
