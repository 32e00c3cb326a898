"""The gradients that a step sends, and whether they belong to a network."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Gradients = Mapping[str, Tensor]  # name of a parameter -> gradient of the mean loss, same shape


def gradients_of(
    network: nn.Module,
    x: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    create_graph: bool = False,
) -> dict[str, Tensor]:
    """Return the gradients of the mean cross-entropy over these images, of all parameters that
    learn.

    `x` in [-1, 1]. The network is used in the mode that it is in: a dropout in training mode draws,
    and then no attacker can compute the same gradients again. With `create_graph` they can be
    differentiated once more. A parameter that the loss does not depend on has the gradient 0.
    """
    learning = {name: p for name, p in network.named_parameters() if p.requires_grad}
    loss = cross_entropy(network(x), labels)
    found = torch.autograd.grad(
        loss, list(learning.values()), create_graph=create_graph, materialize_grads=True
    )
    return dict(zip(learning, found, strict=True))


def gradients_of_step(before: Gradients, after: Gradients, rate: float) -> dict[str, Tensor]:
    """Return the gradients behind one step of plain gradient descent: (before - after) / rate.

    `before` and `after` are the weights by name, `rate` > 0 the step's learning rate. Of several
    steps, or of another optimiser, this is the direction of the whole update and no gradient.
    Raises `ValueError` for names or shapes that differ and for a rate of 0 or less.
    """
    if rate <= 0:
        raise ValueError(f"a learning rate is above 0, not {rate}; name the rate of the step")
    if before.keys() != after.keys():
        differ = sorted(before.keys() ^ after.keys())
        raise ValueError(
            f"the weights before and after the step differ in {', '.join(differ[:3])}; give both "
            "of the same network"
        )
    wrong = [name for name in before if before[name].shape != after[name].shape]
    if wrong:
        raise ValueError(
            f"{wrong[0]} is {tuple(before[wrong[0]].shape)} before the step and "
            f"{tuple(after[wrong[0]].shape)} after it; give both of the same network"
        )
    return {name: (before[name] - after[name]) / rate for name in before}


def require_gradients(network: nn.Module, gradients: Gradients) -> None:
    """Raise `ValueError` where the gradients are not those of this network's parameters.

    Named are missing or unknown parameters, other shapes, NaN or infinity, and an update that is 0
    everywhere.
    """
    learning = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if not learning:
        raise ValueError(
            "the network has no parameter that learns, so no gradient says anything; call "
            "network.requires_grad_(True)"
        )
    for what, names in (
        ("lack", learning.keys() - gradients.keys()),
        ("hold more than the network does:", gradients.keys() - learning.keys()),
    ):
        if names:
            raise ValueError(
                f"the gradients {what} {', '.join(sorted(names)[:3])}; take them from the same "
                "network, by the names of its parameters"
            )
    for name, parameter in learning.items():
        found = gradients[name]
        if found.shape != parameter.shape:
            raise ValueError(
                f"the gradient of {name} is {tuple(found.shape)} and the parameter "
                f"{tuple(parameter.shape)}; take the gradients from a network of the same size"
            )
        if not bool(torch.isfinite(found).all()):
            raise ValueError(
                f"the gradient of {name} holds NaN or infinity; leave this update out, no image "
                "can be read from it"
            )
    if not any(bool(found.any()) for found in gradients.values()):
        raise ValueError("all gradients are 0: this update says nothing; take another step's")
