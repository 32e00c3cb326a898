"""A linear model of features from several sites: one gradient a round, added by whoever may.

In every round each site sums its patients' gradients and sends the sum; the coordinator makes one
step of Adam. With no noise this *is* the training on pooled patients, number for number, because a
sum of sums is a sum. How the sums are added (in the open, under masks, under encryption), and
whether each site's sum is clipped and noised, are arguments.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from medpriv_lib.federation.private.noise_shares import share_scale

Sums = list[Float[np.ndarray, " g"]]
Add = Callable[[Sums], Float[np.ndarray, " g"]]
BETAS, TINY = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Plan:
    """How a linear model is trained: `rounds` of Adam at `rate`; a patient is drawn with
    probability `drawn`, its gradient cut to `clip`, normal noise of standard deviation `noise`
    times `clip` added to the sum.

    `noised` says by whom: by "each" site all of it (then each site's sum is private for itself),
    or in "shares" (then only the sum over all sites is, and somebody must see to it that nobody
    sees less than the sum). `weights` of the classes (healthy, diseased) come from outside.
    Raises `ValueError` for noise without a clip.
    """

    rounds: int = 120
    rate: float = 0.05
    drawn: float = 1.0
    clip: float = math.inf
    noise: float = 0.0
    noised: str = "each"
    weights: tuple[float, float] = (0.65, 2.1)

    def __post_init__(self) -> None:
        """Refuse what protects nobody."""
        if self.noise > 0 and not self.clip < math.inf:
            raise ValueError("noise without clipping hides nobody; choose a finite clip")
        if self.noised not in ("each", "shares"):
            raise ValueError(f"noise is added by 'each' or in 'shares', not {self.noised!r}")
        if not (self.rounds >= 1 and 0 < self.drawn <= 1 and self.clip > 0):
            raise ValueError(f"no plan: {self}")


@dataclass(frozen=True, eq=False)
class SiteTable:
    """One site's vectors (n, F), labels (n,) and patients (n,)."""

    features: Float[np.ndarray, "n f"]
    diseased: Bool[np.ndarray, " n"]
    patient: Int64[np.ndarray, " n"]


def in_the_open(sums: Sums) -> Float[np.ndarray, " g"]:
    """Return the sum, by a coordinator who sees every part."""
    return np.sum(sums, axis=0)


def patient_gradients(
    model: Float[np.ndarray, " g"], table: SiteTable, weights: tuple[float, float]
) -> Float[np.ndarray, "p g"]:
    """Return each patient's mean gradient of the logistic loss, patients ascending; the last
    number belongs to the intercept.
    """
    x = np.column_stack([table.features, np.ones(len(table.features))])
    p = 1 / (1 + np.exp(-np.clip(x @ model, -500, 500)))
    off = (p - table.diseased) * np.where(table.diseased, weights[1], weights[0])
    _, index, count = np.unique(table.patient, return_inverse=True, return_counts=True)
    found = np.zeros((len(count), x.shape[1]))
    np.add.at(found, index, x * off[:, None])
    return found / count[:, None]


def site_sum(
    model: Float[np.ndarray, " g"],
    table: SiteTable,
    plan: Plan,
    scale: float,
    generator: torch.Generator,
) -> Float[np.ndarray, " g"]:
    """Return what a site sends: the clipped sum over the patients drawn, with its noise."""
    each = patient_gradients(model, table, plan.weights)
    if plan.drawn < 1:
        each = each[torch.rand(len(each), generator=generator).numpy() < plan.drawn]
    if plan.clip < math.inf:
        length = np.linalg.norm(each, axis=1, keepdims=True)
        each = each * np.minimum(1, plan.clip / np.maximum(length, 1e-12))
    total = each.sum(axis=0)
    if scale:
        total += scale * torch.randn(len(total), generator=generator, dtype=torch.float64).numpy()
    return total


def federated_linear(
    sites: Sequence[SiteTable],
    plan: Plan,
    generator: torch.Generator,
    add: Add = in_the_open,
    see: Callable[[Float[np.ndarray, " g"], Sums], None] | None = None,
) -> Float[np.ndarray, " g"]:
    """Return the model (F + 1,), the last weight the intercept.

    `add` sums what the sites send; `see` is called in every round with the model and with what the
    sites sent, for studies of what a coordinator sees. One site is central training. Raises
    `ValueError` for no site.
    """
    if not sites:
        raise ValueError("a training needs at least one site")
    width = sites[0].features.shape[1] + 1
    patients = sum(len(np.unique(site.patient)) for site in sites)
    scale = 0.0
    if plan.noise:
        shared = plan.noised == "shares"
        scale = share_scale(plan.noise, plan.clip, len(sites) if shared else 1)
    model, first, second = np.zeros(width), np.zeros(width), np.zeros(width)
    for number in range(1, plan.rounds + 1):
        sums = [site_sum(model, site, plan, scale, generator) for site in sites]
        if see is not None:
            see(model.copy(), sums)
        gradient = add(sums) / (plan.drawn * patients)
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient
        second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
        step = first / (1 - BETAS[0] ** number)
        model = model - plan.rate * step / (np.sqrt(second / (1 - BETAS[1] ** number)) + TINY)
    return model


def score(model: Float[np.ndarray, " g"], features: Float[np.ndarray, "n f"]) -> np.ndarray:
    """Return the logit of disease of each vector (n,)."""
    return features @ model[:-1] + model[-1]
