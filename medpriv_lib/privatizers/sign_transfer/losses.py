r"""What the network is taught by: the change that it would make to a stranger.

With x a source and t its twin without the disease, y another person with the same signs and s that
person's twin, the network's change of s is

    D = alpha (v - s),        taught to be   T = (y - s) inside the source's evidence, dilated.

A healthy source has T = 0. The evidence that arrives is measured as the study measures it,

    e = <D, x - t>_M / ||x - t||^2_M,

and the error is weighed by the signs' energy, so that the smallest count as much as the largest.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from medpriv_lib.privatizers.sign_transfer.network import Reading

Images = Float[Tensor, "n 1 s s"]
LEVEL = 127.5  # grey levels in one unit of [-1, 1]
MOST_OFF = 1.5  # an e farther from 1 than this pulls no harder


@dataclass(frozen=True)
class Weights:
    """How much each term counts, in the order of the formula.

    `floor` in grey levels squared is added to the energy that the error is divided by. `hidden`
    weighs a sign that the source shows and the target hides.
    """

    evidence: float = 1.0
    level: float = 2.0
    sparse: float = 0.02
    pupil: float = 5.0
    floor: float = 5000.0
    hidden: float = 0.3


class Batch(NamedTuple):
    """What one step is taught by; images in [-1, 1], masks 0 or 1, all (N, 1, S, S).

    `source` what the network sees, distorted; `x`, `t` the sick eye and its twin; `y`, `s` the
    target and its twin; `mask`, `target_mask` the evidence in x and in y; `healthy` (N,) where the
    source is the twin; `ratio` (N,) the pupil.
    """

    source: Images
    x: Images
    t: Images
    y: Images
    s: Images
    mask: Images
    target_mask: Images
    healthy: Bool[Tensor, " n"]
    ratio: Float[Tensor, " n"]


def change(reading: Reading, stranger: Images) -> Images:
    """Return D, what the reading changes in a stranger."""
    return reading.alpha * (reading.v - stranger)


def wanted(batch: Batch) -> Images:
    """Return T: the target's signs where the source shows them, nothing for a healthy source.

    The mask is dilated by two pixels: what the lids of the source hide is not asked for.
    """
    seen = F.max_pool2d(batch.mask, 5, 1, 2)
    return torch.where(batch.healthy[:, None, None, None], 0.0, (batch.y - batch.s) * seen)


def kept(delta: Images, batch: Batch) -> Float[Tensor, " n"]:
    """Return e of each image, against the signs of x."""
    sign = (batch.x - batch.t) * batch.mask
    return total(delta * sign) / total(sign * sign).clamp_min(1e-4)


def total(x: Images) -> Float[Tensor, " n"]:
    """Return the sum over each image."""
    return x.sum((1, 2, 3))


def loss(reading: Reading, batch: Batch, weights: Weights) -> Tensor:
    """Return the mean loss of a batch; nothing is read back from the device."""
    delta, target = change(reading, batch.s), wanted(batch)
    energy = total(((batch.x - batch.t) * batch.mask).square())
    seen = F.max_pool2d(batch.mask, 5, 1, 2)
    hidden = (seen == 0) & (F.max_pool2d(batch.target_mask, 3, 1, 1) > 0)
    share = 1 - (1 - weights.hidden) * hidden.float()
    scale = torch.where(batch.healthy, 0.0, energy) + weights.floor / LEVEL**2
    error = (total((delta - target).square() * share) / scale).mean()
    shown = ~batch.healthy & (total(batch.mask) > 0)
    off = (kept(delta, batch) - 1).clamp(-MOST_OFF, MOST_OFF).square()
    return (
        error
        + weights.evidence * (off * shown).mean()
        + weights.level * (delta - target).abs().mean()
        + weights.sparse * reading.alpha.mean()
        + weights.pupil * (reading.ratio - batch.ratio).abs().mean()
    )
