"""Two hospitals with different features train the model of joined features; what crosses tells."""

import numpy as np
import pytest
from test_federated_linear import table

from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.linear import Plan, SiteTable, federated_linear
from medpriv_lib.federation.vertical import (
    Crossed,
    VerticalPlan,
    features_from,
    labels_from,
    vertical_training,
    weights_followed,
)


def both(rounds=40, seed=0):
    whole = table(seed=seed)
    guest, host = whole.features[:, :3], whole.features[:, 3:]
    plan = VerticalPlan(rounds=rounds)
    return whole, host, plan, *vertical_training(guest, host, whole.diseased, plan)


def test_two_halves_equal_the_training_on_joined_features():
    whole, _, _, model, crossed = both()
    alone = SiteTable(whole.features, whole.diseased, np.arange(len(whole.features)))
    pooled = federated_linear([alone], Plan(rounds=40), seeded(0))  # each image a patient
    assert np.abs(model - pooled).max() < 1e-9
    assert crossed.bytes == 2 * 40 * 120 * 8


def test_the_derivative_gives_every_label_away():
    whole, _, _, _, crossed = both()
    assert (labels_from(crossed.derivatives[-1]) == whole.diseased).all()


def test_who_knows_a_few_images_solves_for_the_others():
    whole, host, plan, _, crossed = both()
    steps = np.stack(weights_followed(host, crossed, plan))
    parts = np.stack(crossed.parts)
    assert np.allclose(steps @ host.T, parts)
    rows = np.arange(10)
    found = features_from(parts, host[rows], rows)
    assert np.abs(found - host).max() < 1e-3  # two features, forty rounds: all of them
    few = Crossed(crossed.parts[:2], crossed.derivatives[:2])  # the first round's weights are zero
    partly = features_from(np.stack(few.parts), host[rows], rows)
    away = np.abs(partly - host).mean() / np.abs(host - host.mean(axis=0)).mean()
    assert away > 0.3  # control: one equation for two unknowns


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="align both on the common patients first"):
        vertical_training(np.zeros((3, 2)), np.zeros((4, 2)), np.zeros(3, bool))
    with pytest.raises(ValueError, match="no plan"):
        VerticalPlan(rounds=0)
