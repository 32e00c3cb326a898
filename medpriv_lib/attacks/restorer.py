"""A small network that corrects the first estimate of an undone blur."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional


class Restorer(nn.Module):
    """Four convolutions that correct a first estimate, looking at it and at what was released.

    `channels` 1 for grey images and 3 for colours; `width` the filters of a layer.
    """

    def __init__(self, width: int = 24, channels: int = 1) -> None:
        """Make the layers; the last one begins at zero, so that training starts from the first
        estimate.
        """
        super().__init__()
        self.channels = channels
        layers = [
            nn.Conv2d(2 * channels, width, 5, padding=2, padding_mode="reflect"),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        ]
        last = nn.Conv2d(width, channels, 3, padding=1)
        torch.nn.init.zeros_(last.weight)
        if last.bias is not None:
            torch.nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, both: Float[Tensor, "n 2c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the corrected estimate; the first half of the channels is the released image, the
        second the estimate, in [-1, 1].
        """
        return both[:, self.channels :] + self.layers(both)


def fit_restorer(
    released: np.ndarray,
    first: Float[np.ndarray, "n h w"],
    originals: UInt8[np.ndarray, "n h w"],
    generator: torch.Generator,
    epochs: int = 6,
    batch: int = 32,
    rate: float = 2e-3,
) -> Restorer:
    """Train a `Restorer` on pairs that the attacker made: `originals` (N, H, W), released, and the
    first estimates.

    Mean absolute error, Adam, the rate falling to zero as a cosine. All randomness comes from
    `generator`, the first weights included. Raises `ValueError` where the three do not fit
    together.
    """
    if not len(released) == len(first) == len(originals):
        raise ValueError(f"{len(originals)} originals need as many released images and estimates")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        network = Restorer(channels=1 if np.ndim(originals) == 3 else 3).to(
            memory_format=torch.channels_last
        )
    inputs, target = _both(released, first), _scaled(originals)
    optimiser = torch.optim.Adam(network.parameters(), rate)
    steps = epochs * -(-len(target) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    for _ in range(epochs):
        for rows in torch.randperm(len(target), generator=generator).split(batch):
            loss = functional.l1_loss(network(inputs[rows]), target[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def restored(
    network: Restorer, released: np.ndarray, first: Float[np.ndarray, "n h w"], batch: int = 64
) -> Float[np.ndarray, "n h w"]:
    """Return the network's estimates in grey levels."""
    parts = [
        network(_both(released[i : i + batch], first[i : i + batch]))
        for i in range(0, len(released), batch)
    ]
    shown = torch.cat(parts).double()
    shown = shown.squeeze(1) if network.channels == 1 else shown.permute(0, 2, 3, 1)
    return (shown.numpy() + 1) * 127.5


def _scaled(images: np.ndarray) -> Float[Tensor, "n c h w"]:
    """Turn grey levels, whole or not, into values in [-1, 1], channels first."""
    x = torch.from_numpy(np.asarray(images, dtype=np.float64) / 127.5 - 1).float()
    return x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2)


def _both(released: np.ndarray, first: np.ndarray) -> Float[Tensor, "n 2c h w"]:
    both = torch.cat([_scaled(released), _scaled(first)], dim=1)
    return both.contiguous(memory_format=torch.channels_last)
