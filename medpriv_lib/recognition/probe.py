"""A linear layer on what the expert sees: the recogniser that survives a budget of noise.

The expert was taught on invented people, so what it makes of an image is known from outside and
costs no epsilon. Only the last layer is learnt from patients: some hundred numbers share the noise
that a whole network's fifty thousand would have to bear.
"""

import functools

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.pixels import Images, to_tensor
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.wide import Wide

SCALE = 10.0  # about the size of the expert's activations: a constant, no statistic of anybody
BATCH = 64  # images read at once
_read = Memory()  # the expert never changes, so each image is read once in a process


@functools.cache
def _reader() -> Wide:
    """Return the expert's first network, which is never trained here."""
    return Expert.load().networks[0].eval().requires_grad_(False)


class Probe(Recogniser):
    """Logits of two classes, linear in the expert's activations. Only `head` has weights.

    It begins with zeros. Raises `ValueError` for images of another size or number of channels than
    the expert reads.
    """

    def __init__(self, size: int = 64, channels: int = 1) -> None:
        """Make the linear layer."""
        nn.Module.__init__(self)
        reader = _reader()
        if (size, channels) != (reader.size, reader.channels):
            raise ValueError(
                f"a probe reads grey images of {reader.size}x{reader.size}, for the expert does; "
                f"these have {size}x{size} and {channels} channel(s): prepare them with --size "
                f"{reader.size}, or train the network"
            )
        self.classes, self.size, self.channels = 2, size, channels
        self.dropout = nn.Dropout(0.0)
        self.head = nn.Linear(reader.shape.embedding, 2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n e"]:
        """Return the expert's activations for images in [-1, 1], divided by `SCALE`."""
        return _reader().embed(x) / SCALE

    def merged(self) -> nn.Sequential:
        """Return the network as it is, ready to judge."""
        return nn.Sequential(self).eval()

    @torch.no_grad()
    def read(self, images: Images) -> Float[Tensor, "n e"]:
        """Return `embed` of uint8 images (n, h, w), some at a time."""

        def new(rows: Int64[np.ndarray, " m"]) -> Float[np.ndarray, "m e"]:
            parts = to_tensor(images[rows]).split(BATCH)
            return torch.cat([self.embed(part) for part in parts]).numpy()

        return torch.from_numpy(_read.recall(keys_of(images), new))
