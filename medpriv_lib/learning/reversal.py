"""A gradient that comes back with its sign turned: what follows learns to read, and what precedes
learns to keep out.
"""

import torch
from torch import Tensor


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength  # type: ignore[attr-defined]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * grads[0], None  # type: ignore[attr-defined]


def reversed_gradient(x: Tensor, strength: float) -> Tensor:
    """Return x; its gradient comes back times -`strength` (Ganin, Lempitsky 2015).

    What follows learns to read something from x, and what made x learns to keep it out.
    """
    return _Reverse.apply(x, strength)
