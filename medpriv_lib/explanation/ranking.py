"""Does an order of cases survive privatisation? Two orders compared, each by its distances."""

import numpy as np
from jaxtyping import Float


def ndcg(
    before: Float[np.ndarray, "q k"], after: Float[np.ndarray, "q k"]
) -> Float[np.ndarray, " q"]:
    """Return how well the order after privatisation keeps the order before, 0..1 (normalised
    discounted gain).

    `before`, `after` are distances of the same K cases. The gain of a case is K - its rank before;
    the discount of place i is 1 / log2(i + 2). Source: Järvelin and Kekäläinen 2002. Compare with
    `ndcg_by_chance`.
    """
    k = before.shape[1]
    gain = k - np.argsort(np.argsort(before, axis=1, kind="stable"), axis=1)
    discount = 1 / np.log2(np.arange(k) + 2)
    order = np.argsort(after, axis=1, kind="stable")
    return (np.take_along_axis(gain, order, axis=1) * discount).sum(1) / (
        np.arange(k, 0, -1) * discount
    ).sum()


def ndcg_by_chance(k: int) -> float:
    """Return the mean of `ndcg` over all orders of k cases."""
    discount = 1 / np.log2(np.arange(k) + 2)
    return float((k + 1) / 2 * discount.sum() / (np.arange(k, 0, -1) * discount).sum())


def kendall(
    before: Float[np.ndarray, "q k"], after: Float[np.ndarray, "q k"]
) -> Float[np.ndarray, " q"]:
    """Return Kendall's tau-b of the distances before and after, -1..1 (0: chance); nan for one case
    or all tied.
    """
    from scipy.stats import kendalltau

    return np.array(
        [
            kendalltau(x, y).statistic if len(x) > 1 else np.nan
            for x, y in zip(before, after, strict=True)
        ]
    )
