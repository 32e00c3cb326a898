"""Whose eye is it? Where the right one stands when judges rank all eyes by a reconstruction.

A rank says what a reconstruction is good for. Peak signal-to-noise ratio and structural similarity
do not: the mean of public eyes resembles every eye, often more than a reconstruction does that
shows one eye's own marks under noise.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.gradient_inversion.invert import invert
from medpriv_lib.attacks.identification import best_of_patient, naming
from medpriv_lib.attacks.identification import hits as within
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.pixels import Images, to_tensor
from medpriv_lib.recognition.eye_judge import EyeJudge
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.views import View, eye_numbers


def eye_scores(judge: EyeJudge, images: Images) -> Float[np.ndarray, "n e"]:
    """Return each eye's mean log-probability over the judge's three views of these images."""
    return np.mean([judge.beliefs(images, view) for view in View], axis=0)


def embedded(judge: Recogniser, images: Images) -> Float[np.ndarray, "n d"]:
    """Return the directions (length 1) of these images in a recogniser's embedding."""
    with torch.no_grad():
        parts = [judge.embed(to_tensor(images[i : i + 64])) for i in range(0, len(images), 64)]
    return torch.nn.functional.normalize(torch.cat(parts), dim=1).cpu().numpy()


def photograph_scores(
    found: Float[np.ndarray, "n d"],
    known: Float[np.ndarray, "m d"],
    cohort: Cohort,
    hidden: Int64[np.ndarray, " n"],
) -> Float[np.ndarray, "n e"]:
    """Return each eye's likeness to the reconstructions: that of its most similar photograph.

    For an attacker who holds the photographs of `cohort` and a network that names their patients;
    `found` and `known` are what `embedded` says of the reconstructions and of the photographs.
    `hidden` (N,) is the row that an image was taken from, which the attacker does not hold (-1:
    none). -inf for an eye without another photograph.
    """
    likeness = found @ known.T
    there = np.flatnonzero(hidden >= 0)
    likeness[there, hidden[there]] = -np.inf
    return best_of_patient(likeness, eye_numbers(cohort), 2 * cohort.patients)


def rank_of(
    scores: Float[np.ndarray, "n k"], true: Int64[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return at which place the true one stands, from 1; equal scores share the mean of their
    places.

    Raises `ValueError` where there is not one true column for each row of scores.
    """
    scores, true = np.asarray(scores), np.asarray(true)
    if scores.ndim != 2 or true.shape != (len(scores),):
        raise ValueError(
            f"ranks need scores (N, K) and the true column of each, not {scores.shape} and "
            f"{true.shape}"
        )
    own = scores[np.arange(len(true)), true][:, None]
    level = (scores == own).sum(axis=1)
    return (scores > own).sum(axis=1) + (level + 1) / 2


def matched(
    found: Float[Tensor, "n c h w"], true: Float[Tensor, "n c h w"]
) -> Int64[np.ndarray, " n"]:
    """Return for each true image the number of the reconstruction that stands for it.

    A batch comes back in no order. The pairing with the least summed squared error is taken, which
    favours the attacker: the truth decides. Raises `ValueError` for different shapes.
    """
    if found.shape != true.shape:
        raise ValueError(
            f"{tuple(found.shape)} reconstructions cannot stand for {tuple(true.shape)} images; "
            "give as many of the same size"
        )
    cost = (true[:, None] - found[None]).square().flatten(2).sum(dim=2)
    return linear_sum_assignment(cost.double().cpu().numpy())[1]


def reidentified(
    scores: Float[np.ndarray, "n e"], eyes: Int64[np.ndarray, " n"], note: str = ""
) -> Finding:
    """Return what the reconstructions gave away: how often the right eye is ranked first and among
    five.

    `scores` (N, E) of all eyes for each reconstruction, `eyes` (N,) the true ones, numbered as by
    `eye_numbers`. Intervals over patients, guessing as `chance`; the knowledge is `invert`'s.
    """
    found = naming("gradient inversion", knowledge_of(invert), scores, eyes)
    hits = np.asarray(found.hits)
    return replace(
        found,
        note=note,
        patients=len(np.unique(eyes // 2)),
        per_patient=rate_per_patient(hits, eyes // 2),
        intervals={
            "rank1": mean_interval(hits, eyes // 2),
            "rank5": mean_interval(within(scores, eyes, 5), eyes // 2),
        },
    )
