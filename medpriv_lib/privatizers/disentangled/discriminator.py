"""The discriminator: real or made?"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medpriv_lib.privatizers.disentangled.networks import Architecture


class Discriminator(nn.Module):
    """An image to one logit, real or made; and the features on the way, for the feature loss."""

    def __init__(self, a: Architecture) -> None:
        """Build four halvings and three dense layers."""
        super().__init__()
        widths = (a.channels, a.width, 2 * a.width, 4 * a.width, 4 * a.width)
        self.halvings = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 4, 2, 1)
            for inputs, outputs in zip(widths, widths[1:], strict=False)
        )
        self.dense = nn.Sequential(
            nn.Linear(4 * a.width * (a.size // 16) ** 2, 256),
            nn.LeakyReLU(0.2),
            nn.Linear(256, 64),
            nn.LeakyReLU(0.2),
            nn.Linear(64, 1),
        )

    def forward(
        self, image: Float[Tensor, "n c s s"]
    ) -> tuple[Float[Tensor, " n"], list[Float[Tensor, "n d h w"]]]:
        """Return the logits, float32, and the features after every halving."""
        features, y = [], image.contiguous(memory_format=torch.channels_last)
        for layer in self.halvings:
            y = F.leaky_relu(layer(y), 0.2)
            features.append(y)
        return self.dense(y.flatten(1)).float().squeeze(1), features
