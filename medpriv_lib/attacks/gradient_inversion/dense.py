"""What entered a dense layer, read from the layer's gradients."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medpriv_lib.attacks.gradient_inversion.gradients import Gradients


class DenseInput(NamedTuple):
    """`values` (inputs,) of a dense layer, and `mixed`, how far the gradients are from those of one
    image: the share of their size, 0..1, that no single input explains.
    """

    values: Float[Tensor, " i"]
    mixed: float


def dense_input(grad_w: Float[Tensor, "o i"], grad_b: Float[Tensor, " o"]) -> DenseInput | None:
    """Return what entered the dense layer y = W h + b, exactly where one image made the gradients.

    With delta = dL/dy, grad_W = delta h^T and grad_b = delta, so each row of grad_W is h times the
    entry of grad_b beside it (Phong et al. 2018). All rows are used, by least squares:
    h = grad_W^T grad_b / |grad_b|^2. Over several images delta and h are summed pairwise; the
    result is then a mixture, and `mixed` is above rounding. None where grad_b is 0: no unit
    of the layer was active. Raises `ValueError` for shapes that are not one layer's.
    """
    if grad_w.ndim != 2 or grad_b.shape != grad_w.shape[:1]:
        raise ValueError(
            f"gradients of one dense layer are (outputs, inputs) and (outputs,), not "
            f"{tuple(grad_w.shape)} and {tuple(grad_b.shape)}"
        )
    weight, bias = grad_w.double(), grad_b.double()
    size = bias.square().sum()
    if float(size) == 0.0:
        return None
    values = weight.T @ bias / size
    whole = float(weight.norm())
    left = float((weight - torch.outer(bias, values)).norm())
    return DenseInput(values.to(grad_w.dtype), left / whole if whole else 0.0)


def dense_layers(network: nn.Module, gradients: Gradients) -> Iterator[tuple[str, nn.Linear]]:
    """Yield name and layer of each dense layer with a bias whose gradients are there, in the
    network's own order.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and {f"{name}.weight", f"{name}.bias"} <= set(gradients):
            yield name, module
