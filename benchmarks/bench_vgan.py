"""One PPRL-VGAN round beside the plain PyTorch loop: float32, a DataLoader, a generator pass for
every step.

Both train the same networks on the same images with the same losses and distortions, one
discriminator and two generator steps a round at batch 64, on all cores; rounds of ours and of the
peer take turns. Generation: privatised images per second beside a loop over single images.
"""

import dataclasses
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_tensor, to_uint8
from medpriv_lib.core.precision import native_bfloat16
from medpriv_lib.learning.augment import Augmentation
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.losses import discriminator_loss, generator_loss
from medpriv_lib.privatizers.vgan.networks import Architecture, Discriminator, Generator
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.trainer import Trainer

REPEATS, BATCH, PATIENTS = 7, 64, 115


def make_cohort(n: int = 1167) -> Cohort:
    rng = np.random.default_rng(0)
    return Cohort(
        rng.integers(0, 256, (n, 64, 64), dtype=np.uint8),
        np.arange(n) % PATIENTS,
        np.full(n, "L"),
        rng.random(n) < 0.24,
        np.full(n, "train"),
        np.arange(PATIENTS).astype(str),
    )


class PlainLoop:
    """What one writes first: the same method, none of the care."""

    def __init__(self, cohort: Cohort, architecture: Architecture, device: torch.device) -> None:
        """Build networks, optimisers and the loader."""
        self.device, self.a = device, architecture
        data = TensorDataset(
            to_tensor(cohort.images),
            torch.from_numpy(cohort.patient),
            torch.from_numpy(cohort.diseased.astype(np.int64)),
        )
        self.loader = DataLoader(data, BATCH, shuffle=True, drop_last=True)
        self.batches = iter(self.loader)
        self.g, self.d = Generator(architecture).to(device), Discriminator(architecture).to(device)
        self.g_optimiser = torch.optim.Adam(self.g.parameters(), 3e-4)
        self.d_optimiser = torch.optim.Adam(self.d.parameters(), 3e-4)
        self.distort, self.random = Augmentation(), torch.Generator(device).manual_seed(0)

    def batch(self) -> list[torch.Tensor]:
        """Return images, patients and labels of the next batch."""
        try:
            found = next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            found = next(self.batches)
        return [part.to(self.device) for part in found]

    def make(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the identities drawn and what the generator makes of the images."""
        c = torch.randint(self.a.patients, (BATCH,), device=self.device)
        return (c, *self.g(images, c, torch.randn(BATCH, self.a.latent, device=self.device)))

    def step(self) -> None:
        """Do one round."""
        images, patient, task = self.batch()
        fake = self.make(images)[1].detach()
        on_real, on_fake = (self.d(self.distort(shown, self.random)) for shown in (images, fake))
        ones = torch.ones(BATCH, device=self.device)
        loss = discriminator_loss(on_real, on_fake, patient, task, ones * 0.95, ones * 0.05)
        self.d_optimiser.zero_grad()
        loss.backward()
        self.d_optimiser.step()
        for _ in range(2):
            images, _, task = self.batch()
            c, fake, mu, log_variance = self.make(images)
            loss = generator_loss(
                self.d(self.distort(fake, self.random)), c, task, mu, log_variance
            )
            self.g_optimiser.zero_grad()
            loss.backward()
            self.g_optimiser.step()


def timed(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def training_rows(cohort: Cohort) -> list[dict]:
    architecture = Architecture(cohort.patients)
    # the peer's round: no recognisers beside D, no slope penalty, one step of D
    config = Training(
        rounds=10**6,
        batch=BATCH,
        precision="no",
        discriminator_steps=1,
        r1=0.0,
        frozen_recognisers=0,
    )
    ours = {"float32": Trainer(cohort, architecture, config)}
    device = ours["float32"].device
    if native_bfloat16(device):
        ours["bfloat16"] = Trainer(
            cohort, architecture, dataclasses.replace(config, precision="bf16")
        )
    torch.set_flush_denormal(False)  # the plain loop does not know of it
    steps: dict[str, Callable[[], object]] = {name: one.step for name, one in ours.items()}
    steps["peer"] = PlainLoop(cohort, architecture, device).step
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(REPEATS + 2):
        for name, step in steps.items():
            torch.set_flush_denormal(name != "peer")
            spent = timed(step, device)
            if repeat >= 2:
                seconds[name].append(spent)
    plain = median(seconds["peer"])
    return [
        {
            "name": f"PPRL-VGAN, one round in {name}, beside a plain float32 loop ({device.type})",
            "ours": median(seconds[name]),
            "peer": plain,
            "ratio": plain / median(seconds[name]),
            "unit": "s",
        }
        for name in ours
    ]


def generation_row(cohort: Cohort) -> dict:
    vgan = PPRLVGAN("random", Generator(Architecture(cohort.patients)).eval(), Pools.of(cohort))
    few = cohort.take(np.arange(128))

    def one_by_one() -> None:
        generator = torch.Generator().manual_seed(0)
        for i in range(len(few)):
            with torch.no_grad():
                mu, log_variance = vgan.generator.encoder(to_tensor(few.images[i : i + 1]))
                z = mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)
                to_uint8(
                    vgan.generator.decoder(z, torch.randint(PATIENTS, (1,), generator=generator))
                )

    def batched() -> None:
        vgan.privatize(few, torch.Generator().manual_seed(0))

    speed: dict[str, list[float]] = {"ours": [], "peer": []}
    for repeat in range(REPEATS + 1):
        for name, work in (("ours", batched), ("peer", one_by_one)):
            spent = timed(work, torch.device("cpu"))
            if repeat:
                speed[name].append(len(few) / spent)
    ours, peer = median(speed["ours"]), median(speed["peer"])
    return {
        "name": "PPRL-VGAN, privatised images beside one at a time",
        "ours": ours,
        "peer": peer,
        "ratio": ours / peer,
        "unit": "images/s",
    }


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    cohort = make_cohort()
    return [*training_rows(cohort), generation_row(cohort)]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:<72} {row['ours']:8.3f} {row['unit']}   peer {row['peer']:8.3f}  ratio "
            f"{row['ratio']:.2f}"
        )
