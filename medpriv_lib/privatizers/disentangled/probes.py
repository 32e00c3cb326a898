"""What does each vector tell? A linear and a small network read patient and label from it.

A probe learns from the vectors of the training images and is asked about those of other images. Its
accuracy stands beside chance; a vector that hides something well gives the probe chance. A probe
that fails shows that these probes fail, not that nothing is there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from medpriv_lib.core.intervals import bootstrap, mean_interval
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.disentangled.networks import PARTS, Vectors

Kind = Literal["linear", "network"]
Target = Literal["patient", "label"]
KINDS: tuple[Kind, ...] = ("linear", "network")
DECAYS = (1e-5, 1e-3, 3e-2, 3e-1)  # of the squared weights, added to the loss
HIDDEN, RATES = 128, {"linear": 3e-2, "network": 5e-3}


@dataclass(frozen=True)
class Probed:
    """What a probe read of `target` from the vector `part`.

    For the patient `accuracy` is the share named right, `chance` one in as many as were learned;
    for the label the mean of both labels' shares (so that naming the commoner label gains nothing),
    `chance` .5. `low` and `high` are the ends of the 95 % interval over patients; `n` images.
    """

    part: str
    target: Target
    kind: Kind
    accuracy: float
    low: float
    high: float
    chance: float
    n: int

    @property
    def times_chance(self) -> float:
        """The upper end in chances: 1 where nothing can be read."""
        return self.high / self.chance


@dataclass(frozen=True, eq=False)
class Known:
    """Vectors with what is known of their images: `patient` int64 (N,), `label` bool (N,)."""

    vectors: Vectors
    patient: Int64[np.ndarray, " n"]
    label: Bool[np.ndarray, " n"]


def probes(
    train: Known,
    test: Known,
    kinds: Iterable[Kind] = KINDS,
    steps: int = 400,
    decays: tuple[float, ...] = DECAYS,
    seed: int = 0,
) -> list[Probed]:
    """Return every probe of every vector that there is, by part, target and kind.

    The patient is asked for only where test patients have training images; images of others are
    left out of that question.
    """
    found = []
    shared = np.isin(test.patient, train.patient)
    for part in PARTS:
        learned, asked = getattr(train.vectors, part), getattr(test.vectors, part)
        if learned.shape[1] == 0:
            continue
        for kind in kinds:
            if shared.any():
                rows = torch.from_numpy(shared).to(asked.device)
                result = probe(
                    learned, train.patient, asked[rows], test.patient[shared], kind, steps, decays,
                    seed,
                )  # fmt: skip
                found.append(_patient(part, kind, result, test.patient[shared], train.patient))
            result = probe(
                learned, train.label.astype(np.int64), asked, test.label.astype(np.int64), kind,
                steps, decays, seed,
            )  # fmt: skip
            found.append(_label(part, kind, result, test))
    return found


def _patient(
    part: str,
    kind: Kind,
    right: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    learned: Int64[np.ndarray, " m"],
) -> Probed:
    low, high = mean_interval(right, patient)
    chance = 1 / len(np.unique(learned))
    return Probed(part, "patient", kind, float(right.mean()), low, high, chance, len(right))


def _label(part: str, kind: Kind, right: Bool[np.ndarray, " n"], test: Known) -> Probed:
    ill = test.label
    sums = np.stack([right & ill, ill, right & ~ill, ~ill], axis=1).astype(np.float64)

    def balanced(total: Float[np.ndarray, "d 4"]) -> Float[np.ndarray, " d"]:
        return (total[:, 0] / total[:, 1] + total[:, 2] / total[:, 3]) / 2

    low, high = bootstrap(sums, test.patient, balanced)
    accuracy = float(balanced(sums.sum(axis=0, keepdims=True))[0])
    return Probed(part, "label", kind, accuracy, low, high, 0.5, len(right))


def probe(
    learned: Float[Tensor, "n d"],
    truth: Int64[np.ndarray, " n"],
    asked: Float[Tensor, "m d"],
    asked_truth: Int64[np.ndarray, " m"],
    kind: Kind = "linear",
    steps: int = 400,
    decays: tuple[float, ...] = DECAYS,
    seed: int = 0,
) -> Bool[np.ndarray, " m"]:
    """Return which of the `asked` images a probe reads right that learned from other images.

    The weight decay is the one of `decays` that does best on a fifth of the learned images, then
    all of them teach. Classes weigh the same, however many images they have. Raises `NotApplicable`
    where an asked class was never learned, and where there is only one.
    """
    classes, number = np.unique(truth, return_inverse=True)
    if not np.isin(asked_truth, classes).all() or len(classes) < 2:
        raise NotApplicable("a probe can be asked only for classes that it learned, two or more")
    device = learned.device
    y = torch.from_numpy(number.astype(np.int64)).to(device)
    mean, spread = learned.mean(0), learned.std(0).clamp_min(1e-6)
    x, z = (learned - mean) / spread, (asked - mean) / spread
    chosen = decays[0]
    if len(decays) > 1:
        held = torch.from_numpy(np.random.default_rng(seed).random(len(y)) < 0.2).to(device)
        scores = [
            _balanced_loss(
                _fitted(x[~held], y[~held], len(classes), kind, steps, d, seed), x, y, held
            )
            for d in decays
        ]
        chosen = decays[int(torch.stack(scores).argmin())]
    network = _fitted(x, y, len(classes), kind, steps, chosen, seed)
    with torch.no_grad():
        said = network(z).argmax(1).cpu().numpy()
    return np.asarray(classes[said] == asked_truth)


def _balanced_loss(network: nn.Module, x: Tensor, y: Tensor, rows: Bool[Tensor, " n"]) -> Tensor:
    with torch.no_grad():
        return F.cross_entropy(network(x[rows]), y[rows], _weights(y, int(y.max()) + 1))


def _weights(y: Tensor, classes: int) -> Tensor:
    count = torch.bincount(y, minlength=classes).float()
    return torch.where(count > 0, len(y) / (classes * count.clamp_min(1)), 0.0)


def _fitted(
    x: Float[Tensor, "n d"],
    y: Int64[Tensor, " n"],
    classes: int,
    kind: Kind,
    steps: int,
    decay: float,
    seed: int,
) -> nn.Module:
    """Return a probe taught by all images at once, `steps` times."""
    with torch.random.fork_rng(devices=[]):  # first weights are drawn on the CPU
        torch.manual_seed(seed)
        if kind == "linear":
            network: nn.Module = nn.Linear(x.shape[1], classes)
        else:
            network = nn.Sequential(
                nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes)
            )
    network.to(x.device)
    optimiser = torch.optim.Adam(network.parameters(), RATES[kind])
    matrices = [one for one in network.parameters() if one.ndim == 2]
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    weights, x = _weights(y, classes), x.detach()
    for _ in range(steps):
        loss = F.cross_entropy(network(x), y, weights)
        loss = loss + decay * torch.stack([one.square().sum() for one in matrices]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        slower.step()
    return network.eval()
