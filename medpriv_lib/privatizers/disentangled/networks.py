"""The networks of disentanglement (Montenegro, Cardoso 2023, arXiv 2311.04833): one trunk that
reads three vectors from an image, a generator on their concatenation, small heads, a discriminator.

Two things differ from the published ones by default, each an option. The three vectors are
normalised (mean 0, variance 1 over their entries): the swap terms are squared differences between
vectors, and without it the vectors fall to nothing. And the trunk keeps where something is (it
flattens its last grid, `pool="flatten"`) instead of taking the mean over the grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import channels_of, size_of

PARTS = ("medical", "identity", "other")
CHOICES = {
    "norm": ("group", "batch"),
    "pool": ("flatten", "average"),
    "upsampling": ("bilinear", "nearest"),
}


@dataclass(frozen=True)
class Architecture:
    """The sizes of the networks.

    `patients` is the number of training patients; `size` the height and width of an image, a
    multiple of 16; `channels` 1 for grey images, 3 for colour; `width` the first width of the trunk
    (then 2, 4, 8 times as wide); `medical`, `identity`, `other` the lengths of the vectors (`other`
    0 leaves it out); `hidden` and `dropout` those of the heads; `normalise` whether vectors are
    normalised. Raises `ValueError` for sizes and choices that do not exist.
    """

    patients: int
    size: int = 64
    channels: int = 1
    width: int = 64
    medical: int = 32
    identity: int = 128
    other: int = 64
    hidden: int = 128
    dropout: float = 0.5
    normalise: bool = True
    norm: str = "group"
    pool: str = "flatten"
    upsampling: str = "bilinear"

    @classmethod
    def of(cls, train: Cohort, **sizes: Any) -> Self:
        """Return the architecture for these patients and images. Raises `ValueError` for images
        that are not square.
        """
        images = train.images
        return cls(train.patients, size_of(images), channels_of(images), **sizes)

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.size < 16 or self.size % 16:
            raise ValueError(
                f"the trunk halves an image four times: size must be a multiple of 16, not "
                f"{self.size}; prepare with --size 64"
            )
        if self.channels not in (1, 3):
            raise ValueError(f"images have 1 channel (grey) or 3 (colour), not {self.channels}")
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key} {getattr(self, key)!r}: choose {' or '.join(allowed)}")
        if self.width < 8 or self.width % 8:
            raise ValueError(f"width must be a multiple of 8, not {self.width}")
        if min(self.medical, self.identity) < 2 or self.other < 0 or self.other == 1:
            raise ValueError(
                "vectors have at least two entries, and only `other` may be left out (0), not "
                f"{self.lengths}"
            )

    @property
    def lengths(self) -> tuple[int, int, int]:
        """The lengths of the three vectors, in the order of `PARTS`."""
        return self.medical, self.identity, self.other

    @property
    def parts(self) -> tuple[str, ...]:
        """The vectors that there are."""
        return tuple(part for part, n in zip(PARTS, self.lengths, strict=True) if n)


class Vectors(NamedTuple):
    """The three vectors of images: `medical` (N, m), `identity` (N, i), `other` (N, o), o may be
    0.
    """

    medical: Float[Tensor, "n m"]
    identity: Float[Tensor, "n i"]
    other: Float[Tensor, "n o"]

    def joined(self) -> Float[Tensor, "n d"]:
        """Return the concatenation, in the order of `PARTS`."""
        return torch.cat(list(self), dim=1)

    def rows(self, rows: Any) -> "Vectors":
        """Return the vectors of these rows (a slice, indices or a mask)."""
        return Vectors(*(one[rows] for one in self))

    def mapped(self, change: Any) -> "Vectors":
        """Return `change` of each vector."""
        return Vectors(*(change(one) for one in self))

    @classmethod
    def cat(cls, several: list["Vectors"]) -> "Vectors":
        """Return the rows of several, one after the other."""
        return cls(*(torch.cat(list(one)) for one in zip(*several, strict=True)))


def normalised(vectors: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Return every vector with mean 0 and variance 1 over its entries; none of length 0 is
    touched.
    """
    return F.layer_norm(vectors, vectors.shape[1:]) if vectors.shape[1] else vectors


def dropped(
    x: Float[Tensor, "n d"], share: float, generator: torch.Generator | None
) -> Float[Tensor, "n d"]:
    """Return dropout drawn from `generator` on the device of x; without one, x itself."""
    if generator is None or share == 0:
        return x
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= share
    return x * kept / (1 - share)


class Block(nn.Module):
    """Twice [3x3 convolution, norm, LeakyReLU .2], with a short cut; `stride` 2 halves the grid."""

    def __init__(self, inputs: int, outputs: int, a: Architecture, stride: int = 1) -> None:
        """Build the two convolutions and the short cut."""
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(_norm(outputs, a) for _ in range(2))
        self.short = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """Return the block's output."""
        y = F.leaky_relu(self.norms[0](self.first(x)), 0.2)
        y = self.norms[1](self.second(y))
        return F.leaky_relu(y + self.short(x), 0.2)


def _norm(channels: int, a: Architecture) -> nn.Module:
    if a.norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(max(1, channels // 8), channels)


class Encoder(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to their three vectors: four halvings, three dense layers."""

    def __init__(self, a: Architecture) -> None:
        """Build the trunk and the three dense layers."""
        super().__init__()
        self.architecture, layers, inputs = a, [], a.channels
        for times in (1, 2, 4, 8):
            layers.append(Block(inputs, times * a.width, a, stride=2))
            inputs = times * a.width
        self.trunk = nn.Sequential(*layers)
        grid = (a.size // 16) ** 2
        self.squeeze = nn.Conv2d(inputs, a.width, 1) if a.pool == "flatten" else nn.Identity()
        features = a.width * grid if a.pool == "flatten" else inputs
        self.dense = nn.ModuleList(nn.Linear(features, length) for length in a.lengths if length)

    def forward(self, image: Float[Tensor, "n c s s"]) -> Vectors:
        """Return the vectors, float32."""
        a, y = self.architecture, self.squeeze(self.trunk(image))
        y = F.leaky_relu(y, 0.2).flatten(1) if a.pool == "flatten" else y.mean(dim=(2, 3))
        read = [layer(y).float() for layer in self.dense]
        if a.normalise:
            read = [normalised(one) for one in read]
        medical, identity, *other = read
        return Vectors(medical, identity, other[0] if other else medical[:, :0])


class Generator(nn.Module):
    """Three vectors to an image (N, C, S, S) in [-1, 1]: a dense layer, four doublings."""

    def __init__(self, a: Architecture) -> None:
        """Build the dense layer, the doublings and the last convolution."""
        super().__init__()
        self.architecture, self.grid, first = a, a.size // 16, 4 * a.width
        self.dense = nn.Linear(sum(a.lengths), first * self.grid**2)
        layers, inputs = [], first
        for share in (1, 2, 4, 8):
            outputs = 4 * a.width // share
            layers.append(Block(inputs, outputs, a))
            inputs = outputs
        self.blocks = nn.ModuleList(layers)
        self.last = nn.Conv2d(inputs, a.channels, 3, padding=1)

    def forward(self, joined: Float[Tensor, "n d"]) -> Float[Tensor, "n c s s"]:
        """Return the images of concatenated vectors, float32."""
        y = F.leaky_relu(self.dense(joined), 0.2).unflatten(1, (-1, self.grid, self.grid))
        y = y.contiguous(memory_format=torch.channels_last)
        smooth = {"align_corners": False} if self.architecture.upsampling == "bilinear" else {}
        for block in self.blocks:
            y = F.interpolate(y, scale_factor=2.0, mode=self.architecture.upsampling, **smooth)
            y = block(y)
        return self.last(y).float().tanh()


class Head(nn.Module):
    """A vector to logits: dense, ReLU, dropout, dense; what it learns is for its loss to say."""

    def __init__(self, inputs: int, classes: int, a: Architecture) -> None:
        """Build the two dense layers."""
        super().__init__()
        self.dropout = a.dropout
        self.first, self.last = nn.Linear(inputs, a.hidden), nn.Linear(a.hidden, classes)

    def forward(
        self, vector: Float[Tensor, "n d"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "n c"]:
        """Return the logits; with a generator on the vectors' device, under dropout."""
        return self.last(dropped(self.first(vector).relu(), self.dropout, generator))


class Networks(nn.Module):
    """Encoder, generator and heads.

    `disease` reads "medical", `patient` reads "identity". `adversaries` learn what a vector should
    not tell: the patient from "medical" and "other", the label from "identity" and "other".
    """

    def __init__(self, a: Architecture) -> None:
        """Build everything; weights come from torch's global generator."""
        super().__init__()
        self.architecture = a
        self.encoder, self.generator = Encoder(a), Generator(a)
        self.disease, self.patient = Head(a.medical, 2, a), Head(a.identity, a.patients, a)
        lengths = dict(zip(PARTS, a.lengths, strict=True))
        self.adversaries = nn.ModuleDict(
            {
                f"{target}_{part}": Head(lengths[part], classes, a)
                for target, classes, parts in (
                    ("patient", a.patients, ("medical", "other")),
                    ("label", 2, ("identity", "other")),
                )
                for part in parts
                if lengths[part]
            }
        )

    def encode(self, images: Float[Tensor, "n c s s"]) -> Vectors:
        """Return the vectors of images in [-1, 1]."""
        return self.encoder(images.contiguous(memory_format=torch.channels_last))

    def generate(self, vectors: Vectors) -> Float[Tensor, "n c s s"]:
        """Return the images of vectors."""
        return self.generator(vectors.joined())


def networks_of(architecture: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Networks:
    """Return the networks of a card's architecture, filled with these tensors and ready to use.

    Raises `TypeError`, `ValueError` and `RuntimeError` where they do not fit together.
    """
    networks = Networks(Architecture(**architecture))
    networks.load_state_dict(dict(tensors))
    return networks.eval().to(memory_format=torch.channels_last)
