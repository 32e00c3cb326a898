"""Logistic regression and random trees, each beside its slow twin."""

import numpy as np
import pytest

from medpriv_lib.core.intervals import area
from medpriv_lib.learning.logistic import Logistic
from medpriv_lib.learning.trees import LEAF, grow


def data(seed=0, n=200):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    return x, x[:, 0] - x[:, 1] + rng.normal(size=n) > 0.8


def test_logistic_equals_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, ill = data()
    found = Logistic(0.1).fit(x, ill)
    twin = linear_model.LogisticRegression(C=0.1, class_weight="balanced", tol=1e-10).fit(x, ill)
    assert np.abs(found.weights - twin.coef_[0]).max() < 1e-4
    assert found.bias == pytest.approx(twin.intercept_[0], abs=1e-4)
    assert (found.predict(x) == twin.predict(x)).mean() > 0.99


def test_logistic_refuses():
    x, ill = data()
    with pytest.raises(ValueError, match="both labels"):
        Logistic().fit(x, np.ones(len(x), bool))
    with pytest.raises(ValueError, match="NaN"):
        Logistic().fit(x * np.nan, ill)
    with pytest.raises(ValueError, match="positive"):
        Logistic(0)


def test_separable_patients_do_not_run_away():
    x = np.linspace(-1, 1, 20)[:, None]
    found = Logistic(1e6).fit(x, x[:, 0] > 0)
    assert np.isfinite(found.weights).all()


def slow_walk(trees, node, vector):
    if trees.feature[node] == LEAF:
        return trees.value[node]
    left = vector[trees.feature[node]] <= trees.threshold[node]
    return slow_walk(trees, (trees.left if left else trees.right)[node], vector)


def test_trees_learn_and_both_walks_agree():
    x, ill = data()
    trees = grow(x[:150], ill[:150], 15, np.random.default_rng(0))
    scores = np.array([trees.walk(v)[0] for v in x[150:]])
    assert area(scores, ill[150:]) > 0.7  # guessing: .5
    for vector, score in zip(x[150:160], scores, strict=False):
        assert score == pytest.approx(np.mean([slow_walk(trees, r, vector) for r in trees.root]))
        everywhere, touched = trees.walk(vector, oblivious=True)
        assert everywhere == pytest.approx(score)
        assert touched.all()
    inner = trees.feature != LEAF
    assert (trees.left[inner] > np.flatnonzero(inner)).all()
    with pytest.raises(ValueError, match="both labels"):
        grow(x, np.zeros(len(x), bool), 3, np.random.default_rng(0))
