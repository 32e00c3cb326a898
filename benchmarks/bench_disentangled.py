"""One round of disentanglement beside the plain PyTorch loop: float32, a DataLoader, one swap after
the other.

Both train the same networks on the same images with the same losses and distortions at the settings
that ship for the packaged cohorts: reconstruction, heads, adversaries, nine swap terms, frozen
recognisers, one step of the discriminator. The plain loop encodes and generates each swap by
itself, keeps images as channels first and reads every loss back, as a loop with a progress bar
does. Rounds of ours and of the peer take turns, on one thread, in processor seconds.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.learning.augment import Augmentation
from medpriv_lib.learning.average import follow
from medpriv_lib.learning.reversal import reversed_gradient
from medpriv_lib.privatizers.disentangled.discriminator import Discriminator
from medpriv_lib.privatizers.disentangled.losses import (
    discriminator_loss,
    feature_loss,
    fooling_loss,
    gradient_loss,
    ssim,
)
from medpriv_lib.privatizers.disentangled.networks import Architecture, Networks, Vectors
from medpriv_lib.privatizers.disentangled.settings import MOVED, Training
from medpriv_lib.privatizers.disentangled.trainer import Trainer

REPEATS = 7
# as shipped, but that the recognisers learn for one epoch, and everything counts from the start
SIZES = {"width": 32, "medical": 8, "other": 16, "norm": "batch"}
CONFIG = Training(
    rounds=10**6, alone=0.0, ramp=0.0, noise=0.3, r1=0.0, precision="no", recogniser_epochs=1
)


class Pairs(Dataset):
    """Two images of one eye, with patient and label of each."""

    def __init__(self, train: Cohort) -> None:
        """Keep the images as tensors, and which rows show the same eye."""
        self.images, self.train = to_tensor(train.images), train
        eye = 2 * train.patient + (train.eye == "R")
        self.same = [np.flatnonzero(eye == one) for one in eye]

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.images)

    def __getitem__(self, row: int) -> list[tuple[Tensor, int, int]]:
        """Return an image and another of its eye."""
        rows = (row, int(np.random.choice(self.same[row])))
        return [
            (self.images[one], int(self.train.patient[one]), int(self.train.diseased[one]))
            for one in rows
        ]


class PlainLoop:
    """What one writes first: the same method, none of the care."""

    def __init__(self, train: Cohort, architecture: Architecture, trainer: Trainer) -> None:
        """Build networks, optimisers and the loader; the frozen recognisers are the trainer's."""
        c = self.config = CONFIG
        self.loader = DataLoader(Pairs(train), c.batch // 2, shuffle=True, drop_last=True)
        self.batches = iter(self.loader)
        self.networks, self.d = Networks(architecture), Discriminator(architecture)
        self.average = {k: v.detach().clone() for k, v in self.networks.state_dict().items()}
        self.frozen = trainer.objective.recognisers
        self.optimiser = torch.optim.AdamW(self.networks.parameters(), c.rate, betas=c.betas)
        self.its_optimiser = torch.optim.AdamW(self.d.parameters(), c.rate, betas=c.betas)
        self.distort, self.random, self.round = Augmentation(), torch.Generator().manual_seed(0), 0

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return images, patients and labels of the next batch, the pairs' halves in turn."""
        try:
            found = next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            found = next(self.batches)
        x, patient, label = (torch.cat(list(one)) for one in zip(*found, strict=True))
        return MOVED(x, self.random).clamp(-1, 1), patient, label

    def noised(self, vectors: Vectors) -> Vectors:
        """Return the vectors with noise."""
        return vectors.mapped(lambda one: one + self.config.noise * torch.randn_like(one))

    def seen(self, images: Tensor) -> Tensor:
        """Return what the discriminator sees."""
        return self.distort(images, self.random)

    def swapped(self, v: Vectors, w: Vectors) -> tuple[Tensor, list[Tensor]]:
        """Return the sum of the nine terms and the three sets of images, one swap at a time."""
        total, images = torch.zeros(()), []
        for p in range(3):
            parts = [w[q] if q == p else v[q] for q in range(3)]
            image = self.networks.generator(torch.cat(parts, dim=1))
            again = self.networks.encoder(image + self.config.image_noise * torch.randn_like(image))
            for q in range(3):
                total = total + F.mse_loss(again[q], parts[q].detach())
            images.append(image)
        return total, images

    def step(self) -> dict[str, float]:
        """Do one round and read the losses back."""
        c = self.config
        x, patient, label = self.batch()
        order = torch.randperm(len(x))
        v = self.noised(self.networks.encoder(x))
        w = v.rows(order)
        made = self.networks.generator(v.joined())
        swapped, images = self.swapped(v, w)
        terms = {
            "l1": c.l1 * F.l1_loss(made, x),
            "gradient": c.gradient * gradient_loss(made, x),
            "ssim": c.ssim * (1 - ssim(made, x).mean()),
            "disease": c.disease
            * F.cross_entropy(self.networks.disease(v.medical, self.random), label),
            "identity": c.identity
            * F.cross_entropy(
                self.networks.patient(v.identity, self.random),
                patient,
                label_smoothing=c.smoothing,
            ),
            "swapped": c.swapped * swapped,
        }
        for name, head in self.networks.adversaries.items():
            target, part = name.split("_")
            weight = c.reverse_patient if target == "patient" else c.reverse_label
            vector = reversed_gradient(getattr(v, part), weight)
            truth = patient if target == "patient" else label
            terms[name] = F.cross_entropy(head(vector, self.random), truth)
        for number, (target, recogniser) in enumerate(self.frozen):
            truth, moved = (patient, 1) if target == "patient" else (label, 0)
            said = [
                F.cross_entropy(recogniser(image), truth[order] if p == moved else truth)
                for p, image in enumerate(images)
            ]
            terms[f"named {number}"] = c.named * torch.stack(said).mean() / len(self.frozen)
        shown = [made, *images]
        fooled = [fooling_loss(self.d(self.seen(one))[0]) for one in shown]
        terms["adversarial"] = c.adversarial * torch.stack(fooled).mean()
        terms["features"] = c.features * feature_loss(self.d(made)[1], self.d(x)[1])
        self.optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        self.optimiser.step()
        on_made = torch.cat([self.d(self.seen(one.detach()))[0] for one in shown])
        loss = discriminator_loss(self.d(self.seen(x))[0], on_made)
        self.its_optimiser.zero_grad()
        loss.backward()
        self.its_optimiser.step()
        self.round += 1
        follow(self.average, self.networks.state_dict(), self.round, c.ema, start=9)
        return {name: float(term.detach()) for name, term in terms.items()}


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    torch.set_num_threads(1)
    train = packaged_cohort("crossed").of("train")
    architecture = Architecture.of(train, **SIZES)
    ours = {"float32": Trainer(train, architecture, CONFIG)}
    ours["bfloat16"] = Trainer(train, architecture, replace(CONFIG, precision="bf16"))
    steps: dict[str, Callable[[], object]] = {name: one.step for name, one in ours.items()}
    steps["peer"] = PlainLoop(train, architecture, ours["float32"]).step
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(REPEATS + 2):
        for name, step in steps.items():
            start = time.process_time()
            step()
            if repeat >= 2:
                seconds[name].append(time.process_time() - start)
    peer = median(seconds["peer"])
    return [
        {
            "name": f"Disentangled, one round in {name}, beside a plain float32 loop",
            "ours": median(seconds[name]),
            "peer": peer,
            "ratio": peer / median(seconds[name]),
            "unit": "CPU s",
        }
        for name in ours
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:<72} {row['ours']:8.3f} {row['unit']}   peer {row['peer']:8.3f}  ratio "
            f"{row['ratio']:.2f}"
        )
