"""The disease recogniser between two parties and a dealer: the same logits, and nobody who sees
both the image and the weights.

The model owner (party 0) holds the weights, the data owner (party 1) the image. Batch norm is
folded into the convolutions beforehand. Convolutions and dense layers are linear; max-pool and ReLU
are comparisons. Everybody knows the architecture. All are expected to follow the protocol
("semi-honest"), and the dealer to tell nobody what was drawn: whoever has the dealer's numbers and
one party's messages can compute the other party's secrets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medpriv_lib.encrypted import gates
from medpriv_lib.encrypted.architecture import Architecture, Part
from medpriv_lib.encrypted.gates import (
    PRODUCT,
    ComparisonPart,
    LinearPart,
    Talk,
    TruncationPart,
)
from medpriv_lib.encrypted.shares import (
    LARGEST,
    Ring,
    decode,
    encode,
    random_ring,
    refuse_large,
)

Logits = Float[np.ndarray, " classes"]


@dataclass(frozen=True, eq=False)
class Weights:
    """The network in fixed point: a matrix with FRACTION bits and a bias with twice as many, per
    layer.
    """

    matrices: tuple[Ring, ...]
    biases: tuple[Ring, ...]


def fixed_point(network: object, pooling: str = "max") -> tuple[Architecture, Weights]:
    """Fold batch norm into a `Recogniser`'s convolutions and round its weights to fixed point.

    With "average" the same weights are used as if the network had been trained with average
    pooling: good for costs, not for decisions. Raises `ValueError` for weights too large for exact
    sums, and for networks that are computed otherwise (group norm, other convolutions).
    """
    from torch import nn

    from medpriv_lib.recognition.networks import Recogniser

    if not isinstance(network, Recogniser):
        raise ValueError(f"a Recogniser is computed here, not a {type(network).__name__}")
    linear = [x for x in network.merged().modules() if isinstance(x, nn.Conv2d | nn.Linear)]
    convolutions = [x for x in linear if isinstance(x, nn.Conv2d)]
    if any(isinstance(x, nn.GroupNorm) for x in network.modules()):
        raise ValueError(
            f"a {type(network).__name__} network has group norm, which divides by the spread of "
            "each image, and no step here divides: train with batch norm, which folds into the "
            "convolutions, or offer a linear score (`ckks.Server.scores`)"
        )
    if not convolutions or len({x.out_channels for x in convolutions}) > 1:
        raise ValueError(
            f"a {type(network).__name__} network has not the recogniser's convolutions, all with "
            "the same number of filters: only those are computed on shares"
        )
    architecture = Architecture(
        network.size,
        network.classes,
        pooling,
        convolutions[0].in_channels,
        tuple(int(x.kernel_size[0]) for x in convolutions),
        convolutions[0].out_channels,
        int(linear[-1].weight.shape[1]),
    )
    matrices, biases = [], []
    for layer in linear:
        quarter = 4.0 if pooling == "average" and isinstance(layer, nn.Conv2d) else 1.0
        matrix = layer.weight.detach().double().reshape(len(layer.weight), -1).T.numpy() / quarter
        matrices.append(encode(matrix))
        refuse_large(matrices[-1])
        assert layer.bias is not None  # merged layers and dense layers have one
        biases.append(encode(layer.bias.detach().double().numpy() / quarter, PRODUCT))
    return architecture, Weights(tuple(matrices), tuple(biases))


def weight_masks(architecture: Architecture) -> list[Ring]:
    """Draw the dealer's mask of every layer's weights: once a session, for the model owner."""
    return [random_ring(*layer.weight_shape()) for layer in architecture.layers()]


def deal(architecture: Architecture, masks: list[Ring]) -> Iterator[tuple[Part, Part]]:
    """Draw both parties' parts for one image, step by step; nothing of it may be used twice."""
    of_layer = iter(masks)
    for step in architecture.steps():
        if step.layer is not None:
            layer = step.layer
            yield gates.deal_linear(layer.shape, layer.unrolled, next(of_layer), layer.first)
        elif step.kind == "compare":
            yield gates.deal_comparisons(step.count)
        else:
            yield gates.deal_truncations(step.count)


def hidden_weights(weights: Weights, masks: list[Ring]) -> list[Ring]:
    """Return the weights minus the dealer's masks: all that the data owner ever sees of them."""
    return [matrix - mask for matrix, mask in zip(weights.matrices, masks, strict=True)]


@dataclass(frozen=True, eq=False)
class Party:
    """One party of a session: what it knows, and the steps it takes for an image.

    `hidden` are the weights minus the dealer's masks; `weights` only the model owner has.
    """

    number: int
    architecture: Architecture
    hidden: list[Ring]
    weights: Weights | None = None

    def prepare(self, parts: Iterable[Part]) -> "Prepared":
        """Compute, before the image is there, what does not depend on it: for each part as it comes
        from the dealer, who meanwhile draws the next.
        """
        kept, ready, layers = [], [], iter(self.hidden)
        for step, part in zip(self.architecture.steps(), parts, strict=True):
            kept.append(part)
            if step.layer is not None:
                assert isinstance(part, LinearPart)
                ready.append(gates.prepared(part, step.layer.unrolled, next(layers)))
        return Prepared(kept, ready)

    def infer(self, prepared: "Prepared", image: Ring) -> Talk:
        """Return this party's share of the logits (1, classes); `image` is its share (c, h, w)."""
        run = _Run(self, prepared)
        x, a = image, self.architecture
        for number, layer in enumerate(a.layers()[: len(a.kernels)], 1):
            y = yield from run.linear(x)
            side = layer.shape[1]
            y = np.ascontiguousarray(y.T).reshape(a.filters, side, side)
            y = yield from run.pooled(y, f"block {number}")
            x = yield from run.truncated(y, f"block {number}")
        y = yield from run.linear(x.reshape(1, -1))
        y = yield from run.positive(y, "dense")
        y = yield from run.truncated(y, "dense")
        return (yield from run.linear(y))


@dataclass(frozen=True, eq=False)
class Prepared:
    """The dealer's parts for one image and what was computed from them; good for one image."""

    parts: list[Part]
    ready: list[Ring]


class _Run:
    """One image of one party: takes the dealer's parts in their order, each once."""

    def __init__(self, party: Party, prepared: Prepared) -> None:
        self.party = party
        self.parts, self.ready = iter(prepared.parts), iter(prepared.ready)
        self.layers = iter(enumerate(party.architecture.layers()))

    def linear(self, x: Ring) -> Talk:
        (number, layer), part, ready = next(self.layers), next(self.parts), next(self.ready)
        assert isinstance(part, LinearPart)
        weights = self.party.weights
        if weights is None:
            return (yield from gates.linear_of_data_owner(x, part, ready, layer.name))
        y = yield from gates.linear_of_model_owner(
            x, part, ready, weights.matrices[number], layer.unrolled, layer.name
        )
        return y + weights.biases[number]

    def positive(self, x: Ring, where: str) -> Talk:
        part = next(self.parts)
        assert isinstance(part, ComparisonPart)
        return (yield from gates.positive(self.party.number, x, part, f"{where}, ReLU"))

    def larger(self, x: Ring, y: Ring, where: str) -> Talk:
        part = next(self.parts)
        assert isinstance(part, ComparisonPart)
        return (yield from gates.larger(self.party.number, x, y, part, f"{where}, max-pool"))

    def truncated(self, x: Ring, where: str) -> Talk:
        part = next(self.parts)
        assert isinstance(part, TruncationPart)
        return (yield from gates.truncate(self.party.number, x, part, f"{where}, truncation"))

    def pooled(self, y: Ring, where: str) -> Talk:
        pooling = self.party.architecture.pooling
        if pooling == "average":  # the weights are divided by four already
            rows = y[:, 0::2] + y[:, 1::2]
            return (yield from self.positive(rows[:, :, 0::2] + rows[:, :, 1::2], where))
        if pooling == "max after relu":
            y = yield from self.positive(y, where)
        y = yield from self.larger(y[:, 0::2], y[:, 1::2], where)
        y = yield from self.larger(y[:, :, 0::2], y[:, :, 1::2], where)
        return y if pooling == "max after relu" else (yield from self.positive(y, where))


def logits_of(mine: Ring, theirs: Ring) -> Logits:
    """Put two shares of the logits together.

    Raises `ValueError` for values outside of -2^LARGEST..2^LARGEST: the shares do not belong
    together, or one was changed on purpose.
    """
    logits = decode(mine.ravel() + theirs.ravel(), PRODUCT)
    if not bool((np.abs(logits) < 2.0**LARGEST).all()):
        raise ValueError(
            "the two shares of the result make no logits: a share was changed, or the parties used "
            "keys that do not belong together; run the session again"
        )
    return logits


def encode_image(image: Float[np.ndarray, "c h w"], architecture: Architecture) -> Ring:
    """Return the image in fixed point.

    Raises `ValueError` for another shape than the network's, for NaN, and outside of [-1, 1].
    """
    due = (architecture.channels, architecture.size, architecture.size)
    image = np.asarray(image, np.float64)
    if image.shape != due:
        raise ValueError(f"the image has shape {image.shape}, the network sees {due}")
    if not bool((np.abs(image) <= 1).all()):
        raise ValueError(
            "the image holds NaN or values outside of [-1, 1]; scale grey levels first"
        )
    return encode(image)
