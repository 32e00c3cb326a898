"""An opponent who looks for the source in what the network changes: beyond the signs, nothing of it
may be there.

Two small towers turn a change D and an eye without signs into vectors; the eye that D came from
shall be nearer than the others. Both the sick and the healthy are matched among their own, so that
having signs gives nobody away. With its gradient reversed (Ganin, Lempitsky 2015) it teaches the
network not to be matched; trained afterwards on a finished network it measures what is left.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

Images = Float[Tensor, "n 1 s s"]
SHARPNESS = 10.0  # of cosines of -1 to 1 before the softmax
LOUDER = 4.0  # changes are small beside images: so many times


class Matcher(nn.Module):
    """Tells which eye a change came from."""

    def __init__(self, width: int = 24, length: int = 32) -> None:
        """Build a tower for changes and one for eyes."""
        super().__init__()
        self.of_change = _tower(width, length)
        self.of_eye = _tower(width, length)

    def forward(self, delta: Images, eyes: Images) -> Float[Tensor, "n m"]:
        """Return how well each change fits each eye."""
        one = F.normalize(self.of_change(LOUDER * delta).float(), dim=1)
        other = F.normalize(self.of_eye(eyes).float(), dim=1)
        return SHARPNESS * one @ other.T


def matching_loss(scores: Float[Tensor, "n n"], healthy: Bool[Tensor, " n"]) -> Float[Tensor, ""]:
    """Return the mean surprise at whose change it is, among eyes of the same label."""
    apart = healthy[:, None] != healthy[None]
    own = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(scores.masked_fill(apart, -1e4), own)


def _tower(width: int, length: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.AvgPool2d(2)]
    before = 1
    for after in (width, 2 * width, 2 * width):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.ReLU()]
        before = after
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * before, length)
    )
