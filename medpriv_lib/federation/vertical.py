"""Two hospitals hold different features of the same patients, and train one linear model.

Each side keeps its features. The side with the labels (the "guest", after Hardy et al. 2017,
*Private federated learning on vertically partitioned data*; here without their encryption) gets the
other side's part of each logit and returns the derivative of the loss by the logit; each side makes
its own gradient from that and moves its own weights. Because a logit of a linear model is a sum,
this *is* the training on joined features, number for number.

What crosses is one number for each patient up, one down, in every round. The number down is the
probability minus the label, and gives the label away. The numbers up are the host's features times
weights that move slowly: who knows the weights, or sees as many rounds as there are features, has
linear equations for the features.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from medpriv_lib.core.promise import Promise
from medpriv_lib.federation.linear import BETAS, TINY

PROMISE = Promise(
    "which other patients each hospital has, and its features",
    "the other hospital",
    "that both follow the protocol and put only true patients on their lists",
    "the label, which the derivative tells; which patients both have; features, from many rounds",
)


@dataclass(frozen=True)
class VerticalPlan:
    """`rounds` of Adam at `rate` over all common images; class `weights` (healthy, diseased)."""

    rounds: int = 120
    rate: float = 0.05
    weights: tuple[float, float] = (0.65, 2.1)

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        if self.rounds < 1 or not self.rate > 0:
            raise ValueError(f"no plan: {self}")


@dataclass
class Crossed:
    """What crossed: `parts` (R, N) of the logits that the host sent, `derivatives` (R, N) that the
    guest returned, and the `bytes` of both.
    """

    parts: list[Float[np.ndarray, " n"]] = field(default_factory=list)
    derivatives: list[Float[np.ndarray, " n"]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """All bytes that crossed, in both directions."""
        return sum(one.nbytes for one in (*self.parts, *self.derivatives))


class _Half:
    """One side's features (N, F), weights (F,) and its own Adam."""

    def __init__(self, features: np.ndarray, rate: float) -> None:
        self.x, self.rate, self.number = features, rate, 0
        self.weights = np.zeros(features.shape[1])
        self.first, self.second = np.zeros_like(self.weights), np.zeros_like(self.weights)

    def part(self) -> Float[np.ndarray, " n"]:
        return self.x @ self.weights

    def step(self, derivative: np.ndarray) -> None:
        self.number += 1
        gradient = self.x.T @ derivative / len(self.x)
        self.first = BETAS[0] * self.first + (1 - BETAS[0]) * gradient
        self.second = BETAS[1] * self.second + (1 - BETAS[1]) * gradient**2
        first = self.first / (1 - BETAS[0] ** self.number)
        second = self.second / (1 - BETAS[1] ** self.number)
        self.weights = self.weights - self.rate * first / (np.sqrt(second) + TINY)


def vertical_training(
    guest: Float[np.ndarray, "n f"],
    host: Float[np.ndarray, "n g"],
    diseased: Bool[np.ndarray, " n"],
    plan: VerticalPlan | None = None,
) -> tuple[Float[np.ndarray, " m"], Crossed]:
    """Return the weights (F + G + 1,), the guest's first and the intercept last, and what crossed.

    Row i of `guest`, `host` and `diseased` is one image; who has which rows in common is found
    before, by `collection.intersection`. No side ever holds all weights: they are joined here for
    whoever may ask both. Raises `ValueError` for rows that do not fit.
    """
    plan = plan or VerticalPlan()
    if not len(guest) == len(host) == len(diseased) or not len(guest):
        raise ValueError(
            f"the guest has {len(guest)} rows, the host {len(host)}, with {len(diseased)} labels; "
            "align both on the common patients first"
        )
    own = _Half(np.column_stack([guest, np.ones(len(guest))]), plan.rate)
    other = _Half(np.asarray(host, float), plan.rate)
    weight = np.where(diseased, plan.weights[1], plan.weights[0])
    crossed = Crossed()
    for _ in range(plan.rounds):
        part = other.part()
        logit = own.part() + part
        derivative = (1 / (1 + np.exp(-np.clip(logit, -500, 500))) - diseased) * weight
        crossed.parts.append(part)
        crossed.derivatives.append(derivative)
        own.step(derivative)
        other.step(derivative)
    joined = np.concatenate([own.weights[:-1], other.weights, own.weights[-1:]])
    return joined, crossed


def labels_from(derivative: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return the labels that the host reads from what it gets: probabilities are below 1."""
    return derivative < 0


def weights_followed(
    host: Float[np.ndarray, "n g"], crossed: Crossed, plan: VerticalPlan
) -> list[Float[np.ndarray, " g"]]:
    """Return the host's weights in every round, recomputed from what it has and gets."""
    half, found = _Half(np.asarray(host, float), plan.rate), []
    for derivative in crossed.derivatives:
        found.append(half.weights.copy())
        half.step(derivative)
    return found


def features_from(
    parts: Float[np.ndarray, "r n"], known: Float[np.ndarray, "k g"], rows: np.ndarray
) -> Float[np.ndarray, "n g"]:
    """Return the guest's estimate of the host's features of all images, from what the host sent.

    Knowledge: the host's features (K, G) of a few images, those at `rows`, such as patients whom
    the guest examined itself. Their parts of the logits give the weights of every round by least
    squares, and the weights give all other images' features likewise, as far as the weights moved
    in different directions.
    """
    weights, *_ = np.linalg.lstsq(known, parts[:, rows].T, rcond=1e-6)  # (g, r)
    found, *_ = np.linalg.lstsq(weights.T, parts, rcond=1e-6)  # (g, n)
    return found.T
