"""Local differential privacy on features: each patient's vector is noised before it leaves.

Kasiviswanathan et al. (2011), *What can we learn privately?* Nobody is trusted with the vector, so
any two vectors must look alike: the noise is measured by the *diameter* of the ball they are cut
to, and no other patient's noise helps to hide. A patient sends one vector, the mean over the
images, or would pay once for each.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.promise import Promise
from medpriv_lib.federation.private.accountant import Charge

PROMISE = Promise(
    "each patient's vector",
    "everybody, the collector too",
    "the device that adds the noise, and its entropy",
    "the label, which is sent as it is; what many patients' vectors say together",
)


def charge(noise: float) -> Charge:
    """Return what one noised vector costs its patient."""
    return Charge(noise, 1.0, 1, "statistics")


def noised_vectors(
    features: Float[np.ndarray, "n f"],
    diseased: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    clip: float,
    noise: float,
    generator: torch.Generator,
    least: float = 0.5,
) -> tuple[Float[np.ndarray, "p f"], Bool[np.ndarray, " p"], Int64[np.ndarray, " p"]]:
    """Return one noised vector of each patient, whether at least the share `least` of the patient's
    images shows the disease, and the patients' numbers, ascending.

    A vector is the mean of the patient's `features`, shortened to length `clip`; two such vectors
    are at most 2 `clip` apart, and normal noise of `noise` times that is added. `generator` is
    `core.randomness.fresh()` where the noise shall protect. Raises `ValueError` for a clip that is
    not positive and a negative noise.
    """
    if not (0 < clip < np.inf and noise >= 0):
        raise ValueError(f"clip {clip}, noise {noise}: choose a clip above 0 and a noise from 0 on")
    numbers, index, count = np.unique(patient, return_inverse=True, return_counts=True)
    mean = np.zeros((len(numbers), features.shape[1]))
    np.add.at(mean, index, features)
    mean /= count[:, None]
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    mean *= np.minimum(1, clip / np.maximum(length, 1e-12))
    drawn = torch.randn(mean.shape, generator=generator, dtype=torch.float64).numpy()
    share = np.bincount(index, weights=diseased) / count
    return mean + 2 * clip * noise * drawn, share >= least, numbers
