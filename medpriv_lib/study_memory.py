"""What was read from single images is remembered: rows of the study share many of their images.

A draw releases an image that another draw, the same method under predicted labels or the disease-free twin released
before. Whatever is computed from one image alone is computed once.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from medpriv_lib.cohort import to_uint8
from medpriv_lib.explanation.embedding import embeddings
from medpriv_lib.privatizers.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.networks import Recogniser

Images = UInt8[np.ndarray, "n h w"]


class Memory:
    """Values by key; `recall` computes those that are missing in one call."""

    def __init__(self) -> None:
        """Start empty."""
        self._known: dict[bytes, np.ndarray] = {}

    def recall(self, keys: Sequence[bytes], read: Callable[[Int64[np.ndarray, " m"]], np.ndarray]) -> np.ndarray:
        """Return the values of the keys, stacked in their order; `read(rows)` gives those of rows whose key is new.

        Equal keys are read once. No keys is an error of numpy: there is nothing to stack.
        """
        new = {key: row for row, key in enumerate(keys) if key not in self._known}
        if new:
            self._known.update(zip(new, read(np.fromiter(new.values(), dtype=np.int64)), strict=True))
        return np.stack([self._known[key] for key in keys])


def keys_of(images: Images, beside: Sequence[int] | None = None) -> list[bytes]:
    """Return a key of each image's pixels, joined with a number of `beside` where the value depends on that too."""
    keys = [hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).digest() for image in images]
    return keys if beside is None else [key + int(n).to_bytes(8, "big") for key, n in zip(keys, beside, strict=True)]


class Reader:
    """A recogniser that remembers the embeddings of what it read: 32 numbers per image, the logits follow from them."""

    def __init__(self, network: Recogniser) -> None:
        """Start with an empty memory."""
        self.network, self._memory = network, Memory()

    def points(self, images: Images) -> Float[np.ndarray, "n 32"]:
        """Return what `embeddings` returns, each image read once."""
        if len(images) == 0:
            return embeddings(self.network, images)
        return self._memory.recall(keys_of(images), lambda rows: embeddings(self.network, images[rows]))

    @torch.no_grad()
    def logits(self, images: Images) -> Float[Tensor, "n classes"]:
        """Return what `recognition.train.logits` returns, float32 on the CPU, up to rounding."""
        head = self.network.head
        points = torch.from_numpy(self.points(images))
        return torch.nn.functional.linear(points, head.weight.float().cpu(), head.bias.float().cpu())


class RememberingDecoder:
    """The part of PPRL-VGAN that prior samples use; a code shown as a patient is decoded once.

    A prior sample does not look at the source, so image and twin, true and predicted labels share theirs. Kept as grey
    levels, 4 kB per image of 64x64: `decode` returns values on the 256 levels, which `to_uint8` turns back exactly.
    """

    def __init__(self, vgan: PPRLVGAN) -> None:
        """Start with an empty memory."""
        self.vgan, self.latent, self.draw_identities = vgan, vgan.latent, vgan.draw_identities
        self._memory = Memory()

    def decode(self, z: Float[Tensor, "n z"], identity: Int64[Tensor, " n"]) -> Float[Tensor, "n 1 s s"]:
        """Return what `PPRLVGAN.decode` returns, rounded to grey levels."""
        keys = [code.tobytes() + c.to_bytes(8, "big") for code, c in zip(z.numpy(), identity.tolist(), strict=True)]
        levels = self._memory.recall(keys, lambda rows: to_uint8(self.vgan.decode(z[rows], identity[rows])))
        return torch.from_numpy(levels).unsqueeze(1).float().div_(127.5).sub_(1)
