"""What everybody knows of an encrypted recogniser: its layers, and which steps need the dealer."""

from dataclasses import asdict, dataclass

import numpy as np

from medpriv_lib.encrypted.gates import ComparisonPart, LinearPart, TruncationPart
from medpriv_lib.encrypted.shares import Ring, windows

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
