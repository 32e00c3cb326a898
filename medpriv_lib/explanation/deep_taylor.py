"""Deep Taylor decomposition (Montavon et al. 2017): which pixels a recogniser's decision rests
on.
"""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

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

    Source: Montavon et al. 2017 (Pattern Recognition 65, 211-222). Raises `ValueError` for a
    starting logit <= 0 (there is no evidence to distribute; choose rows with `explainable`), an
    unsupported network (see `unfold`), values outside the box, and images of another size.
    """
    _check(network, x, box)
    if len(x) == 0:
        return torch.empty_like(x)
    classes = None if target is None else class_of_each(target, len(x))
    # small batches stay in the processor's cache, and its convolutions like the channels last
    chain = unfold(network, x[:2]).to(memory_format=torch.channels_last)
    parts = _parts(chain, box)
    maps = []
    for first in range(0, len(x), batch):
        rows = slice(first, first + batch)
        maps.append(
            _propagate(parts, x[rows], None if classes is None else classes[rows], first, start)
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


@dataclass(frozen=True)
class _Part:
    """A layer at which relevance is divided, and the layers after it up to the next of this kind.

    `divider` is the same layer with the weights that relevance is divided by, and `box` the lowest
    and highest input of the first layer (None: inputs >= 0); `layer` and `divider` are None where
    the chain begins with other layers.
    """

    layer: nn.Module | None
    divider: nn.Module | None
    box: tuple[float, float] | None
    after: nn.Sequential

    def back(self, a: Tensor, relevance: Tensor) -> Tensor:
        """Return the relevance of the layer's inputs `a`, from that of its outputs."""
        assert self.divider is not None
        groups = getattr(self.layer, "groups", 1)
        inputs = a if self.box is None else _from_both_ends(a, groups, *self.box)
        inputs = inputs.detach().requires_grad_()
        z = self.divider(inputs)
        given = torch.autograd.grad(z, inputs, _share(relevance, z.detach()))[0]
        received = (inputs * given).detach()
        if self.box is None:
            return received
        return received.reshape(len(a), groups, 2, -1, *a.shape[2:]).sum(2).flatten(1, 2)


def _from_both_ends(x: Tensor, groups: int, low: float, high: float) -> Tensor:
    """Return x - low and x - high as twice the channels, side by side in each group of channels."""
    each = x.reshape(len(x), groups, -1, *x.shape[2:])
    both = torch.cat([each - low, each - high], 2).flatten(1, 2)
    return both.contiguous(memory_format=torch.channels_last) if both.ndim == 4 else both


def _share(relevance: Tensor, z: Tensor) -> Tensor:
    """Return what each unit of z gives to its inputs for one unit of theirs."""
    floor = SMALLEST_SHARE * z.amax(tuple(range(1, z.ndim)), keepdim=True)
    return torch.where(z > floor, relevance / z, 0)


def _parts(chain: nn.Sequential, box: tuple[float, float] | None) -> list[_Part]:
    """Cut a chain before every layer at which relevance is divided.

    Hidden layers divide by z+, average pooling in proportion. z-box, x w - low w+ - high w-, is
    written as (x - low) w+ + (x - high) w-: a sum of terms >= 0, which is one product with twice
    the inputs and cannot round to a negative denominator.
    """
    parts, first = [_Part(None, None, None, nn.Sequential())], True
    for layer in chain:
        if isinstance(layer, LINEAR):
            ends = box if first else None
            parts.append(_Part(layer, _divider(layer, ends is not None), ends, nn.Sequential()))
            first = False
        elif isinstance(layer, AVERAGES):
            parts.append(_Part(layer, layer, None, nn.Sequential()))
        else:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
            parts[-1].after.append(layer)
    return parts


def _divider(layer: nn.Conv2d | nn.Linear, boxed: bool) -> nn.Module:
    """Return the layer without biases and with its positive weights only; `boxed`: these for the
    distance from the lower end, and beside them the negative ones for that from the upper end.
    """
    divider = copy.deepcopy(layer)
    divider.register_parameter("bias", None)
    weight = divider.weight.detach()
    positive = weight.clamp(min=0)
    if boxed:
        positive = torch.cat([positive, weight.clamp(max=0)], 1)
        if isinstance(divider, nn.Conv2d):
            divider.in_channels *= 2
            positive = positive.contiguous(memory_format=torch.channels_last)
    divider.weight = nn.Parameter(positive, requires_grad=False)
    return divider


def _propagate(
    parts: list[_Part], x: Tensor, classes: Tensor | None, offset: int, start: str
) -> Tensor:
    """Pass one batch forward, then its relevance back, part by part: three products a layer."""
    passed: list[tuple[_Part, Tensor, Tensor, Tensor]] = []
    a = x.detach().contiguous(memory_format=torch.channels_last)
    for part in parts:
        with torch.no_grad():
            out = (a if part.layer is None else part.layer(a)).detach()
        if len(part.after):  # without weights: a ReLU's gradient is 0 or 1, a pool's the winner
            out.requires_grad_()
        with torch.enable_grad():
            passed.append((part, a, out, part.after(out)))
        a = passed[-1][-1].detach()
    logits = a
    classes = logits.argmax(1) if classes is None else classes.to(logits.device)
    if int(classes.max()) >= logits.shape[1] or int(classes.min()) < 0:
        raise ValueError(f"class {int(classes.max())} of a network with {logits.shape[1]} classes")
    given = logits.gather(1, classes[:, None])
    given = given if start == "logit" else torch.ones_like(given)
    if bool((given <= 0).any()):
        rows = (torch.nonzero(given[:, 0] <= 0)[:, 0] + offset).tolist()
        raise ValueError(
            f"image {rows[0]} (and {len(rows) - 1} more) has a logit <= 0 for the class to "
            "explain: there is no relevance to distribute; leave such images out with `explainable`"
        )
    relevance = torch.zeros_like(logits).scatter(1, classes[:, None], given)
    with torch.enable_grad():
        for part, a, out, after in reversed(passed):
            if len(part.after):
                relevance = torch.autograd.grad(after, out, relevance)[0]
            if part.layer is not None:
                relevance = part.back(a, relevance)
    return relevance.detach().contiguous()


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
