"""Deep Taylor decomposition (Montavon et al. 2017): which pixels a recogniser's decision rests
on.
"""

import functools
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from zennit.core import BasicHook
from zennit.rules import ClampMod, NoMod

from medpriv_lib.explanation.unfold import AVERAGES, LINEAR, unfold

# A neuron whose positive input lies below this share of the layer's largest (per image) gives no
# relevance further: it is active by its bias alone, and dividing by next to nothing would only
# spread rounding errors over its neighbours.
SMALLEST_SHARE = 1e-6


def deep_taylor(
    network: nn.Module,
    x: Float[Tensor, "n c h w"],
    target: int | Int64[Tensor, " n"] | None = None,
    *,
    box: tuple[float, float] | None = (-1.0, 1.0),
    start: Literal["logit", "one"] = "logit",
    batch: int = 16,
) -> Float[Tensor, "n c h w"]:
    """Return the relevance of every pixel for a class's logit.

    The relevance of the output is the logit of `target` (a class, one class per image, or None: the
    predicted class). Hidden layers pass it back by z+, R_i = a_i sum_j w+_ij R_j / sum_i a_i w+_ij;
    the first layer by z-box, R_i = sum_j ((x_i - low) w+_ij + (x_i - high) w-_ij) R_j / (the same,
    summed over i); max-pooling gives everything to the winner, average pooling divides in
    proportion. Biases get none, so that the map sums to the logit wherever every active neuron has
    a positive input. Maps are >= 0. `x` float in `box` = (low, high); `box=None` uses z+ in the
    first layer too, for inputs >= 0. `start="one"` distributes 1 in place of the logit, whatever
    its sign: the same map up to its scale, for comparing maps. Any network of `unfold.SUPPORTED`
    layers; it is not changed. Images do not influence each other.

    Sources: Montavon et al. 2017 (Pattern Recognition 65, 211-222); rules as hooks of zennit
    (Anders et al. 2021). Raises `ValueError` for a starting logit <= 0 (there is no evidence to
    distribute; choose rows with `explainable`), an unsupported network (see `unfold`), values
    outside the box, and images of another size.
    """
    _check(network, x, box)
    if len(x) == 0:
        return torch.empty_like(x)
    classes = None if target is None else class_of_each(target, len(x))
    # small batches stay in the processor's cache, and its convolutions like the channels last
    chain = unfold(network, x[:2]).to(memory_format=torch.channels_last)
    _hook(chain, box)
    maps = []
    for first in range(0, len(x), batch):
        rows = slice(first, first + batch)
        maps.append(
            _propagate(chain, x[rows], None if classes is None else classes[rows], first, start)
        )
    return torch.cat(maps)


def explainable(
    network: nn.Module, x: Float[Tensor, "n c h w"], target: int | Int64[Tensor, " n"] | None = None
) -> Bool[Tensor, " n"]:
    """Say for which images `deep_taylor` has something to distribute: those whose starting logit is
    > 0.
    """
    training = network.training
    network.eval()
    with torch.no_grad():
        out = torch.cat([network(part) for part in x.split(32)]) if len(x) else torch.empty(0, 1)
    network.train(training)
    if len(x) == 0:
        return torch.zeros(0, dtype=torch.bool)
    classes = out.argmax(1) if target is None else class_of_each(target, len(x)).to(out.device)
    return out.gather(1, classes[:, None])[:, 0] > 0


def z_plus() -> BasicHook:
    """Make the rule of hidden layers: relevance goes to positive inputs over positive weights, none
    to biases.
    """
    return BasicHook(
        input_modifiers=[lambda a: a],
        param_modifiers=[ClampMod(min=0.0, zero_params="bias")],
        output_modifiers=[lambda z: z],
        gradient_mapper=_share,
        reducer=lambda inputs, gradients: inputs[0] * gradients[0],
    )


def z_box(low: float, high: float) -> BasicHook:
    """Make the rule of the first layer, whose inputs lie between `low` and `high` and may be
    negative.

    zennit's `ZBox` computes x w - low w+ - high w-; the same written as (x - low) w+ + (x - high)
    w- is a sum of terms >= 0, which needs two convolutions in place of three and cannot round to a
    negative denominator.
    """
    return BasicHook(
        input_modifiers=[lambda x: x - low, lambda x: x - high],
        param_modifiers=[
            ClampMod(min=0.0, zero_params="bias"),
            ClampMod(max=0.0, zero_params="bias"),
        ],
        output_modifiers=[lambda z: z] * 2,
        gradient_mapper=_share,
        reducer=lambda inputs, gradients: inputs[0] * gradients[0] + inputs[1] * gradients[1],
    )


def in_proportion() -> BasicHook:
    """Make the rule of average pooling: relevance in proportion to the inputs, which are >= 0."""
    return BasicHook(
        input_modifiers=[lambda a: a],
        param_modifiers=[NoMod(param_keys=[])],
        output_modifiers=[lambda z: z],
        gradient_mapper=_share,
        reducer=lambda inputs, gradients: inputs[0] * gradients[0],
    )


def _share(relevance: Tensor, outputs: list[Tensor]) -> list[Tensor]:
    z = functools.reduce(torch.add, outputs).detach()
    floor = SMALLEST_SHARE * z.flatten(1).amax(1).reshape(-1, *(1,) * (z.ndim - 1))
    return [torch.where(z > floor, relevance / z, 0)] * len(outputs)


def _hook(chain: nn.Sequential, box: tuple[float, float] | None) -> None:
    first = True
    for layer in chain:
        if isinstance(layer, LINEAR):
            (z_box(*box) if first and box is not None else z_plus()).register(layer)
            first = False
        elif isinstance(layer, AVERAGES):
            in_proportion().register(layer)
        elif isinstance(layer, nn.ReLU):
            layer.inplace = False
            # A ReLU's gradient is 0 or 1: relevance of an inactive neuron is 0 already, so nothing
            # needs a rule here.


def _propagate(
    chain: nn.Sequential, x: Tensor, classes: Tensor | None, offset: int, start: str
) -> Tensor:
    x = x.detach().clone(memory_format=torch.channels_last).requires_grad_()
    with torch.enable_grad():
        logits = chain(x)
        classes = logits.argmax(1) if classes is None else classes.to(logits.device)
        if int(classes.max()) >= logits.shape[1] or int(classes.min()) < 0:
            raise ValueError(
                f"class {int(classes.max())} of a network with {logits.shape[1]} classes"
            )
        given = (
            logits.detach().gather(1, classes[:, None])
            if start == "logit"
            else torch.ones_like(logits[:, :1])
        )
        if bool((given <= 0).any()):
            rows = (torch.nonzero(given[:, 0] <= 0)[:, 0] + offset).tolist()
            raise ValueError(
                f"image {rows[0]} (and {len(rows) - 1} more) has a logit <= 0 for the class to "
                "explain: "
                "there is no relevance to distribute; leave such images out with `explainable`"
            )
        seed = torch.zeros_like(logits).scatter(1, classes[:, None], given)
        return torch.autograd.grad(logits, x, seed)[0].detach().contiguous()


def _check(network: nn.Module, x: Tensor, box: tuple[float, float] | None) -> None:
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(
            f"images must be a float tensor (n, c, h, w), not {x.dtype} {tuple(x.shape)}; see "
            "`to_tensor`"
        )
    size = getattr(network, "size", None)
    if size is not None and tuple(x.shape[2:]) != (size, size):
        raise ValueError(
            f"images are {x.shape[2]}x{x.shape[3]}, the network was made for {size}x{size}; "
            f"prepare them with --size {size}"
        )
    low, high = box if box is not None else (0.0, float("inf"))
    if len(x) and not bool(((x >= low - 1e-4) & (x <= high + 1e-4)).all()):
        raise ValueError(
            f"pixel values must lie in [{low}, {high}] and be numbers; use `to_tensor` on grey "
            "levels"
        )


def class_of_each(target: int | Tensor, n: int) -> Int64[Tensor, " n"]:
    """Return one class per image from one class for all, or check that there is one for each."""
    classes = torch.as_tensor(target, dtype=torch.int64)
    if classes.ndim == 0:
        return classes.expand(n)
    if classes.shape != (n,):
        raise ValueError(
            f"`target` must be one class or one per image ({n},), not {tuple(classes.shape)}"
        )
    return classes
