"""The recogniser: a small convolutional network that names the patient, or says whether the eye is
diseased.
"""

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import skip_init
from torch.nn.utils.fusion import fuse_conv_bn_weights

KERNELS = (5, 5, 3, 3)
FILTERS = 32
EMBEDDING = 32


class Recogniser(nn.Module):
    """The evaluation network of Chen, Konrad and Ishwar (2018), as Montenegro et al. (2021) use it.

    Four blocks of [convolution with 32 filters (kernels 5, 5, 3, 3) -> batch norm -> ReLU ->
    max-pool 2], then a dense layer of 32 with ReLU, dropout .5 and a linear layer to `classes`
    logits. The widths are the paper's. Its order was convolution -> LeakyReLU -> batch norm ->
    max-pool; here batch norm follows the convolution directly, so that it merges into the
    convolution's weights, and the activation is a plain ReLU, so that every layer's input is
    positive: both are what the z+ rule of relevance propagation (Montavon et al. 2017) asks for.

    `classes` is the number of logits; `size` the height and width of the images in pixels, a
    multiple of 16; `channels` 1 for grey images, 3 for colour. `learner.DEFAULTS` trains the
    identity network without the dropout, and says why. Raises `ValueError` for another size or
    number of channels and for fewer than two classes.
    """

    def __init__(self, classes: int, size: int = 64, channels: int = 1) -> None:
        """Make the network with random weights from torch's global generator."""
        super().__init__()
        require_sizes(classes, size, channels)
        self.classes, self.size, self.channels = classes, size, channels
        widths = (channels,) + (FILTERS,) * len(KERNELS)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False),
                    nn.BatchNorm2d(after),
                    nn.ReLU(),
                    nn.MaxPool2d(2),
                )
                for before, after, kernel in zip(widths, widths[1:], KERNELS, strict=False)
            )
        )
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(FILTERS * (size // 16) ** 2, EMBEDDING), nn.ReLU()
        )
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(EMBEDDING, classes)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 32"]:
        """Return the activations (>= 0) of the dense layer, before dropout, for images in [-1,
        1].
        """
        return self.dense(self.blocks(x))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits of the classes for images in [-1, 1]."""
        return self.head(self.dropout(self.embed(x)))

    def convolutions(self) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Yield the convolution of each block with the batch norm that follows it."""
        for block in self.blocks:
            convolution, norm, _, _ = cast(nn.Sequential, block)
            yield cast(nn.Conv2d, convolution), cast(nn.BatchNorm2d, norm)

    def merged(self) -> nn.Sequential:
        """Return an equal network for judging only, 2.5 times as fast on a CPU; its weights are
        copies.

        Batch norm is merged into the convolutions, and max-pool comes before ReLU: both never
        decrease, so their order does not matter, and ReLU has a quarter of the work.
        """
        layers: list[nn.Module] = []
        for convolution, norm in self.convolutions():
            layers += [_fused(convolution, norm), self.pooled()]
        dense = nn.Sequential(nn.Flatten(), _copied(cast(nn.Linear, self.dense[1])), nn.ReLU())
        merged = nn.Sequential(*layers, dense, _copied(self.head))
        return merged.eval().to(memory_format=torch.channels_last)

    def pooled(self) -> nn.Module:
        """Return what follows a merged convolution: max-pool 2 and ReLU."""
        return _MaxPoolReLU()


def require_sizes(classes: int, size: int, channels: int) -> None:
    """Raise `ValueError` for numbers that no recogniser is made for."""
    if size < 16 or size % 16:
        raise ValueError(
            f"recognisers need images of 16, 32, 48, 64, … pixels, not {size}; prepare with "
            "--size 64"
        )
    if channels not in (1, 3):
        raise ValueError(f"images have 1 channel (grey) or 3 (colour), not {channels}")
    if classes < 2:
        raise ValueError(f"a recogniser tells at least two classes apart, not {classes}")


class _MaxPoolReLU(nn.Module):
    """Max-pool 2 and ReLU; without gradients as two maxima, for torch's pooling also notes where
    the largest was.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            return F.relu(F.max_pool2d(x, 2))
        rows = torch.maximum(x[:, :, 0::2], x[:, :, 1::2])
        return torch.maximum(rows[..., 0::2], rows[..., 1::2]).relu_()


def _fused(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return the convolution with batch norm merged in; building it anew is twenty times as fast as
    copying both.
    """
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a batch norm without running statistics cannot be merged")
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        mean,
        variance,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    fused = skip_init(
        nn.Conv2d,
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,
        padding=convolution.padding,
        device=weight.device,
    )
    fused.weight, fused.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
    return fused


def _copied(linear: nn.Linear) -> nn.Linear:
    copy = skip_init(
        nn.Linear,
        linear.in_features,
        linear.out_features,
        device=linear.weight.device,
        dtype=linear.weight.dtype,
    )
    copy.load_state_dict(linear.state_dict())
    return copy
