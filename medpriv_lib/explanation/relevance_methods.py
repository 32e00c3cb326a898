"""The ways of drawing relevance by name, called alike."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from medpriv_lib.explanation.deep_taylor import deep_taylor
from medpriv_lib.explanation.gradients import gradient_times_input, integrated_gradients

RELEVANCE_METHODS = ("deep-taylor", "gradient-x-input", "integrated-gradients")


def relevance(
    method: str,
    network: nn.Module,
    x: Float[Tensor, "n c h w"],
    target: int | Int64[Tensor, " n"] | None = None,
    *,
    steps: int = 32,
) -> Float[Tensor, "n c h w"]:
    """Return the maps of one of `RELEVANCE_METHODS`; Deep Taylor's start from 1, not the logit,
    and so are always defined.

    `x` in [-1, 1]; `target` a class, one per image, or None for the predicted one; `steps` of
    integrated gradients, the other methods have none. Raises `ValueError` for another name and what
    `deep_taylor` raises.
    """
    if method == "deep-taylor":
        return deep_taylor(network, x, target, start="one")
    if method == "gradient-x-input":
        return gradient_times_input(network, x, target)
    if method == "integrated-gradients":
        return integrated_gradients(network, x, target, steps=steps)
    raise ValueError(
        f"unknown relevance method {method!r}; choose from {', '.join(RELEVANCE_METHODS)}"
    )


def other_class(
    network: nn.Module, x: Float[Tensor, "n c h w"]
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"]]:
    """Return the predicted and the second most likely class of each image."""
    training = network.training
    network.eval()
    with torch.no_grad():
        best = torch.cat([network(part).topk(2, dim=1).indices for part in x.split(512)])
    network.train(training)
    return best[:, 0], best[:, 1]
