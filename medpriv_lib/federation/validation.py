"""A threshold that suits all hospitals, from counts that each of them sends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.probe import Probe
from medpriv_lib.recognition.train import logits

THRESHOLDS = np.arange(1, 100) / 100


@dataclass(frozen=True, eq=False)
class Counts:
    """How one site's validation images are called at each threshold: int64 (99,) how many are
    `called` diseased and how many of them are (`hit`), and of all `images` how many are `ill`.
    """

    called: Int64[np.ndarray, " 99"]
    hit: Int64[np.ndarray, " 99"]
    ill: int
    images: int

    @property
    def f1(self) -> Float[np.ndarray, " 99"]:
        """The positive F1 at each threshold, 0 where nothing is called and nothing is ill."""
        return 2 * self.hit / np.maximum(self.called + self.ill, 1)


def score(network: Recogniser, cohort: Cohort) -> Float[np.ndarray, " n"]:
    """Return the probability of the disease, float64 (N,), that a network of two classes gives."""
    if isinstance(network, Probe):
        with torch.no_grad():
            says = network.head(network.read(cohort.images))
        return torch.softmax(says.double(), dim=1)[:, 1].numpy()
    return torch.softmax(logits(network, cohort.images).double(), dim=1)[:, 1].numpy()


def counts_at(scores: Float[np.ndarray, " n"], ill: Bool[np.ndarray, " n"]) -> Counts:
    """Return the counts of images with these scores, called diseased from each threshold on."""
    called = scores[None] >= THRESHOLDS[:, None]
    return Counts(called.sum(1), (called & ill[None]).sum(1), int(ill.sum()), len(ill))


def added(counts: Sequence[Counts]) -> Counts:
    """Return the counts of all sites as if of one. Raises `ValueError` where there are none."""
    if not counts:
        raise ValueError("no site sent counts of its validation images")
    return Counts(
        np.sum([one.called for one in counts], axis=0),
        np.sum([one.hit for one in counts], axis=0),
        sum(one.ill for one in counts),
        sum(one.images for one in counts),
    )


def best_threshold(counts: Counts) -> float:
    """Return the threshold of the highest F1, the middle one of several that are as good.

    Without validation images of the disease there is none to choose by: .5.
    """
    if counts.ill == 0:
        return 0.5
    best = np.flatnonzero(counts.f1 == counts.f1.max())
    return float(THRESHOLDS[best[len(best) // 2]])
