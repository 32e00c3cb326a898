"""The networks of PPRL-VGAN: encoder, decoder, discriminator (Chen et al. 2018; Figure 1 of
Montenegro et al.).

Two faults of the code that Chen et al. published are not repeated here. It put a sigmoid on the
log-variance, so that sigma >= 1 and the posterior could never be narrower than the prior; here the
log-variance is unbounded. And it sampled with exp(s^2 / 2) where s was the log-variance; the
standard deviation is exp(s / 2).
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import channels_of, size_of

UPSAMPLING = ("transposed", "mixed", "resize-conv", "bilinear-conv", "pixel-shuffle")


@dataclass(frozen=True)
class Architecture:
    """The sizes of the networks. Defaults: Chen et al., for 64x64 images, with the 5x5 kernels of
    their first variant.

    `size` is the height and width of an image, a multiple of 16, `channels` 1 for grey images and 3
    for colour; `upsampling` is how the decoder
    doubles its grid: "transposed" (the paper's), "mixed" (transposed up to half the size, then
    bilinear), "resize-conv" (nearest neighbour, then a convolution), "bilinear-conv" or
    "pixel-shuffle"; `decoder_kernel` None means `kernel`; `refine` channels at full size come
    before the last convolution, 0 leaves them out; `spectral` bounds the discriminator's layers
    (Miyato et al. 2018, arXiv 1802.05957).

    The decoder's defaults are ours, found by looking at what was made of validation images.
    Transposed convolutions covered them with a fine checkerboard, even with kernel 4, which the
    stride divides (Odena, Dumoulin, Olah 2016, doi 10.23915/distill.00003); nearest-neighbour
    upsampling wove a pattern of squares; bilinear upsampling all the way stayed blurred, and the
    judge that ships named the replacement identity in 31 % after 1,200 rounds, where what ships now
    had reached 43 % (the two runs also differ in rates, noise and reconstruction). Transposed
    convolutions below and one bilinear step at the end are sharp without a checkerboard at the
    finest scale. A judge's number alone would have chosen wrongly: one trained for 20 epochs named
    the replacement identity in 75 % of the checkerboards.
    """

    patients: int
    size: int = 64
    tasks: int = 2
    latent: int = 128
    kernel: int = 5
    decoder_kernel: int | None = 4
    encoder: tuple[int, ...] = (32, 64, 128, 256)
    decoder: tuple[int, ...] = (128, 128, 96, 48)
    discriminator: tuple[int, ...] = (32, 64, 128, 256)
    upsampling: str = "mixed"
    refine: int = 24
    dropout: float = 0.0
    spectral: bool = False
    channels: int = 1

    @classmethod
    def of(cls, train: Cohort, **sizes: Any) -> Self:
        """Return the architecture for these patients and images. Raises `ValueError` for images
        that are not square.
        """
        images = train.images
        return cls(train.patients, size_of(images), channels=channels_of(images), **sizes)

    def __post_init__(self) -> None:
        """Refuse sizes that the four halvings cannot reach."""
        if self.size < 16 or self.size % 16:
            raise ValueError(
                "PPRL-VGAN halves the image four times: size must be a multiple of 16, not "
                f"{self.size}"
            )
        if self.channels not in (1, 3):
            raise ValueError(f"images have 1 channel (grey) or 3 (colour), not {self.channels}")
        if self.upsampling not in UPSAMPLING:
            raise ValueError(
                f"upsampling {self.upsampling!r}: choose one of {', '.join(UPSAMPLING)}"
            )
        for key in ("encoder", "decoder", "discriminator"):
            # lists, after a trip through JSON
            object.__setattr__(self, key, tuple(getattr(self, key)))
            if len(getattr(self, key)) != 4:
                raise ValueError(
                    f"`{key}` needs four widths, one per halving, not {getattr(self, key)}"
                )


def _halve(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    # even kernels pad one less on one side than needed for an exact half; (kernel - 1) // 2 gives
    # n/2 for both parities
    return nn.Conv2d(inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2)


def _double(inputs: int, outputs: int, kernel: int, upsampling: str) -> nn.Module:
    if upsampling in ("transposed", "mixed"):
        return nn.ConvTranspose2d(
            inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=kernel % 2
        )
    if upsampling in ("resize-conv", "bilinear-conv"):
        grow = nn.Upsample(
            scale_factor=2, mode="nearest" if upsampling == "resize-conv" else "bilinear"
        )
        return nn.Sequential(grow, nn.Conv2d(inputs, outputs, kernel, padding="same"))
    return nn.Sequential(nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.PixelShuffle(2))


class Encoder(nn.Module):
    """q(f(I) | I): an image (N, C, S, S) in [-1, 1] to the mean and log-variance (N, latent) of its
    code, unbounded.
    """

    def __init__(self, a: Architecture) -> None:
        """Build the four halvings and the statistics of the code."""
        super().__init__()
        layers, inputs = [], a.channels
        for width in a.encoder:
            layers += [
                _halve(inputs, width, a.kernel),
                nn.BatchNorm2d(width, momentum=0.2),
                nn.Dropout(a.dropout),
                nn.LeakyReLU(0.2),
            ]
            inputs = width
        self.features = nn.Sequential(*layers)
        self.statistics = nn.Linear(inputs * (a.size // 16) ** 2, 2 * a.latent)

    def forward(
        self, image: Float[Tensor, "n c s s"]
    ) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
        """Return mu and the log-variance."""
        mu, log_variance = self.statistics(self.features(image).flatten(1)).float().chunk(2, dim=1)
        return mu, log_variance


class Decoder(nn.Module):
    """A code z (N, latent) and an identity c (N,) to an image (N, C, S, S) in [-1, 1]; c is
    one-hot, joined to z.
    """

    def __init__(self, a: Architecture) -> None:
        """Build the dense layer and the four doublings."""
        super().__init__()
        self.grid, self.patients = a.size // 16, a.patients
        first, *widths = a.decoder
        kernel = a.decoder_kernel or a.kernel
        self.dense = nn.Linear(a.latent + a.patients, first * self.grid**2)
        layers, inputs = [], first
        for width in widths:
            layers += [
                _double(inputs, width, kernel, a.upsampling),
                nn.ReLU(),
                nn.BatchNorm2d(width, momentum=0.2),
            ]
            inputs = width
        last = (3, "bilinear-conv") if a.upsampling == "mixed" else (kernel, a.upsampling)
        if a.refine:
            layers += [
                _double(inputs, a.refine, *last),
                nn.ReLU(),
                nn.BatchNorm2d(a.refine, momentum=0.2),
                nn.Conv2d(a.refine, a.channels, 3, padding=1),
            ]
        else:
            layers += [_double(inputs, a.channels, *last)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Float[Tensor, "n z"], c: Int64[Tensor, " n"]) -> Float[Tensor, "n c s s"]:
        """Return G(I, c) for codes z of I."""
        joined = torch.cat([z, F.one_hot(c, self.patients).to(z.dtype)], dim=1)
        grid = self.dense(joined).relu().unflatten(1, (-1, self.grid, self.grid))
        return self.layers(grid.contiguous(memory_format=torch.channels_last)).float().tanh()


class Generator(nn.Module):
    """G: a conditional variational autoencoder."""

    def __init__(self, a: Architecture) -> None:
        """Build encoder and decoder."""
        super().__init__()
        self.architecture = a
        self.encoder, self.decoder = Encoder(a), Decoder(a)

    def forward(
        self, image: Float[Tensor, "n c s s"], c: Int64[Tensor, " n"], noise: Float[Tensor, "n z"]
    ) -> tuple[Float[Tensor, "n c s s"], Float[Tensor, "n z"], Float[Tensor, "n z"]]:
        """Return G(I, c), mu and the log-variance; `noise` is the standard normal eps of z = mu +
        sigma * eps.
        """
        mu, log_variance = self.encoder(image)
        return self.decoder(mu + (log_variance / 2).exp() * noise, c), mu, log_variance


class Discriminator(nn.Module):
    """D: an image (N, C, S, S) to the logits of D^1 (N,), D^2 (N, patients) and D^3 (N, tasks)."""

    def __init__(self, a: Architecture, dropout: float = 0.5) -> None:
        """Build the four halvings, the dense layer with its dropout and the three heads."""
        super().__init__()
        bound = spectral_norm if a.spectral else nn.Identity()
        layers, inputs = [], a.channels
        for width in a.discriminator:
            layers += [bound(_halve(inputs, width, a.kernel)), nn.LeakyReLU(0.2)]
            inputs = width
        dense = bound(nn.Linear(inputs * (a.size // 16) ** 2, 256))
        layers += [nn.Flatten(), dense, nn.LeakyReLU(0.2), nn.Dropout(dropout)]
        self.features = nn.Sequential(*layers)
        self.heads = nn.Linear(256, 1 + a.patients + a.tasks)
        self.sizes = (1, a.patients, a.tasks)

    def forward(self, image: Float[Tensor, "n c s s"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits of the three heads, in float32."""
        real, identity, task = self.heads(self.features(image)).float().split(self.sizes, dim=1)
        return real.squeeze(1), identity, task
