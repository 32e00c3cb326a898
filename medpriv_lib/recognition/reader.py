"""A recogniser that reads each image once."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.pixels import Images
from medpriv_lib.recognition.embedding import embeddings
from medpriv_lib.recognition.networks import Recogniser


class Reader:
    """A recogniser that remembers the embeddings of what it read: 32 numbers per image, the logits
    follow from them.
    """

    def __init__(self, network: Recogniser) -> None:
        """Start with an empty memory."""
        self.network, self._memory = network, Memory()

    def points(self, images: Images) -> Float[np.ndarray, "n 32"]:
        """Return what `embeddings` returns, each image read once."""
        if len(images) == 0:
            return embeddings(self.network, images)
        return self._memory.recall(
            keys_of(images), lambda rows: embeddings(self.network, images[rows])
        )

    @torch.no_grad()
    def logits(self, images: Images) -> Float[Tensor, "n classes"]:
        """Return what `recognition.train.logits` returns, float32 on the CPU, up to rounding."""
        head = self.network.head
        points = torch.from_numpy(self.points(images))
        return torch.nn.functional.linear(
            points, head.weight.float().cpu(), head.bias.float().cpu()
        )
