"""Change images a little in training: so that a recogniser learns the eye and not the capture, and
so that a discriminator does not learn a thousand images by heart.

Both draw one random movement per image and move all images of a batch in one go. `augment` draws on
the CPU, the same on every device; `Augmentation` draws where the images lie.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Distortion:
    """How far `augment` goes at strength 1, each amount drawn uniformly from [-x, x] per image.

    `shift` in half widths, `angle` in radians, `scale` and `contrast` relative, `brightness` in the
    units of the [-1, 1] range.
    """

    shift: float = 0.06
    angle: float = math.radians(8)
    scale: float = 0.08
    brightness: float = 0.15
    contrast: float = 0.2


DISTORTION = Distortion()


def augment(
    x: Float[Tensor, "n c h w"],
    generator: torch.Generator,
    strength: float = 1.0,
    most: Distortion = DISTORTION,
) -> Float[Tensor, "n c h w"]:
    """Return images with small random shift, rotation, scale, brightness and contrast, one draw per
    image.

    `strength` 1 means shifts up to 6 % of half the width, rotations up to 8 degrees, scales of 0.92
    to 1.08, contrasts of 0.8 to 1.2 and brightness of +-0.15 (images are in [-1, 1]); 0 returns the
    images. The numbers are drawn on the CPU from `generator`, in one call, so that they are the
    same on every device; pixels from outside repeat the border.
    """
    if strength == 0:
        return x
    draws = (
        torch.empty(6, len(x))
        .uniform_(-strength, strength, generator=generator)
        .to(x.device, non_blocking=True)
    )
    across, down, angle, scale, brightness, contrast = draws
    angle, scale = angle * most.angle, 1 + scale * most.scale
    shift = (across * most.shift, down * most.shift)
    moved = _moved(x, torch.cos(angle) * scale, torch.sin(angle) * scale, shift, "border")
    return _exposed(moved, 1 + contrast * most.contrast, brightness * most.brightness)


@dataclass(frozen=True)
class Augmentation:
    """How far images are distorted for a discriminator, differentiably; each amount is drawn
    uniformly from [-x, x] per image.

    The discriminator of a GAN on a thousand images learns them by heart. Showing it both real and
    made images only through the same random distortions delays that and does not leak into what the
    generator makes, as long as the distortions can be undone in distribution (Zhao et al. 2020,
    DiffAugment; Karras et al. 2020, section 2.2).

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
        self, images: Float[Tensor, "n c s s"], generator: torch.Generator
    ) -> Float[Tensor, "n c s s"]:
        """Return the images, each distorted in its own way; borders are mirrored. One draw and one
        grid per batch.
        """
        n, device, width = len(images), images.device, images.shape[-1]
        u = torch.rand(9, n, generator=generator, device=device).mul_(2).sub_(1)
        turned = u[8] < 2 * self.turned - 1
        angle, size = turned * u[0] * math.radians(self.rotation), 1 + turned * u[1] * self.scale
        shift = self.shift * u[2:4]
        # grid coordinates span [-1, 1]
        shift = 2 * torch.where(turned, shift, (shift * width).round() / width)
        moved = _moved(
            images, angle.cos() * size, angle.sin() * size, (shift[0], shift[1]), "reflection"
        )
        moved = _exposed(moved, 1 + u[4] * self.contrast, u[5] * self.brightness)
        if self.cutout:
            x = torch.linspace(-1, 1, width, device=device)
            near = [(x[None] - u[i][:, None]).abs() < self.cutout for i in (6, 7)]
            moved = moved.masked_fill((near[0][:, :, None] & near[1][:, None, :])[:, None], 0.0)
        if self.noise:
            sigma = self.noise * torch.rand(n, 1, 1, 1, generator=generator, device=device)
            moved = moved + sigma * torch.randn(moved.shape, generator=generator, device=device)
        return moved


def _moved(
    x: Float[Tensor, "n c h w"],
    cosine: Float[Tensor, " n"],
    sine: Float[Tensor, " n"],
    shift: tuple[Float[Tensor, " n"], Float[Tensor, " n"]],
    outside: str,
) -> Float[Tensor, "n c h w"]:
    """Return each image turned, scaled and shifted; `outside` says which pixels come in."""
    across, down = shift
    theta = torch.stack([cosine, -sine, across, sine, cosine, down], dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(
        x, grid, mode="bilinear", padding_mode=outside, align_corners=False
    )


def _exposed(
    x: Float[Tensor, "n c h w"], contrast: Float[Tensor, " n"], brightness: Float[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    return x * contrast.view(-1, 1, 1, 1) + brightness.view(-1, 1, 1, 1)
