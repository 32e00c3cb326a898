"""Split learning: the lower half of a network stays at the site, the upper half is the server's.

Gupta, Raskar (2018); Vepakomma et al. (2018). What crosses the cut are activations upwards and
gradients downwards, for every batch. The label stays at the site as well: the server returns the
logit, the site computes the loss and sends its derivative, which is the probability minus the
label and gives the label away to whoever thinks for a moment; `Crossing.label_gradient` holds it.

With `clip` and `noise` every activation vector is cut to a length and noised before it crosses: the
local differential privacy of `private.local_noise`, paid once for every epoch. A patient then sends
one image in an epoch.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from medpriv_lib.core.promise import Promise
from medpriv_lib.federation.private.accountant import Charge

PROMISE = Promise(
    "the image and its features",
    "the server that holds the upper half",
    "that activations cannot be turned back, which is no theorem",
    "a server that learns to invert the activations; the label, which the gradient tells",
)


@dataclass(frozen=True)
class SplitPlan:
    """`cut` activations cross; `epochs`, `batch` and `rate` of Adam; `clip` and `noise` of what
    crosses (noise is a multiple of 2 `clip`, the distance of two activations); class `weights`.
    """

    cut: int = 16
    epochs: int = 40
    batch: int = 64
    rate: float = 0.01
    clip: float = float("inf")
    noise: float = 0.0
    weights: tuple[float, float] = (0.65, 2.1)

    def __post_init__(self) -> None:
        """Refuse noise without a bound."""
        if self.noise > 0 and not self.clip < float("inf"):
            raise ValueError("noise without clipping hides nobody; choose a finite clip")

    def charge(self) -> Charge:
        """Return what a patient pays: one noised vector in every epoch."""
        return Charge(self.noise, 1.0, self.epochs)


@dataclass
class Crossing:
    """What crossed the cut: bytes up and down, and of the last epoch the rows, activations and
    label gradients that the server saw.
    """

    up: int = 0
    down: int = 0
    rows: list[Int64[np.ndarray, " b"]] = field(default_factory=list)
    activations: list[Float[np.ndarray, "b c"]] = field(default_factory=list)
    label_gradient: list[Float[np.ndarray, " b"]] = field(default_factory=list)


class Split(nn.Module):
    """The two halves: `lower` at the site, `upper` at the server."""

    def __init__(self, features: int, cut: int) -> None:
        """Make both with random weights from torch's global generator."""
        super().__init__()
        self.lower = nn.Sequential(nn.Linear(features, cut), nn.Tanh())
        self.upper = nn.Sequential(nn.Linear(cut, cut), nn.ReLU(), nn.Linear(cut, 1))

    def crossing(
        self, x: Float[Tensor, "b f"], plan: SplitPlan, generator: torch.Generator
    ) -> Float[Tensor, "b c"]:
        """Return what leaves the site for these vectors."""
        sent = self.lower(x)
        if plan.clip < float("inf"):
            sent = sent * (plan.clip / sent.norm(dim=1, keepdim=True).clamp_min(1e-9)).clamp(max=1)
        if plan.noise:
            sent = sent + 2 * plan.clip * plan.noise * torch.randn(sent.shape, generator=generator)
        return sent


def split_training(
    features: Float[np.ndarray, "n f"],
    diseased: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    plan: SplitPlan,
    generator: torch.Generator,
) -> tuple[Split, Crossing]:
    """Train both halves, and return them with what crossed.

    The first weights come from `generator`, as order, draws and noise do.
    """
    x, y = torch.from_numpy(features).float(), torch.from_numpy(diseased).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        network = Split(x.shape[1], plan.cut)
    site = torch.optim.Adam(network.lower.parameters(), plan.rate)
    server = torch.optim.Adam(network.upper.parameters(), plan.rate)
    crossed = Crossing()
    weight = torch.where(y > 0, plan.weights[1], plan.weights[0])
    for epoch in range(plan.epochs):
        for rows in _epoch_rows(patient, plan, generator).split(plan.batch):
            leaves = network.crossing(x[rows], plan, generator)
            arrived = leaves.detach().requires_grad_()  # the wire
            logit = network.upper(arrived)[:, 0]
            returned = logit.detach().requires_grad_()  # the wire
            loss = functional.binary_cross_entropy_with_logits(returned, y[rows], weight[rows])
            loss.backward()
            assert returned.grad is not None
            server.zero_grad()
            logit.backward(returned.grad)
            assert arrived.grad is not None
            server.step()
            site.zero_grad()
            leaves.backward(arrived.grad)
            site.step()
            crossed.up += 4 * (arrived.numel() + returned.numel())
            crossed.down += 4 * (arrived.numel() + returned.numel())
            if epoch == plan.epochs - 1:
                crossed.rows.append(rows.numpy())
                crossed.activations.append(arrived.detach().double().numpy())
                crossed.label_gradient.append(returned.grad.double().numpy())
    return network.eval(), crossed


def _epoch_rows(
    patient: np.ndarray, plan: SplitPlan, generator: torch.Generator
) -> Int64[Tensor, " m"]:
    """Return the images of an epoch in random order: all, or with noise one of each patient."""
    order = torch.randperm(len(patient), generator=generator)
    if not plan.noise:
        return order
    _, first = np.unique(patient[order.numpy()], return_index=True)
    return order[torch.from_numpy(np.sort(first))]


@torch.no_grad()
def split_scores(
    network: Split, features: Float[np.ndarray, "n f"], plan: SplitPlan, generator: torch.Generator
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n c"]]:
    """Return the logit of each vector, and the activations that crossed for it."""
    sent = network.crossing(torch.from_numpy(features).float(), plan, generator)
    return network.upper(sent)[:, 0].double().numpy(), sent.double().numpy()
