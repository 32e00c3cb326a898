"""Decision trees as arrays: grown at random, walked one vector at a time, each touched node noted.

Geurts, Ernst, Wehenkel (2006), *Extremely randomized trees*: at every node a few features are
drawn, for each of them one threshold between its least and largest value, and the best of these
splits is taken.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

LEAF = -1
DEPTH, FEWEST = 7, 6  # of a tree, and images at a node that is still split


@dataclass(frozen=True, eq=False)
class Trees:
    """All trees' nodes in one numbering, parents before children: `root` (T,); `feature` (N,), -1
    at a leaf; `threshold` (N,), a vector goes left where its feature is at most that; `left`,
    `right` (N,); `value` (N,) the weighted share of diseased training images.
    """

    root: Int64[np.ndarray, " t"]
    feature: Int64[np.ndarray, " n"]
    threshold: Float[np.ndarray, " n"]
    left: Int64[np.ndarray, " n"]
    right: Int64[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays, for a measurement."""
        return [self.root, self.feature, self.threshold, self.left, self.right, self.value]

    def walk(
        self, vector: Float[np.ndarray, " f"], oblivious: bool = False
    ) -> tuple[float, Bool[np.ndarray, " n"]]:
        """Return the mean share over the trees, and which nodes were touched.

        `oblivious` reads every node and finds the leaves by arithmetic; the score is the same.
        """
        if oblivious:
            return self._everywhere(vector)
        touched, total = np.zeros(len(self.feature), bool), 0.0
        for root in self.root:
            node = int(root)
            touched[node] = True
            while self.feature[node] != LEAF:
                goes_left = vector[self.feature[node]] <= self.threshold[node]
                node = int(self.left[node] if goes_left else self.right[node])
                touched[node] = True
            total += float(self.value[node])
        return total / len(self.root), touched

    def _everywhere(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        reached = np.zeros(len(self.feature))
        reached[self.root] = 1.0
        total = 0.0
        for node in range(len(self.feature)):
            if self.feature[node] == LEAF:
                total += float(reached[node] * self.value[node])
                continue
            goes_left = float(vector[self.feature[node]] <= self.threshold[node])
            reached[self.left[node]] += goes_left * reached[node]
            reached[self.right[node]] += (1 - goes_left) * reached[node]
        return total / len(self.root), np.ones(len(self.feature), bool)


def grow(
    features: Float[np.ndarray, "n f"],
    diseased: Bool[np.ndarray, " n"],
    count: int,
    generator: np.random.Generator,
    depth: int = DEPTH,
) -> Trees:
    """Return `count` trees of at most `depth` splits in a row; both classes count alike.

    Raises `ValueError` where all images have one label, and for no tree.
    """
    if count < 1 or diseased.all() or not diseased.any():
        raise ValueError("trees need images of both labels, and there is at least one tree")
    share = np.where(diseased, diseased.mean(), 1 - diseased.mean())
    nodes: list[list[float]] = []
    root = [
        _node(nodes, features, diseased, 0.5 / share, np.arange(len(diseased)), depth, generator)
        for _ in range(count)
    ]
    table = np.array(nodes)
    whole = [table[:, column].astype(np.int64) for column in (0, 2, 3)]
    return Trees(np.array(root, np.int64), whole[0], table[:, 1], whole[1], whole[2], table[:, 4])


def _node(
    nodes: list[list[float]],
    x: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    rows: np.ndarray,
    depth: int,
    generator: np.random.Generator,
) -> int:
    """Append a node and all below it, and return its number."""
    number = len(nodes)
    share = float(weight[rows] @ y[rows] / weight[rows].sum())
    nodes.append([LEAF, 0.0, 0, 0, share])
    if depth == 0 or len(rows) < FEWEST or share in (0.0, 1.0):
        return number
    best = _split(x, y, weight, rows, generator)
    if best is None:
        return number
    feature, threshold = best
    goes_left = x[rows, feature] <= threshold
    nodes[number][:2] = [feature, threshold]
    below = (rows[goes_left], rows[~goes_left])
    nodes[number][2:4] = [_node(nodes, x, y, weight, r, depth - 1, generator) for r in below]
    return number


def _split(
    x: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    rows: np.ndarray,
    generator: np.random.Generator,
) -> tuple[int, float] | None:
    """Return the best of a few random splits, by the weighted Gini impurity; None for no split."""
    few = max(1, int(np.sqrt(x.shape[1])))
    best, least = None, np.inf
    w, ill = weight[rows], weight[rows] * y[rows]
    for feature in generator.choice(x.shape[1], few, replace=False):
        column = x[rows, feature]
        low, high = column.min(), column.max()
        if low == high:
            continue
        threshold = generator.uniform(low, high)
        goes_left = column <= threshold
        impurity = 0.0
        for side in (goes_left, ~goes_left):
            total = w[side].sum()
            if total:
                share = ill[side].sum() / total
                impurity += total * share * (1 - share)
        if impurity < least and goes_left.any() and not goes_left.all():
            best, least = (int(feature), float(threshold)), impurity
    return best
