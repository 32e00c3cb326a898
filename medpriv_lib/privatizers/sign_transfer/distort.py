"""Distort scenes while they are taught: frames that sit badly, other light, lenses and sensors.

Where the localiser errs, the iris is a few percent too large or off the middle; whoever prepares by
hand errs by more. All images of a scene move together, so that the signs stay where the source
shows them. Light, blur and noise touch the source alone: what is to be shown stays as it is.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n 1 s s"]


@dataclass(frozen=True)
class Distortion:
    """How far it goes; one draw per scene.

    A share `framed` of the scenes is cut as the localiser errs: `wide` the range of the iris's size
    that it takes for 1, `off` the deviation of the middle in half widths. A share `zoomed` is
    zoomed by a factor from 1 / `zoom` to `zoom`. All are shifted by up to `shift` px, half are
    mirrored. For the source alone: `contrast`, `brightness` deviations, `gamma` the largest
    exponent (and one over the smallest), a share `blurred` blurred by up to `blur` px, `noise` the
    largest deviation in units of [-1, 1].
    """

    framed: float = 0.4
    wide: tuple[float, float] = (0.99, 1.045)
    off: float = 0.03
    zoomed: float = 0.4
    zoom: float = 1.25
    shift: int = 3
    contrast: float = 0.08
    brightness: float = 0.05
    gamma: float = 1.4
    blurred: float = 0.4
    blur: float = 1.2
    noise: float = 0.04


def moved(
    stack: Float[Tensor, "n c s s"], d: Distortion, generator: torch.Generator
) -> tuple[Float[Tensor, "n c s s"], Float[Tensor, " n"]]:
    """Return stacked images, each stack moved in its own way, and by how much its eye grew (N,)."""
    n, size, device = len(stack), stack.shape[-1], stack.device
    u = torch.rand(6, n, generator=generator, device=device)
    away = d.off * torch.randn(2, n, generator=generator, device=device)
    framed, zoomed = u[0] < d.framed, (u[0] >= d.framed) & (u[0] < d.framed + d.zoomed)
    wide = d.wide[0] + (d.wide[1] - d.wide[0]) * u[1]
    zoom = torch.exp(math.log(d.zoom) * (2 * u[1] - 1))
    # the sampling grid grows where the eye shrinks
    scale = torch.where(framed, wide, torch.where(zoomed, 1 / zoom, 1.0))
    steps = ((2 * d.shift + 1) * u[2:4]).floor() - d.shift
    shift = 2 * steps / size + torch.where(framed | zoomed, away, 0.0)
    mirror = torch.where(u[4] < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(scale)
    theta = torch.stack([scale * mirror, zero, shift[0], zero, scale, shift[1]], 1).view(n, 2, 3)
    return sampled(stack, theta), 1 / scale


def sampled(
    stack: Float[Tensor, "n c s s"], theta: Float[Tensor, "n 2 3"]
) -> Float[Tensor, "n c s s"]:
    """Return images under affine maps of the sampling grid; borders are mirrored."""
    grid = F.affine_grid(theta, list(stack.shape), align_corners=False)
    return F.grid_sample(stack, grid, padding_mode="reflection", align_corners=False)


def lit(x: Images, d: Distortion, generator: torch.Generator) -> Images:
    """Return images in another light, by another lens, with other noise."""
    n, device = len(x), x.device
    u = torch.rand(4, n, 1, 1, 1, generator=generator, device=device)
    g = torch.randn(2, n, 1, 1, 1, generator=generator, device=device)
    level = ((x + 1) / 2).clamp(0, 1).pow(torch.exp(math.log(d.gamma) * (2 * u[0] - 1)))
    level = level * (1 + d.contrast * g[0]) + d.brightness / 2 * g[1]
    soft = softened(level, d.blur)
    level = torch.lerp(level, soft, torch.where(u[1] < d.blurred, u[2], 0.0))
    noise = torch.randn(x.shape, generator=generator, device=device)
    return 2 * level - 1 + d.noise * u[3] * noise


def softened(x: Images, sigma: float) -> Images:
    """Return images blurred by a Gaussian of `sigma` px; borders are mirrored."""
    reach = max(1, math.ceil(3 * sigma))
    line = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (line / sigma) ** 2)
    kernel = kernel / kernel.sum()
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), "reflect"), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(x, (0, 0, reach, reach), "reflect"), kernel.view(1, 1, -1, 1))
