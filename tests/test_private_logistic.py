"""Many private logistic models at once, beside the network's loop with a linear layer."""

import numpy as np
import pytest
import torch

from medpriv_lib.core.intervals import area
from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.private.logistic import Settings, padded, private_logistic, scores
from medpriv_lib.federation.private.patient_gradients import Mechanism


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(30), rng.integers(1, 5, 30))
    rng.shuffle(patient)
    x = rng.normal(size=(len(patient), 4))
    return x, x[:, 0] + 0.3 * rng.normal(size=len(x)) > 0, patient


def slow(x, ill, patient, settings, inside):
    """One model by loops over steps and patients; without noise and with everybody drawn."""
    w = torch.zeros(x.shape[1] + 1, requires_grad=True)
    optimiser = torch.optim.Adam([w], settings.rate)
    x = np.column_stack([x, np.ones(len(x))])
    for _ in range(settings.steps):
        total = np.zeros(x.shape[1])
        for one in np.unique(patient)[inside]:
            rows = patient == one
            probability = 1 / (1 + np.exp(-x[rows] @ w.detach().numpy()))
            weight = np.where(ill[rows], settings.class_weights[1], settings.class_weights[0])
            gradient = ((probability - ill[rows]) * weight) @ x[rows] / rows.sum()
            total += gradient * min(1, settings.mechanism.clip / np.linalg.norm(gradient))
        w.grad = torch.from_numpy(total / inside.sum()).float()
        optimiser.step()
    return w.detach().numpy()


def test_each_model_is_that_of_a_loop_over_its_patients(data):
    x, ill, patient = data
    settings = Settings(Mechanism(1.0, 0.3), 20, 0.05, (0.7, 1.5))
    inside = np.ones((2, 30), bool)
    inside[0, ::2] = inside[1, 1::2] = False
    found = private_logistic(x, ill, patient, settings, seeded(0), inside)
    for model, rows in zip(found, inside, strict=True):
        np.testing.assert_allclose(model, slow(x, ill, patient, settings, rows), atol=1e-4)


def test_padding_keeps_every_image_with_its_patient(data):
    x, ill, patient = data
    vectors, label, weight = (t.numpy() for t in padded(x, ill, patient))
    for one in range(30):
        mine = weight[one] > 0
        assert mine.sum() == (patient == one).sum()
        assert weight[one].sum() == pytest.approx(1)
        np.testing.assert_allclose(vectors[one, mine, :4], x[patient == one], atol=1e-6)
        assert (label[one, mine] == ill[patient == one]).all()


def test_it_learns_and_noise_takes_what_it_learnt(data):
    x, ill, patient = data
    areas = {}
    for noise in (0.0, 300.0):
        settings = Settings(Mechanism(0.5, 1.0, noise), 60, 0.05)
        models = private_logistic(x, ill, patient, settings, seeded(0), np.ones((20, 30), bool))
        areas[noise] = np.mean([area(one, ill) for one in scores(models, x)])
    assert areas[0.0] > 0.95
    assert abs(areas[300.0] - 0.5) < 0.25  # 20 models of random weights


def test_who_is_inside_is_named_for_every_patient(data):
    with pytest.raises(ValueError, match="names 3 patients"):
        private_logistic(*data, Settings(Mechanism(1.0)), seeded(0), np.ones((1, 3), bool))
