"""Change images a little, so that a recogniser learns the eye and not the capture."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SHIFT, ANGLE, SCALE, BRIGHTNESS, CONTRAST = 0.06, math.radians(8), 0.08, 0.15, 0.2


def augment(
    x: Float[Tensor, "n 1 h w"], generator: torch.Generator, strength: float = 1.0
) -> Float[Tensor, "n 1 h w"]:
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
    angle, scale = angle * ANGLE, 1 + scale * SCALE
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([cosine, -sine, across * SHIFT, sine, cosine, down * SHIFT], dim=1).view(
        -1, 2, 3
    )
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    moved = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    return moved * (1 + contrast * CONTRAST).view(-1, 1, 1, 1) + (brightness * BRIGHTNESS).view(
        -1, 1, 1, 1
    )
