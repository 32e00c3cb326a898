"""The Siamese verifier: two towers that put an eye's released and original images at the same place
of a sphere.

The first network learns from originals which images are of the same eye (Chopra, Hadsell and LeCun
2005; here with the normalised softmax of Zhai and Wu 2019 from pytorch-metric-learning, one proxy
per eye). An attacker who knows what was done to the images then trains a second tower, a copy of
the first at the start, on pairs of originals and released images: each released image is pulled
towards the originals of its eye and away from all others (the supervised contrastive loss of Khosla
et al. 2020), and towards its fellows that were released too. The first tower stays as it is, so
that the originals are embedded once for all methods, and one short training per released set serves
all attacks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import channels_of, size_of, to_tensor
from medpriv_lib.core.precision import flushed_denormals, native_bfloat16
from medpriv_lib.learning.augment import augment
from medpriv_lib.measures.anonymity import groups_of_equal

DIMENSIONS = 64
REMEDY = "the retrained attackers need pytorch-metric-learning: pip install pytorch-metric-learning"


@dataclass(frozen=True)
class Schedule:
    """How an embedding is trained: one cycle of the learning rate, up to `rate`, over `steps`
    batches.

    Steps and not epochs, so that few images take as long as many and are learned as well.
    `strength` scales the augmentation; `temperature` is that of the loss; `each` is how many images
    of an eye a batch takes together.
    """

    steps: int
    rate: float
    batch: int = 128
    strength: float = 1.0
    temperature: float = 0.07
    decay: float = 1e-2
    each: int = 4


ORIGINALS = Schedule(steps=300, rate=3e-3)
RELEASED = Schedule(steps=110, rate=2e-3, strength=0.5, temperature=0.1)
SCRATCH = Schedule(steps=300, rate=3e-3, strength=0.5, temperature=0.1)


class Embedder(nn.Module):
    """Four convolutions and a linear layer to a point on the unit sphere.

    Of the recogniser's kind, but the first convolution has a stride: a quarter of the work, since
    hundreds are trained. `size` is the height and width of the images in pixels, a multiple of 16;
    `channels` 1 for grey images and 3 for colours.
    """

    def __init__(self, size: int = 64, dimensions: int = DIMENSIONS, channels: int = 1) -> None:
        """Make the network with random weights from torch's global generator."""
        super().__init__()
        if size < 16 or size % 16:
            raise ValueError(
                f"attackers need images of 16, 32, 48, 64, … pixels, not {size}; prepare with "
                "--size 64"
            )
        self.size, self.dimensions, self.channels = size, dimensions, channels
        self.blocks = nn.Sequential(
            _block(channels, 32, 7, 2),
            _block(32, 64, 3, 2),
            _block(64, 64, 3),
            nn.MaxPool2d(2),
            _block(64, 128, 3),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Linear(128 * (size // 16) ** 2, dimensions)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return points of length 1 for images in [-1, 1]."""
        return functional.normalize(self.head(self.blocks(x)).float(), dim=1)


def identities(cohort: Cohort) -> Int64[np.ndarray, " n"]:
    """Return a number for each eye: two images have the same one where patient and side are the
    same.
    """
    sides = np.unique(cohort.eye, return_inverse=True)[1]
    return cohort.patient * (int(sides.max()) + 1) + sides


@torch.no_grad()
def embed(
    network: Embedder, images: UInt8[np.ndarray, "n h w"], batch: int = 128
) -> Float[np.ndarray, "n d"]:
    """Return the points (N, D), float32, of uint8 images; evaluation mode, on the CPU, never under
    autocast.

    Equal images have exactly equal points: each is embedded once.
    """
    network.eval()
    group = groups_of_equal(images)
    images = images[np.unique(group, return_index=True)[1]]
    parts = [
        network(to_tensor(images[i : i + batch]).contiguous(memory_format=torch.channels_last))
        for i in range(0, len(images), batch)
    ]
    return (torch.cat(parts) if parts else torch.zeros(0, network.dimensions)).numpy()[group]


def fit_originals(
    images: UInt8[np.ndarray, "n h w"],
    identity: Int64[np.ndarray, " n"],
    seed: int,
    schedule: Schedule = ORIGINALS,
) -> Embedder:
    """Train an embedding of originals from scratch; `identity` (N,) numbers the eyes in any way.

    Raises `NotApplicable` for fewer than two eyes, `ImportError` without pytorch-metric-learning.
    """
    losses = _losses()
    names, label = np.unique(identity, return_inverse=True)
    if len(names) < 2:
        raise NotApplicable(f"an embedding needs images of at least two eyes, not {len(names)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Embedder(size_of(images), channels=channels_of(images))
        loss = losses.NormalizedSoftmaxLoss(
            len(names), network.dimensions, temperature=schedule.temperature
        )
    return _train(
        network, list(loss.parameters()), images, label, lambda z, y: loss(z, y), seed, schedule
    )


def fit_released(
    first: Embedder | None,
    released: UInt8[np.ndarray, "n h w"],
    identity: Int64[np.ndarray, " n"],
    bank: Float[np.ndarray, "m d"],
    bank_identity: Int64[np.ndarray, " m"],
    seed: int,
    schedule: Schedule = RELEASED,
) -> Embedder:
    """Train a tower for released images; `first` is the originals' network to begin with, None
    begins from scratch.

    `released` (N, H, W) and the `identity` (N,) of each source's eye; `bank` (M, D) the originals
    as the first tower sees them, `bank_identity` (M,) their eyes in the same numbers. Errors as for
    `fit_originals`.
    """
    losses = _losses()
    if len(released) < 2:
        raise NotApplicable(f"an attacker cannot learn from {len(released)} released images")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Embedder(size_of(released), channels=channels_of(released))
    if first is not None:
        network.load_state_dict(first.state_dict())
    loss = losses.SupConLoss(temperature=schedule.temperature)
    known, eyes = torch.from_numpy(bank), torch.from_numpy(bank_identity)

    def both(z: Tensor, label: Tensor) -> Tensor:
        return loss(z, label, ref_emb=known, ref_labels=eyes) + loss(z, label)

    return _train(network, [], released, identity, both, seed, schedule)


def _train(
    network: Embedder,
    more: list[nn.Parameter],
    images: np.ndarray,
    label: np.ndarray,
    loss: Callable[[Tensor, Tensor], Tensor],
    seed: int,
    schedule: Schedule,
) -> Embedder:
    """Run all epochs; every random number follows from `seed`."""
    network.to(memory_format=torch.channels_last)
    parameters = [*network.parameters(), *more]
    optimiser = torch.optim.AdamW(
        parameters, schedule.rate, weight_decay=schedule.decay, fused=True
    )
    generator = torch.Generator().manual_seed(seed)
    x, y = to_tensor(images), torch.from_numpy(np.ascontiguousarray(label))
    warm = 0.2 if schedule.steps != 5 else 0.3  # a rise of one step would be divided by nothing
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, schedule.rate, total_steps=schedule.steps, pct_start=warm
    )
    half = native_bfloat16(torch.device("cpu"))
    batches: list[Tensor] = []
    network.train()
    with flushed_denormals():
        for _ in range(schedule.steps):
            if not batches:
                order = _order(label, schedule.each, generator)
                batches = list(order.tensor_split(max(1, len(x) // schedule.batch)))
            rows = batches.pop()
            batch = augment(x[rows], generator, schedule.strength).contiguous(
                memory_format=torch.channels_last
            )
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                points = network(batch)
            value = loss(points.float(), y[rows])
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            cycle.step()
    return network.eval()


def _order(label: np.ndarray, each: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
    """Return all rows in random order, up to `each` of the same label side by side, so that batches
    hold pairs.
    """
    rows = torch.randperm(len(label), generator=generator).numpy()
    rows = rows[np.argsort(label[rows], kind="stable")]
    new = np.flatnonzero(np.diff(label[rows], prepend=label[rows[0]] - 1))
    place = np.arange(len(rows)) - np.repeat(new, np.diff(np.append(new, len(rows))))
    chunk = np.cumsum(place % each == 0) - 1
    drawn = torch.randperm(int(chunk[-1]) + 1, generator=generator).numpy()
    return torch.from_numpy(rows[np.argsort(drawn[chunk], kind="stable")])


def _block(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


def _losses() -> Any:
    try:
        from pytorch_metric_learning import losses  # slow to import, and only attackers need it
    except ImportError as error:
        raise ImportError(REMEDY) from error
    return losses
