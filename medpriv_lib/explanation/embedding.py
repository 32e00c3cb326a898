"""Images as points in the recogniser's penultimate layer."""

import numpy as np
import torch
from jaxtyping import Float, UInt8

from medpriv_lib.cohort import to_tensor
from medpriv_lib.recognition.networks import Recogniser


def embeddings(network: Recogniser, images: UInt8[np.ndarray, "n h w"], batch: int = 256) -> Float[np.ndarray, "n 32"]:
    """Return the penultimate activations (>= 0, float32) of grey images, `batch` at a time, without autocast.

    Raises `ValueError` for images of another size than the network's.
    """
    size = getattr(network, "size", None)
    if images.ndim != 3 or (size is not None and images.shape[1:] != (size, size)):
        raise ValueError(f"images are {'x'.join(map(str, images.shape[1:]))}, the recogniser was made for "
                         f"{size}x{size}; prepare them with --size {size}")
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    parts = []
    with torch.no_grad():
        for first in range(0, len(images), batch):
            parts.append(network.embed(to_tensor(images[first:first + batch], device)).float().cpu().numpy())
    network.train(training)
    if parts:
        return np.concatenate(parts)
    with torch.no_grad():
        width = network.embed(torch.zeros(1, 1, *images.shape[1:], device=device)).shape[1] if images.shape[1] else 0
    return np.zeros((0, width), dtype=np.float32)
