"""A recogniser with more filters, for what is learnt from many thousand images."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from medpriv_lib.recognition.networks import Recogniser, require_sizes


@dataclass(frozen=True)
class Shape:
    """The form of a `Wide` recogniser: filters and kernel (px) of each of its four blocks, how a
    block halves the image, and the units of the dense layer.
    """

    widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    kernels: tuple[int, int, int, int] = (5, 3, 3, 3)
    pooling: Literal["max", "average"] = "max"
    embedding: int = 64


# the network of judges whose figures stand in tables, and one of another make for choices
TABLE = Shape()
DEVELOPMENT = Shape((24, 40, 64, 96), (3, 5, 3, 3), "average", 48)


class Wide(Recogniser):
    """Four blocks of [convolution -> batch norm -> ReLU -> pool 2], a dense layer, a linear one.

    As `Recogniser`, with the widths of its `shape`. Errors as of `Recogniser`.
    """

    def __init__(
        self, classes: int, size: int = 64, channels: int = 1, shape: Shape = TABLE
    ) -> None:
        """Make the network with random weights from torch's global generator."""
        nn.Module.__init__(self)
        require_sizes(classes, size, channels)
        self.classes, self.size, self.channels, self.shape = classes, size, channels, shape
        widths = (channels, *shape.widths)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False),
                    nn.BatchNorm2d(after),
                    nn.ReLU(),
                    nn.MaxPool2d(2) if shape.pooling == "max" else nn.AvgPool2d(2),
                )
                for before, after, kernel in zip(widths, shape.widths, shape.kernels, strict=False)
            )
        )
        inside = shape.widths[-1] * (size // 16) ** 2
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(inside, shape.embedding), nn.ReLU())
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(shape.embedding, classes)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n e"]:
        """Return the activations (>= 0) of the dense layer, before dropout, for images in [-1,
        1].
        """
        return self.dense(self.blocks(x))

    def pooled(self) -> nn.Module:
        """Return what follows a merged convolution; a mean does not change places with ReLU."""
        if self.shape.pooling == "max":
            return super().pooled()
        return nn.Sequential(nn.ReLU(), nn.AvgPool2d(2))
