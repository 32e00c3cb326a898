"""What was read from single images is remembered: rows of the study share many of their images.

A draw releases an image that another draw, the same method under predicted labels or the
disease-free twin released before. Whatever is computed from one image alone is computed once.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core.pixels import Images


class Memory:
    """Values by key; `recall` computes those that are missing in one call."""

    def __init__(self) -> None:
        """Start empty."""
        self._known: dict[bytes, np.ndarray] = {}

    def recall(
        self, keys: Sequence[bytes], read: Callable[[Int64[np.ndarray, " m"]], np.ndarray]
    ) -> np.ndarray:
        """Return the values of the keys, stacked in their order; `read(rows)` gives those of rows
        whose key is new.

        Equal keys are read once. No keys is an error of numpy: there is nothing to stack.
        """
        new = {key: row for row, key in enumerate(keys) if key not in self._known}
        if new:
            self._known.update(
                zip(new, read(np.fromiter(new.values(), dtype=np.int64)), strict=True)
            )
        return np.stack([self._known[key] for key in keys])


def keys_of(images: Images, beside: Sequence[int] | None = None) -> list[bytes]:
    """Return a key of each image's pixels, joined with a number of `beside` where the value depends
    on that too.
    """
    keys = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
    return (
        keys
        if beside is None
        else [key + int(n).to_bytes(8, "big") for key, n in zip(keys, beside, strict=True)]
    )
