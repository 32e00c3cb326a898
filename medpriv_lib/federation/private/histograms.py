"""Histograms of features under differential privacy, told once, and a classifier made of them.

A histogram is the oldest private release (Dwork et al. 2006): one patient moves few counts, by
little. From a histogram of each feature for each label, a naive Bayes classifier can be computed by
anybody, at no further cost. Correlations between features are not in it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.promise import Promise
from medpriv_lib.federation.private.accountant import Charge

BINS = 8
PROMISE = Promise(
    "whether a patient is in the histograms",
    "everybody who sees them",
    "the curator who counts and adds the noise; bounds of the features that come from outside",
    "what is true of all patients; correlations are lost, for the curator's clients too",
)


@dataclass(frozen=True, eq=False)
class Histograms:
    """Noised counts of patients, `counts` (2, F, bins): label, feature, bin; `edges` (bins + 1,)
    common to all features.
    """

    counts: Float[np.ndarray, "2 f bins"]
    edges: Float[np.ndarray, " e"]

    def scores(self, features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """Return naive Bayes' logit of disease of each vector, from the counts alone."""
        count = np.maximum(self.counts, 0) + 0.5
        share = count / count.sum(axis=2, keepdims=True)
        ratio = np.log(share[1] / share[0])
        place = _bins(features, self.edges)
        return ratio[np.arange(features.shape[1]), place].sum(axis=1)


def charge(noise: float) -> Charge:
    """Return what all histograms together cost a patient."""
    return Charge(noise, 1.0, 1, "statistics")


def private_histograms(
    features: Float[np.ndarray, "n f"],
    diseased: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    noise: float,
    generator: torch.Generator,
    reach: float = 3.0,
    bins: int = BINS,
) -> Histograms:
    """Count patients in bins of each feature and add noise.

    `features` are scaled by numbers from outside; what lies beyond +-`reach` counts in the last
    bin. A patient's images share one count in each feature's histogram, so that a patient adds
    counts of Euclidean length at most sqrt(F): what the `noise` multiplier is measured in. Raises
    `ValueError` for less than two bins and a negative noise.
    """
    if bins < 2 or noise < 0 or not 0 < reach < np.inf:
        raise ValueError(f"{bins} bins, noise {noise}, reach {reach}: choose two bins or more")
    edges = np.linspace(-reach, reach, bins + 1)
    _, index, count = np.unique(patient, return_inverse=True, return_counts=True)
    place, width = _bins(features, edges), features.shape[1]
    counts = np.zeros((2, width, bins))
    weight = np.repeat((1 / count[index])[:, None], width, axis=1)
    column = np.broadcast_to(np.arange(width), place.shape)
    np.add.at(counts, (diseased.astype(int)[:, None], column, place), weight)
    drawn = torch.randn(counts.shape, generator=generator, dtype=torch.float64).numpy()
    return Histograms(counts + noise * np.sqrt(width) * drawn, edges)


def _bins(features: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.clip(np.searchsorted(edges, features, side="right") - 1, 0, len(edges) - 2)
