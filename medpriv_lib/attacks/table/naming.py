"""Whose vector is this? Somebody who has other photographs of the patients names each one."""

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.attacks.table.rate import Hits

SHRUNK = 0.1  # of the within-patient covariance goes to its diagonal
ATTACK = "patients named"
KNOWS = (
    "another photograph of every patient, with the name, put through the same computation; for "
    "the rest only what is seen"
)


def named(
    seen: Float[np.ndarray, "n g"],
    patient: Int64[np.ndarray, " n"],
    group: Int64[np.ndarray, " n"],
    gallery: Float[np.ndarray, "m g"],
    owner: Int64[np.ndarray, " m"],
) -> Hits:
    """Name each group of what is seen by the nearest patient of a gallery.

    `seen` are vectors of any kind (features, activations, a trace of memory), `patient` (N,) whose
    each is, `group` (N,) which vectors are known to belong together, such as one pseudonym: they
    are averaged. `gallery` and `owner` are the attacker's own vectors. Directions in which one
    patient's photographs differ count less (the within-patient covariance of the gallery, or, where
    each patient has one photograph there, the covariance of all). Raises `ValueError` for shapes
    that do not fit.
    """
    if seen.shape[1:] != gallery.shape[1:] or not len(seen) == len(patient) == len(group):
        raise ValueError(
            f"vectors {seen.shape} with {len(patient)} patients and {len(group)} groups do not "
            f"fit a gallery {gallery.shape}"
        )
    if gallery.shape[1] > len(gallery):  # what no photograph of the gallery shows tells nothing
        middle = gallery.mean(axis=0)
        basis = np.linalg.svd(gallery - middle, full_matrices=False)[2].T
        seen, gallery = (seen - middle) @ basis, (gallery - middle) @ basis
    numbers, index = np.unique(owner, return_inverse=True)
    centre = _means(gallery, index)
    turn = _whitening(gallery, centre[index])
    groups, member = np.unique(group, return_inverse=True)
    whose = np.zeros(len(groups), patient.dtype)
    whose[member] = patient
    one, other = _means(seen, member) @ turn, centre @ turn
    distance = (one**2).sum(1)[:, None] - 2 * one @ other.T + (other**2).sum(1)
    return Hits(numbers[distance.argmin(axis=1)] == whose, whose, 1 / len(numbers))


def _means(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    total = np.zeros((index.max() + 1, values.shape[1]))
    np.add.at(total, index, values)
    return total / np.bincount(index)[:, None]


def _whitening(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the matrix (g, g) that makes the deviations from the patients' means round."""
    off = values - own
    if not (off**2).sum() > 0:
        off = values - values.mean(axis=0)
    covariance = off.T @ off / len(off)
    diagonal = np.diag(covariance).copy()
    diagonal[diagonal <= 1e-12 * max(diagonal.max(), 1e-300)] = np.inf  # a constant tells nothing
    scale = 1 / np.sqrt(diagonal)
    correlation = (1 - SHRUNK) * covariance * scale[:, None] * scale + SHRUNK * np.eye(len(scale))
    values_, vectors = np.linalg.eigh(correlation)
    return scale[:, None] * vectors / np.sqrt(np.maximum(values_, SHRUNK))
