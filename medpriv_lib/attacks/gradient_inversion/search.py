"""The search for images whose gradients are the given ones: Adam with a cosine decay."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from medpriv_lib.attacks.gradient_inversion.objective import Objective

Watcher = Callable[[int, Tensor, dict], None]


def search(
    objective: Objective,
    start: Float[Tensor, "n c h w"],
    steps: int,
    rate: float,
    signed: bool = False,
    watch: Watcher | None = None,
) -> tuple[Float[Tensor, "n c h w"], dict[str, float]]:
    """Return the images after `steps` steps from `start`, in [-1, 1], and the parts of their
    objective.

    The rate falls from `rate` to 0 along half a cosine. With `signed`, Adam is given only the sign
    of each pixel's derivative, so that all pixels move at one pace whatever the size of the
    gradients (Geiping et al. 2020). `watch(step, images, parts)` is called before each step.
    Raises `ValueError` where the objective is no longer finite.
    """
    x = start.detach().clone().requires_grad_(True)
    tool = torch.optim.Adam([x], rate)
    for step in range(steps):
        for group in tool.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        total, parts = objective(x)
        if not math.isfinite(parts["total"]):
            raise ValueError(
                f"the search left the finite numbers in step {step}; try a smaller rate than {rate}"
            )
        if watch is not None:
            watch(step, x.detach(), dict(parts))
        (slope,) = torch.autograd.grad(total, x)
        x.grad = slope.sign() if signed else slope
        tool.step()
        with torch.no_grad():
            x.clamp_(-1, 1)
    _, parts = objective(x)
    return x.detach(), dict(parts)
