"""The slope of a discriminator at real images, which R1 holds down (Mescheder et al. 2018)."""

from collections.abc import Callable

import torch
from torch import Tensor


def squared_slope(judge: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the mean over images (N, C, H, W) of the squared gradient of `judge`'s logits, one
    number that can be differentiated.
    """
    images = images.detach().requires_grad_()
    (slope,) = torch.autograd.grad(judge(images).sum(), images, create_graph=True)
    return slope.square().sum(dim=(1, 2, 3)).mean()
