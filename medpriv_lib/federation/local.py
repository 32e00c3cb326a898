"""What one hospital does in one round: training from given weights on its own patients."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from medpriv_lib.core.pixels import require_images, to_tensor
from medpriv_lib.core.precision import flushed_denormals
from medpriv_lib.federation.sites import Site
from medpriv_lib.learning.augment import augment
from medpriv_lib.recognition.networks import Recogniser

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class LocalTraining:
    """How a site trains within one round; the same at all sites.

    `epochs` over its training images in batches of `batch`; `rate` of AdamW, whose state starts
    anew each round, so that a site remembers nothing; `decay` its weight decay; `proximal` the mu
    of FedProx (Li et al. 2020), which adds mu/2 |w - w_global|^2 to the loss (0: FedAvg);
    `strength` scales the augmentation; `dropout` of the dense layer; `class_weights` of (healthy,
    diseased), None: by the inverse frequency among the site's own training images.
    """

    epochs: int = 1
    batch: int = 16
    rate: float = 1e-3
    decay: float = 1e-2
    proximal: float = 0.0
    strength: float = 0.25
    dropout: float = 0.0
    class_weights: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        if self.epochs < 1 or self.batch < 1 or self.rate <= 0 or self.proximal < 0:
            raise ValueError(
                f"a site trains at least one epoch, in batches of at least one image, at a rate "
                f"above 0 and a proximal term of at least 0, not {self}"
            )

    def of_round(self, number: int, rounds: int) -> "LocalTraining":
        """Return the settings of round `number` (from 1) of `rounds`: the rate falls as a cosine
        from round to round.
        """
        done = (number - 1) / max(1, rounds)
        return replace(self, rate=self.rate * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True, eq=False)
class Update:
    """What a site sends after a round: its new `weights`, flat and in the network's order, how many
    `patients` they were learnt from, and the `metrics` that leave with them.
    """

    site: str
    weights: Weights
    patients: int
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(eq=False)
class Learning:
    """A round in progress at a site: all that one step needs.

    `images` (N, C, H, W) in [-1, 1] and `labels` (N,) are the training images, `patient` (N,) whose
    they are; `start` the weights that the round began with.
    """

    network: Recogniser
    optimiser: torch.optim.Optimizer
    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    patient: Int64[np.ndarray, " n"]
    class_weights: Float[Tensor, " classes"]
    start: list[Tensor]
    settings: LocalTraining


Step = Callable[[Learning, Int64[Tensor, " b"], torch.Generator], float]


class Fit(Protocol):
    """How a site trains one round: `fit_site`, or a function in its place."""

    def __call__(
        self, network: Recogniser, site: Site, settings: LocalTraining, generator: torch.Generator
    ) -> Update:
        """Train the network, which holds the round's first weights, in place; return the update."""


def plain_step(learning: Learning, rows: Int64[Tensor, " b"], generator: torch.Generator) -> float:
    """Learn from these training images; return the loss.

    The augmentation is drawn from `generator`, the dropout from torch's global generator.
    """
    settings = learning.settings
    x = augment(learning.images[rows], generator, settings.strength)
    output = learning.network(x.contiguous(memory_format=torch.channels_last))
    loss = functional.cross_entropy(output, learning.labels[rows], learning.class_weights)
    total = loss
    if settings.proximal:
        pairs = zip(learning.network.parameters(), learning.start, strict=True)
        total = loss + settings.proximal / 2 * sum(((w - w0) ** 2).sum() for w, w0 in pairs)
    learning.optimiser.zero_grad()
    total.backward()
    learning.optimiser.step()
    return float(loss.detach())


def begin(network: Recogniser, site: Site, settings: LocalTraining) -> Learning:
    """Return a site's round before its first step.

    Raises `ValueError` where the site's images are not those that the network reads.
    """
    train = site.train
    try:
        require_images(train.images, network.size, network.channels, "recogniser")
    except ValueError as error:
        raise ValueError(f"site {site.name}: {error}") from error
    labels = torch.from_numpy(train.diseased.astype(np.int64))
    counts = torch.bincount(labels, minlength=network.classes).float()
    weights = counts.mean() / counts.clamp_min(1)
    if settings.class_weights is not None:
        weights = torch.tensor(settings.class_weights)
    network.dropout.p = settings.dropout
    network.to(memory_format=torch.channels_last)  # a third faster on a CPU
    return Learning(
        network,
        torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=settings.decay),
        to_tensor(train.images),
        labels,
        train.patient,
        weights,
        [parameter.detach().clone() for parameter in network.parameters()],
        settings,
    )


def fit_site(
    network: Recogniser,
    site: Site,
    settings: LocalTraining,
    generator: torch.Generator,
    step: Step = plain_step,
) -> Update:
    """Train one site for one round from the weights that `network` holds, in place, and return what
    leaves the site: the new weights, the number of patients, the mean loss, images and steps.

    Order, augmentation and dropout follow from `generator`; torch's global generator is left as it
    was. A last batch of one image is left out. Errors as of `begin`.
    """
    learning = begin(network, site, settings)
    losses = []
    with torch.random.fork_rng(devices=[]), flushed_denormals():
        torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        network.train()
        for _ in range(settings.epochs):
            order = torch.randperm(len(learning.images), generator=generator)
            for rows in order.split(settings.batch):
                if len(rows) > 1 or len(order) == 1:
                    losses.append(step(learning, rows, generator))
    network.eval()
    metrics = {
        "loss": float(np.mean(losses)),
        "images": float(len(learning.images)),
        "steps": float(len(losses)),
    }
    return Update(site.name, weights_of(network), site.patients, metrics)


def weights_of(network: torch.nn.Module) -> Weights:
    """Return copies of all tensors of a network's state, on the CPU, in its order."""
    state = network.state_dict().items()
    plain = torch.contiguous_format  # whatever layout the training used
    return {name: one.detach().cpu().clone(memory_format=plain) for name, one in state}
