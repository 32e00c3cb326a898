r"""The network that reads signs: how much (alpha) of what (v) the disease lays over an eye.

What is released is

    s + gain * alpha * (v - s),        0 <= alpha <= 1,  -1 <= v <= 1,

with s an invented eye. The network never sees s: what it passes on of the source has to go through
alpha and v, and where alpha is 0 nothing of the source is there at all.

A small U-Net (Ronneberger, Fischer, Brox 2015) at half of the size: four pixels become channels
(Shi et al. 2016), so that the fine levels cost little, and come apart again at the end. Two
channels say where a pixel lies, because signs have their places.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

RATIO_MEAN, RATIO_SPREAD = 0.4, 0.2  # of pupil over iris: the head's output is scaled by these


@dataclass(frozen=True)
class Architecture:
    """The sizes of the network: images of `size` px, `width` channels at half of it, twice and
    three times as many at a quarter and an eighth.

    Below `dead` alpha is exactly 0. With `levels` alpha and v take so many values each and no
    others (0: any): a code that narrow carries less besides the signs. Raises `ValueError` for
    sizes that do not fit.
    """

    size: int = 64
    width: int = 32
    dead: float = 0.02
    levels: int = 0

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be halved three times, and impossible numbers."""
        if self.size < 32 or self.size % 8:
            raise ValueError(f"size {self.size}: take a multiple of 8, from 32 px on")
        if self.width < 1 or not 0 <= self.dead < 0.5 or self.levels < 0 or self.levels == 1:
            raise ValueError(
                f"width {self.width}, dead {self.dead}, levels {self.levels}: take at least one "
                "channel, a dead zone below .5, and no levels (0) or at least 2"
            )


class Reading(NamedTuple):
    """What was read: `alpha` and `v` (N, 1, S, S), and `ratio` (N,), pupil over iris."""

    alpha: Float[Tensor, "n 1 s s"]
    v: Float[Tensor, "n 1 s s"]
    ratio: Float[Tensor, " n"]


class Network(nn.Module):
    """Reads signs; `forward` turns images (N, 1, S, S) in [-1, 1] into a `Reading`."""

    def __init__(self, architecture: Architecture) -> None:
        """Build the layers; alpha begins near 0 everywhere."""
        super().__init__()
        self.architecture = architecture
        a = architecture.width
        b, c = 2 * a, 3 * a
        self.fine = nn.Sequential(_block(6, a), _block(a, a))
        self.middle = nn.Sequential(_block(a, b, 2), _block(b, b))
        self.coarse = nn.Sequential(_block(b, c, 2), _block(c, c), _block(c, c))
        self.everywhere = nn.Linear(c, c)
        self.pupil = nn.Sequential(nn.Linear(4 * c, 64), nn.ReLU(), nn.Linear(64, 1))
        self.up_middle = nn.Sequential(_block(c + b, b), _block(b, b))
        self.up_fine = nn.Sequential(_block(b + a, a), _block(a, a))
        self.out = nn.Conv2d(a, 8, 1)
        with torch.no_grad():
            self.out.weight.mul_(0.3)
            self.out.bias.zero_()  # type: ignore[union-attr]
            self.out.bias[:4] = -3  # type: ignore[index]
        line = torch.linspace(-1, 1, architecture.size // 2)
        places = torch.stack(torch.meshgrid(line, line, indexing="ij"))[None]
        self.register_buffer("places", places, persistent=False)

    def forward(self, x: Float[Tensor, "n 1 s s"]) -> Reading:
        """Return what is read in the images."""
        places = self.places.expand(len(x), -1, -1, -1)  # type: ignore[operator]
        joined = torch.cat([F.pixel_unshuffle(x, 2), places], 1)
        fine = self.fine(joined.contiguous(memory_format=torch.channels_last))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        quarters = F.adaptive_avg_pool2d(coarse, 2).flatten(1)
        ratio = RATIO_MEAN + RATIO_SPREAD * self.pupil(quarters).float()[:, 0]
        coarse = coarse + self.everywhere(coarse.mean((2, 3)))[:, :, None, None]
        middle = self.up_middle(torch.cat([F.interpolate(coarse, scale_factor=2), middle], 1))
        fine = self.up_fine(torch.cat([F.interpolate(middle, scale_factor=2), fine], 1))
        out = self.out(fine).float()
        alpha = torch.sigmoid(F.pixel_shuffle(out[:, :4], 2))
        v = torch.tanh(F.pixel_shuffle(out[:, 4:], 2))
        dead, levels = self.architecture.dead, self.architecture.levels
        alpha = F.relu(alpha - dead) / (1 - dead)
        if levels:
            alpha, v = _stepped(alpha, levels - 1), _stepped((v + 1) / 2, levels - 1) * 2 - 1
        return Reading(alpha, v, ratio)


def mirrored_too(network: Network, x: Float[Tensor, "n 1 s s"]) -> Reading:
    """Return the mean of what is read in the images and in their mirror images.

    v is weighted by alpha: what one of the two does not see has no say in how it looks.
    """
    one, other = network(x), network(x.flip(3))
    alpha, v = other.alpha.flip(3), other.v.flip(3)
    both = one.alpha + alpha
    mixed = (one.alpha * one.v + alpha * v) / both.clamp_min(1e-6)
    return Reading(both / 2, mixed, (one.ratio + other.ratio) / 2)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _stepped(x: Tensor, steps: int) -> Tensor:
    """Round to so many steps from 0 to 1; the gradient passes as if nothing had been rounded."""
    return x + ((x * steps).round() / steps - x).detach()
