"""The disease recogniser between two parties and a dealer: the same logits, and nobody who sees
both the image and the weights.

The model owner (party 0) holds the weights, the data owner (party 1) the image. Batch norm is
folded into the convolutions beforehand. Convolutions and dense layers are linear; max-pool and ReLU
are comparisons. Everybody knows the architecture. All are expected to follow the protocol
("semi-honest"), and the dealer to tell nobody what was drawn: whoever has the dealer's numbers and
one party's messages can compute the other party's secrets.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np
from jaxtyping import Float

from medpriv_lib.encrypted import gates
from medpriv_lib.encrypted.gates import (
    DATA_OWNER,
    MODEL_OWNER,
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
    windows,
)

Logits = Float[np.ndarray, " classes"]
POOLINGS = ("max", "max after relu", "average")
Part = LinearPart | ComparisonPart | TruncationPart


@dataclass(frozen=True)
class Architecture:
    """What everybody knows of the network: sizes, and how it pools.

    `pooling` is "max" (max-pool, then ReLU: the same values in the other order, with fewer
    comparisons), "max after relu" (the order of the printed network), or "average" (another
    network). Raises `ValueError` for what the recogniser cannot be.
    """

    size: int = 64
    classes: int = 2
    pooling: str = "max"
    channels: int = 1
    kernels: tuple[int, ...] = (5, 5, 3, 3)
    filters: int = 32
    embedding: int = 32

    def __post_init__(self) -> None:
        """Refuse architectures that are none, or that would fill the memory."""
        object.__setattr__(self, "kernels", tuple(self.kernels))
        halvings = 1 << len(self.kernels)
        numbers = [self.size, self.classes, self.channels, self.filters, self.embedding]
        whole = all(type(x) is int and 1 <= x <= 1024 for x in (*numbers, *self.kernels))
        if not whole or self.size % halvings or any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(
                f"no such recogniser: {asdict(self)}; sizes are multiples of {halvings} up to "
                "1024, kernels are odd"
            )
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling {self.pooling!r} is none of {', '.join(POOLINGS)}")

    def layers(self) -> "list[Layer]":
        """Return the linear layers in their order."""
        side, before, found = self.size, self.channels, []
        for number, kernel in enumerate(self.kernels, 1):
            name, shape = f"convolution {number}", (before, side, side)
            found.append(Layer(name, shape, self.filters, kernel, number == 1))
            side, before = side // 2, self.filters
        inputs = self.filters * side * side
        found.append(Layer("dense", (1, inputs), self.embedding))
        return [*found, Layer("head", (1, self.embedding), self.classes)]

    def comparisons(self) -> int:
        """Return how many comparisons one image takes."""
        return sum(step.count for step in self.steps() if step.kind == "compare")

    def steps(self) -> "list[Step]":
        """Return everything that needs numbers of the dealer, in the order of the computation."""
        found = []
        *convolutions, dense, head = self.layers()
        for layer in convolutions:
            values = self.filters * layer.shape[1] ** 2
            found.append(Step("linear", values, layer))
            counts = {
                "max": [values // 2, values // 4, values // 4],
                "max after relu": [values, values // 2, values // 4],
                "average": [values // 4],
            }[self.pooling]
            found += [Step("compare", count) for count in counts]
            found.append(Step("truncate", values // 4))
        found += [Step("linear", self.embedding, dense), Step("compare", self.embedding)]
        return [*found, Step("truncate", self.embedding), Step("linear", self.classes, head)]


@dataclass(frozen=True)
class Layer:
    """A linear layer: name, shape of its input, number of outputs or filters, kernel (0: dense)."""

    name: str
    shape: tuple[int, ...]
    outputs: int
    kernel: int = 0
    first: bool = False

    def unrolled(self, x: Ring) -> Ring:
        """Return the left factor of the layer's product: windows of an image, or the vector."""
        return windows(x, self.kernel) if self.kernel else x

    def weight_shape(self) -> tuple[int, int]:
        """Return the shape of the right factor."""
        inputs = self.shape[0] * self.kernel**2 if self.kernel else self.shape[1]
        return inputs, self.outputs


@dataclass(frozen=True)
class Step:
    """One use of the dealer's numbers: its kind, how many values it gives, the layer if linear."""

    kind: str
    count: int
    layer: Layer | None = None

    def shapes(self) -> list[tuple[tuple[int, ...], type]]:
        """Return shape and type of what each party gets for the step."""
        if self.layer is not None:
            rows = self.layer.shape[1] ** 2 if self.layer.kernel else 1
            return [(self.layer.shape, np.uint64), ((rows, self.layer.outputs), np.uint64)]
        part = ComparisonPart if self.kind == "compare" else TruncationPart
        return part.shapes(self.count)

    def part(self, arrays: list[np.ndarray]) -> Part:
        """Put what was sent together again."""
        if self.layer is not None:
            return LinearPart.of(arrays)
        return (ComparisonPart if self.kind == "compare" else TruncationPart).of(arrays)


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
    sums.
    """
    from torch import nn

    from medpriv_lib.recognition.networks import Recogniser

    if not isinstance(network, Recogniser):
        raise ValueError(f"a Recogniser is computed here, not a {type(network).__name__}")
    linear = [x for x in network.merged().modules() if isinstance(x, nn.Conv2d | nn.Linear)]
    convolutions = [x for x in linear if isinstance(x, nn.Conv2d)]
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

    def prepare(self, parts: list[Part]) -> "Prepared":
        """Compute, before the image is there, what does not depend on it."""
        ready, layers = [], iter(self.hidden)
        for step, part in zip(self.architecture.steps(), parts, strict=True):
            if step.layer is not None:
                assert isinstance(part, LinearPart)
                ready.append(gates.prepared(part, step.layer.unrolled, next(layers)))
        return Prepared(list(parts), ready)

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


@dataclass
class Ledger:
    """What one image cost: bytes sent by either party, rounds, comparisons, bytes of keys,
    seconds.
    """

    sent: list[int] = field(default_factory=lambda: [0, 0])
    rounds: int = 0
    comparisons: int = 0
    key_bytes: int = 0
    dealing: float = 0.0
    preparing: float = 0.0
    online: float = 0.0
    seen: tuple[list[Ring], list[Ring]] = field(default_factory=lambda: ([], []))


class InProcess:
    """A session of all three parties within one process, for chapters, tests and measurements.

    Nothing is hidden from whoever runs it; the messages are those of the real parties, byte for
    byte.
    """

    def __init__(self, network: object, pooling: str = "max", keep: bool = False) -> None:
        """Fix the network; `keep` notes every message that a party received (`Ledger.seen`)."""
        self.architecture, self.weights = fixed_point(network, pooling)
        self.masks = weight_masks(self.architecture)
        hidden = hidden_weights(self.weights, self.masks)
        self.model_owner = Party(MODEL_OWNER, self.architecture, hidden, self.weights)
        self.data_owner = Party(DATA_OWNER, self.architecture, hidden)
        self.keep = keep

    def infer(self, image: Float[np.ndarray, "c h w"]) -> tuple[Logits, Ledger]:
        """Return the logits of an image in [-1, 1] (float64) and what they cost."""
        secret = encode_image(image, self.architecture)
        ledger = Ledger(comparisons=self.architecture.comparisons())
        start = time.perf_counter()
        parts = list(deal(self.architecture, self.masks))
        ledger.dealing = time.perf_counter() - start
        ledger.key_bytes = sum(array.nbytes for _, part in parts for array in part.arrays())
        start = time.perf_counter()
        owner = self.model_owner.prepare([part for part, _ in parts])
        holder = self.data_owner.prepare([part for _, part in parts])
        ledger.preparing = time.perf_counter() - start
        start = time.perf_counter()
        talks = (
            self.model_owner.infer(owner, np.zeros_like(secret)),
            self.data_owner.infer(holder, secret),
        )
        mine, theirs = converse(talks, ledger, self.keep)
        ledger.rounds += 1  # the model owner's share of the logits
        ledger.sent[MODEL_OWNER] += mine.nbytes
        if self.keep:
            ledger.seen[DATA_OWNER].append(mine.ravel())
        ledger.online = time.perf_counter() - start
        return logits_of(mine, theirs), ledger


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


def converse(talks: tuple[Talk, Talk], ledger: Ledger, keep: bool = False) -> tuple[Ring, Ring]:
    """Let two parties talk until both have a result, and note bytes and rounds."""
    messages = [next(talk) for talk in talks]
    while True:
        ledger.rounds += 1
        done, following = [], []
        for number, talk in enumerate(talks):
            theirs = messages[1 - number].sent
            if theirs is not None:
                ledger.sent[1 - number] += theirs.nbytes
                if keep:
                    ledger.seen[number].append(theirs)
            received = np.empty(0, np.uint64) if theirs is None else theirs
            assert received.size == messages[number].due, messages[number].what
            try:
                following.append(talk.send(received))
            except StopIteration as stop:
                done.append(stop.value)
        if done:
            return done[0], done[1]
        messages = following
