"""The attacker's copy of a network: the same numbers, and a ReLU whose step has a slope."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


def bump(a: Tensor, width: float) -> Tensor:
    """Return a triangle over -width..width with area 1: the slope that stands for a step."""
    return (1 - a.abs() / width).clamp_min(0) / width


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, width: float) -> Tensor:
        ctx.save_for_backward(a)
        ctx.width = width
        return (a > 0).to(a.dtype)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        (a,) = ctx.saved_tensors
        return slopes[0] * bump(a, ctx.width), None


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, width: float) -> Tensor:
        ctx.save_for_backward(a)
        ctx.width = width
        return a.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        (a,) = ctx.saved_tensors
        return slopes[0] * _Step.apply(a, ctx.width), None


class Kink(nn.Module):
    """A ReLU with the value and the derivative of a ReLU. Only its second derivative differs.

    The gradient that a site sends depends on which units are active. When a pixel moves, units turn
    on and off and the gradient jumps; the derivative of a step is 0 almost everywhere, so automatic
    differentiation does not see these jumps, and a search that follows such derivatives neglects
    them. Here the derivative of the step is a `bump` of this `width`, in units of what enters the
    ReLU (as the surrogate gradients of spiking networks, Neftci et al. 2019).
    """

    def __init__(self, width: float) -> None:
        """Take how wide the bump is; above 0."""
        super().__init__()
        if width <= 0:
            raise ValueError(f"the width of a bump is above 0, not {width}")
        self.width = width

    def forward(self, a: Tensor) -> Tensor:
        """Return max(a, 0)."""
        return _Rectified.apply(a, self.width)


def with_kinks(network: nn.Module, width: float) -> tuple[nn.Module, list[Kink]]:
    """Return a copy of the network whose ReLU modules are kinks of this width, and the kinks.

    The given network is left as it was; so are activations that are no `nn.ReLU`. Raises
    `ValueError` for a width of 0 or less.
    """
    network = copy.deepcopy(network)
    kinks: list[Kink] = []
    for part in list(network.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.ReLU):
                kinks.append(Kink(width))
                setattr(part, name, kinks[-1])
    return network, kinks
