"""The rubber sheet: give the pupil of a centred eye another size, and the iris follows.

Daugman's rubber-sheet model (2004, IEEE Trans. Circuits Syst. Video Technol. 14:21) takes the iris
for a sheet that is stretched evenly between pupil and limbus. With r the distance from the eye's
middle in iris radii, p the pupil's size there is and q the one that is wanted,

    source(r) = r p / q                            inside the wanted pupil,
    source(r) = p + (r - q) (1 - p) / (1 - q)      from there to the limbus,
    source(r) = r                                  beyond it.

The pupil's middle lies `OFF` iris radii beside the iris's, and the middle wanders from one to the
other on the way out.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medpriv_lib.data.frame import CROP_DIAMETERS

# of the pupil's middle from the iris's, in iris radii, to the right and down: where the renderer
# draws it in a left eye (right eyes are mirrored when they are prepared)
OFF = (-0.02, 0.012)
SMALLEST, LARGEST = 0.12, 0.85  # pupil over iris: beyond these the sheet tears


def iris_radius(side: int) -> float:
    """Return the radius in px of the iris in a prepared image of this side."""
    return side / 2 / CROP_DIAMETERS


def rubber_sheet(
    images: Float[Tensor, "n s s"], ratio: Float[Tensor, " n"], wanted: Float[Tensor, " n"]
) -> Float[Tensor, "n s s"]:
    """Return the eyes with pupils of the size `wanted`, both ratios in nominal iris radii.

    Ratios are clipped to `SMALLEST` .. `LARGEST`. Sampled by cubic convolution (a = -0.75), pixels
    beyond the border mirror it; an eye whose pupil has the wanted size is returned as it is, up to
    rounding. Raises `ValueError` for images that are not square or ratios that do not fit.
    """
    n, height, width = images.shape
    if height != width or ratio.shape != (n,) or wanted.shape != (n,):
        raise ValueError(
            f"images {tuple(images.shape)} must be square, with one ratio each, not "
            f"{tuple(ratio.shape)} and {tuple(wanted.shape)}"
        )
    radius, middle = iris_radius(width), (width - 1) / 2
    p, q = (one.clamp(SMALLEST, LARGEST)[:, None, None] for one in (ratio, wanted))
    line = (torch.arange(width, device=images.device, dtype=images.dtype) - middle) / radius
    x, y = line[None, None, :], line[None, :, None]
    wander = (1 - (x * x + y * y).sqrt()).clamp(min=0)
    cx, cy = OFF[0] * wander, OFF[1] * wander
    r = ((x - cx) ** 2 + (y - cy) ** 2).sqrt()
    source = torch.where(r < q, r * p / q, p + (r - q) * (1 - p) / (1 - q))
    stretch = torch.where(r > 1, torch.ones_like(r), source / r.clamp(min=1e-6))
    places = torch.stack([cx + (x - cx) * stretch, cy + (y - cy) * stretch], dim=-1)
    # grid coordinates: -1 and 1 are the outer edges of the first and the last pixel
    grid = places * (radius * 2 / width)
    return F.grid_sample(
        images[:, None], grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )[:, 0]
