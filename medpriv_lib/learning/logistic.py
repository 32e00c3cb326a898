"""Logistic regression with a ridge, by Newton's method: the plain model of feature vectors."""

from typing import Self

import numpy as np
from jaxtyping import Bool, Float

STEPS, STILL = 50, 1e-9


class Logistic:
    """Minimise |w|^2 / 2 + c sum_i a_i log(1 + exp(-s_i (w . x_i + b))), s_i = +-1.

    The weights a_i let both classes count alike, a_i = n / (2 n_class). The intercept b is not
    penalised. `c` is the inverse strength of the ridge.
    """

    def __init__(self, c: float = 0.1) -> None:
        """Choose the ridge. Raises `ValueError` for c that is not positive."""
        if not 0 < c < np.inf:
            raise ValueError(f"c must be a positive number, not {c}")
        self.c = c
        self.weights, self.bias = np.zeros(0), 0.0

    def fit(self, features: Float[np.ndarray, "n f"], diseased: Bool[np.ndarray, " n"]) -> Self:
        """Fit on vectors and labels, and return the model itself.

        Raises `ValueError` for values that are not finite and where all have one label.
        """
        if not np.isfinite(features).all():
            raise ValueError("the features hold NaN or infinity; leave such images out")
        diseased = np.asarray(diseased, bool)
        if diseased.all() or not diseased.any():
            raise ValueError("a model needs images of both labels")
        x = np.column_stack([features, np.ones(len(features))])
        share = np.where(diseased, diseased.mean(), 1 - diseased.mean())
        weight = self.c * 0.5 / share
        ridge = np.append(np.ones(features.shape[1]), 0.0)
        w, loss = np.zeros(x.shape[1]), np.inf
        for _ in range(STEPS):
            p = _sigmoid(x @ w)
            gradient = ridge * w + x.T @ (weight * (p - diseased))
            curved = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(ridge + 1e-12)
            step, size = np.linalg.solve(curved, gradient), 1.0
            while (found := self._loss(x, diseased, weight, ridge, w - size * step)) > loss:
                size /= 2
                if size < 1e-6:
                    break
            w, before, loss = w - size * step, loss, found
            if before - loss < STILL * abs(loss):
                break
        self.weights, self.bias = w[:-1], float(w[-1])
        return self

    def logits(self, features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """Return the logit of disease of each vector."""
        return features @ self.weights + self.bias

    def predict(self, features: Float[np.ndarray, "n f"]) -> Bool[np.ndarray, " n"]:
        """Return which vectors are called diseased."""
        return self.logits(features) > 0

    @staticmethod
    def _loss(
        x: np.ndarray, y: np.ndarray, weight: np.ndarray, ridge: np.ndarray, w: np.ndarray
    ) -> float:
        sign = np.where(y, 1.0, -1.0)
        return float((ridge * w * w).sum() / 2 + weight @ np.logaddexp(0, -sign * (x @ w)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))
