"""Unfold a recogniser into the plain chain of layers that relevance is passed back through."""

import copy

import torch
from torch import Tensor, nn

SKIPPED = (nn.Identity, nn.Dropout, nn.Dropout2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
LINEAR = (nn.Conv2d, nn.Linear)
AVERAGES = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
SUPPORTED = (*LINEAR, *NORMS, nn.ReLU, nn.MaxPool2d, *AVERAGES, nn.Flatten, *SKIPPED)


def unfold(network: nn.Module, probe: Tensor) -> nn.Sequential:
    """Return a copy of `network` as one chain of layers, batch norm merged away, that gives the
    same logits.

    `probe` (n, c, h, w) is an input of the right size: one pass shows in which order the layers are
    called. Batch norm is merged into the convolution or linear layer directly before it (in
    evaluation mode both are affine), dropout is left out, a missing flatten is put in. Every
    convolution or linear layer but the first must receive what a ReLU gave: z+ is derived for
    inputs >= 0 (Montavon et al. 2017). `network` itself is not changed.

    Raises `ValueError` for a layer that is not in `SUPPORTED`, for batch norm elsewhere, for a
    linear layer after a linear layer, where the probe does not fit, and where the chain's logits
    differ from the network's (the network then computes something between its layers, a skip
    connection for instance).
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    called: list[nn.Module] = []
    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [
        leaf.register_forward_hook(lambda module, *_: called.append(module)) for leaf in leaves
    ]
    try:
        with torch.no_grad():
            expected = network(probe)
    except RuntimeError as error:
        raise ValueError(
            f"images of {tuple(probe.shape[1:])} do not fit this network ({error}); "
            "prepare them to the size it was trained on"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    chain = nn.Sequential(*_merge([copy.deepcopy(module) for module in called]))
    with torch.no_grad():
        try:
            agree = torch.allclose(chain(probe), expected, rtol=1e-3, atol=1e-4)
        except RuntimeError:
            agree = False
    if not agree:
        raise ValueError(
            f"{type(network).__name__} is not a plain chain of layers (a skip connection, or a "
            "function such as torch.relu in place of nn.ReLU?); relevance is passed back through "
            "layers"
        )
    _check_positive(chain)
    return chain


def _merge(layers: list[nn.Module]) -> list[nn.Module]:
    chain: list[nn.Module] = []
    for layer in layers:
        if not isinstance(layer, SUPPORTED):
            names = ", ".join(kind.__name__ for kind in SUPPORTED)
            raise ValueError(
                f"unsupported layer {type(layer).__name__}: relevance propagation knows {names}"
            )
        if isinstance(layer, SKIPPED):
            continue
        if isinstance(layer, NORMS):
            if not chain or not isinstance(chain[-1], LINEAR):
                before = type(chain[-1]).__name__ if chain else "the input"
                raise ValueError(
                    f"{type(layer).__name__} must directly follow a convolution or linear layer to "
                    "be "
                    f"merged into it; here it follows {before}"
                )
            _fold_norm(chain[-1], layer)
            continue
        if (
            isinstance(layer, nn.Linear)
            and chain
            and not isinstance(chain[-1], (nn.Linear, nn.ReLU, nn.Flatten))
        ):
            chain.append(nn.Flatten())
        chain.append(layer)
    return chain


def _fold_norm(linear: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Put y = gamma (w x + b - mean) / sqrt(var + eps) + beta into w and b, in float64 against
    rounding.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(
            f"{type(norm).__name__} without running statistics depends on the batch and cannot be "
            "merged"
        )
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    bias = torch.zeros_like(scale) if linear.bias is None else linear.bias.double()
    bias = (bias - norm.running_mean.double()) * scale
    if norm.bias is not None:
        bias = bias + norm.bias.double()
    weight = linear.weight.double() * scale.reshape(-1, *(1,) * (linear.weight.ndim - 1))
    linear.weight = nn.Parameter(weight.to(linear.weight.dtype), requires_grad=False)
    linear.bias = nn.Parameter(bias.to(linear.weight.dtype), requires_grad=False)


def _check_positive(chain: nn.Sequential) -> None:
    seen_linear, positive = False, True
    for layer in chain:
        if isinstance(layer, LINEAR):
            if seen_linear and not positive:
                raise ValueError(
                    f"{type(layer).__name__} follows a linear layer without a ReLU between them: "
                    "its "
                    "input may be negative, and z+ is derived for inputs >= 0; use a network with "
                    "nn.ReLU"
                )
            seen_linear, positive = True, False
        elif isinstance(layer, nn.ReLU):
            positive = True
