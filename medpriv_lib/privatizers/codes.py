"""What a generative method gives to whoever has its weights: the way from images to codes and back.

A method that shows an image by a code z, drawn around what its encoder makes of the image, can be
run by an attacker on codes of the attacker's own. A method offers that by having these three verbs;
nothing has to be registered.
"""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images

# who stands in: numbers of lenders (N, K), or identities that belong to nobody, (N, K, D)
Identities = Int64[np.ndarray, "n k"] | Float[np.ndarray, "n k d"]


@runtime_checkable
class Coded(Protocol):
    """A method whose release is the mean of K decodes of one code: K = 1 for a single image.

    The code of an image is drawn from a normal distribution with independent coordinates.
    """

    def posterior(self, images: Images) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
        """Return mean and standard deviation of each image's code, float32, on the CPU."""

    def lend(self, cohort: Cohort, generator: torch.Generator) -> Identities:
        """Draw the K identities that each image is shown with, as a release draws them.

        Raises `NotApplicable` where these images do not allow the method.
        """

    def decode(self, z: Float[Tensor, "n z"], identity: Tensor) -> Float[Tensor, "n c s s"]:
        """Return codes shown with one identity each, (N,) numbers or (N, D), float32 in [-1, 1],
        on the CPU.
        """


def mean_decode(
    method: Coded, z: Float[Tensor, "n z"], identities: Identities
) -> Float[Tensor, "n c s s"]:
    """Return the mean of the K decodes of each code, before it is rounded to levels."""
    first, *others = (torch.from_numpy(np.ascontiguousarray(identities[:, k]))
                      for k in range(identities.shape[1]))  # fmt: skip
    total = method.decode(z, first)
    for each in others:
        total += method.decode(z, each)
    return total / identities.shape[1]
