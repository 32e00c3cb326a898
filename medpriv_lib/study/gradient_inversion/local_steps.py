"""A site that makes several steps before it sends: what a reader takes for its gradient."""

import copy
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from medpriv_lib.attacks.gradient_inversion.gradients import gradients_of_step
from medpriv_lib.federation.local import LocalTraining

Tool = Literal["plain", "AdamW"]
PLAIN_RATE = 0.1  # of plain gradient descent; AdamW has the rate of the sites' training


def local_update(
    network: nn.Module, x: Float[Tensor, "n c h w"], y: Int64[Tensor, " n"], steps: int, tool: Tool
) -> dict[str, Tensor]:
    """Return (weights before - weights after) / rate after `steps` steps on these images, `x` in
    [-1, 1]: each step on the next image, from the first again after the last.

    The given network is left as it was. Of one plain step this is the gradient. Raises `ValueError`
    for no step.
    """
    if steps < 1:
        raise ValueError(f"a site makes at least one step before it sends, not {steps}")
    network, settings = copy.deepcopy(network), LocalTraining()
    learning = {name: one for name, one in network.named_parameters() if one.requires_grad}
    before = {name: one.detach().clone() for name, one in learning.items()}
    rate = PLAIN_RATE if tool == "plain" else settings.rate
    mover: torch.optim.Optimizer = (
        torch.optim.SGD(learning.values(), rate)
        if tool == "plain"
        else torch.optim.AdamW(learning.values(), rate, weight_decay=settings.decay)
    )
    for step in range(steps):
        one = slice(step % len(x), step % len(x) + 1)
        mover.zero_grad()
        cross_entropy(network(x[one]), y[one]).backward()
        mover.step()
    return gradients_of_step(before, {k: one.detach() for k, one in learning.items()}, rate)
