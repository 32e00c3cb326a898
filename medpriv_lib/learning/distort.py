"""Random shifts, turns, sizes and contrasts, the same family for real and for made images,
differentiable.

The discriminator of a GAN on a thousand images learns them by heart. Showing it both real and made
images only through the same random distortions delays that and does not leak into what the
generator makes, as long as the distortions can be undone in distribution (Zhao et al. 2020,
DiffAugment; Karras et al. 2020, section 2.2).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How far images are distorted, each amount drawn uniformly from [-x, x] per image.

    `shift` in fractions of the width, `rotation` in degrees, `scale` and `contrast` relative,
    `brightness` in units of the [-1, 1] range, `cutout` the side of an erased square in fractions
    of the width (0: none). A share `turned` of all images is turned, scaled and shifted by
    fractions of a pixel; the others move by whole pixels only. That matters: interpolation blurs,
    and a discriminator that never sees sharp pixels lets the generator fill its images with a
    checkerboard that the blur hides (so it came out with `turned` = 1). Each image gets white noise
    of its own strength, up to `noise` in units of the [-1, 1] range: the faintest patterns then
    tell D^2 nothing, so the generator gains nothing by making them.
    """

    shift: float = 0.05
    rotation: float = 6.0
    scale: float = 0.06
    contrast: float = 0.06
    brightness: float = 0.03
    cutout: float = 0.0
    turned: float = 0.4
    noise: float = 0.03

    def __call__(
        self, images: Float[Tensor, "n 1 s s"], generator: torch.Generator
    ) -> Float[Tensor, "n 1 s s"]:
        """Return the images, each distorted in its own way; borders are mirrored. One draw and one
        grid per batch.
        """
        n, device = len(images), images.device
        u = torch.rand(9, n, generator=generator, device=device).mul_(2).sub_(1)
        turned = u[8] < 2 * self.turned - 1
        angle, size = turned * u[0] * math.radians(self.rotation), 1 + turned * u[1] * self.scale
        cos, sin = angle.cos() * size, angle.sin() * size
        width = images.shape[-1]
        shift = self.shift * u[2:4]
        shift = 2 * torch.where(
            turned, shift, (shift * width).round() / width
        )  # grid coordinates span [-1, 1]
        theta = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], dim=1).view(n, 2, 3)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        moved = F.grid_sample(
            images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )
        gain, offset = 1 + u[4] * self.contrast, u[5] * self.brightness
        moved = moved * gain.view(n, 1, 1, 1) + offset.view(n, 1, 1, 1)
        if self.cutout:
            x = torch.linspace(-1, 1, images.shape[-1], device=device)
            near = [(x[None] - u[i][:, None]).abs() < self.cutout for i in (6, 7)]
            moved = moved.masked_fill((near[0][:, :, None] & near[1][:, None, :])[:, None], 0.0)
        if self.noise:
            sigma = self.noise * torch.rand(n, 1, 1, 1, generator=generator, device=device)
            moved = moved + sigma * torch.randn(moved.shape, generator=generator, device=device)
        return moved
