"""Private logistic regression on features: many models at once, each on its own patients.

A linear model of 60 weights needs less noise than a network of 50,000, for the same clip is shared
by fewer numbers. And an attack needs many models that differ in who was in: here they are one
batch of matrix products.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from medpriv_lib.federation.private.patient_gradients import TINY, Mechanism


@dataclass(frozen=True)
class Settings:
    """How logistic models are trained: `steps` of Adam at `rate`, the `mechanism` of each step
    (all images of a patient count), `class_weights` (healthy, diseased) known from outside.
    """

    mechanism: Mechanism
    steps: int = 100
    rate: float = 0.02
    class_weights: tuple[float, float] = (1.0, 1.0)


def padded(
    features: Float[np.ndarray, "n f"],
    ill: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
) -> tuple[Float[Tensor, "p i g"], Float[Tensor, "p i"], Float[Tensor, "p i"]]:
    """Return the images patient by patient (P, I, F + 1), the last feature a constant 1; their
    labels (P, I) in 0, 1; and their weights, 1 / the patient's number of images, 0 where it has no
    more.
    """
    numbers, index, count = np.unique(patient, return_inverse=True, return_counts=True)
    order = np.argsort(index, kind="stable")
    place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    x = np.zeros((len(numbers), count.max(), features.shape[1] + 1))
    y, weight = np.zeros(x.shape[:2]), np.zeros(x.shape[:2])
    at = (index[order], place)
    x[at] = np.column_stack([features, np.ones(len(features))])[order]
    y[at], weight[at] = ill[order], 1 / count[index[order]]
    return tuple(torch.from_numpy(array).float() for array in (x, y, weight))  # type: ignore[return-value]


def private_logistic(
    features: Float[np.ndarray, "n f"],
    ill: Bool[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    settings: Settings,
    generator: torch.Generator,
    inside: Bool[np.ndarray, "m p"] | None = None,
) -> Float[np.ndarray, "m g"]:
    """Return M models (M, F + 1), the last weight the intercept.

    `features` should be of length about 1 to 10, scaled by numbers known from outside. `inside`
    (M, P) says which patients (ascending numbers) each model may see; None: one model, all
    patients. Every model divides by the same expected number, that of all patients drawn: how many
    are inside must not show. Raises `ValueError` for lengths that differ.
    """
    x, y, weight = padded(features, ill, patient)
    inside = np.ones((1, len(x)), bool) if inside is None else inside
    if inside.shape[1] != len(x):
        raise ValueError(f"`inside` names {inside.shape[1]} patients, and there are {len(x)}")
    there, mechanism = torch.from_numpy(inside).float(), settings.mechanism
    weight = weight * torch.where(y > 0, settings.class_weights[1], settings.class_weights[0])
    w = torch.zeros(len(inside), x.shape[2], requires_grad=True)
    optimiser = torch.optim.Adam([w], settings.rate)
    expected = mechanism.rate * float(there.sum(dim=1).mean())
    for _ in range(settings.steps):
        drawn = (torch.rand(there.shape, generator=generator) < mechanism.rate) * there
        with torch.no_grad():
            off = (torch.sigmoid(torch.einsum("pig,mg->mpi", x, w)) - y) * weight
            each = torch.einsum("mpi,pig->mpg", off, x)
            factor = (mechanism.clip / each.norm(dim=2).clamp_min(TINY)).clamp(max=1) * drawn
            total = torch.einsum("mp,mpg->mg", factor, each)
            if mechanism.noise:
                scale = mechanism.noise * mechanism.clip
                total += scale * torch.randn(total.shape, generator=generator)
        w.grad = total / expected
        optimiser.step()
    return w.detach().double().numpy()


def scores(
    models: Float[np.ndarray, "m g"], features: Float[np.ndarray, "n f"]
) -> Float[np.ndarray, "m n"]:
    """Return the logit of disease that each model gives each image."""
    return models[:, :-1] @ features.T + models[:, -1:]
