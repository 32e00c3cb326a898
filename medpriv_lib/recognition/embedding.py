"""Images as points in the recogniser's penultimate layer."""

import numpy as np
import torch
from jaxtyping import Float

from medpriv_lib.core.pixels import Images, require_images, to_tensor
from medpriv_lib.recognition.networks import Recogniser


def embeddings(network: Recogniser, images: Images, batch: int = 32) -> Float[np.ndarray, "n 32"]:
    """Return the penultimate activations (>= 0, float32) of images, `batch` at a time, without
    autocast.

    Raises `ValueError` for images of another size, type or number of channels than the network's.
    """
    require_images(images, network.size, network.channels, "recogniser")
    device = next(network.parameters()).device
    body = network.merged()[:-1]  # all but the last layer; two to three times as fast as `embed`
    if len(images) == 0:
        return np.zeros((0, network.head.in_features), dtype=np.float32)
    with torch.no_grad():
        parts = [
            body(
                to_tensor(images[first : first + batch], device).contiguous(
                    memory_format=torch.channels_last
                )
            )
            for first in range(0, len(images), batch)
        ]
    return torch.cat(parts).float().cpu().numpy()
