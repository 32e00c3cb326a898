"""Local noise, noised histograms and the teachers' vote: what one patient changes, and how much."""

import numpy as np
import pytest
import torch

from medpriv_lib.core.intervals import area
from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.private import histograms, local_noise, pate
from medpriv_lib.federation.private.accountant import Charge
from medpriv_lib.learning.logistic import Logistic


def table(people=60, each=3, seed=0):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(people), each)
    ill = patient % 2 == 0
    x = rng.normal(size=(len(patient), 4))
    x[:, 0] += 1.5 * ill
    return x, ill, patient


def test_a_patient_sends_one_vector_of_bounded_length():
    x, ill, patient = table()
    sent, label, numbers = local_noise.noised_vectors(x, ill, patient, 1.0, 0.0, seeded(0))
    assert sent.shape == (60, 4)
    assert (label == ill[::3]).all()
    assert (numbers == np.arange(60)).all()
    for row in range(60):
        mean = x[patient == row].mean(0)
        assert np.allclose(sent[row], mean * min(1, 1 / np.linalg.norm(mean)))
    assert local_noise.charge(2.0) == Charge(2.0, 1.0, 1, "statistics")
    with pytest.raises(ValueError, match="clip above 0"):
        local_noise.noised_vectors(x, ill, patient, np.inf, 1.0, seeded(0))


def test_local_noise_is_measured_by_the_diameter():
    x, ill, patient = np.zeros((4000, 4)), np.zeros(4000, bool), np.arange(4000)
    sent, *_ = local_noise.noised_vectors(x, ill, patient, 1.5, 2.0, seeded(0))
    # 16,000 numbers: their spread is known to .6 %, five standard errors are 3 %
    assert sent.std() == pytest.approx(2 * 1.5 * 2.0, rel=0.03)


def test_histograms_count_patients_and_move_by_a_bounded_length():
    x, ill, patient = table()
    full = histograms.private_histograms(x, ill, patient, 0.0, seeded(0)).counts
    assert full.sum() == pytest.approx(60 * 4)
    slow = np.zeros_like(full)
    edges = np.linspace(-3, 3, 9)
    for vector, label, _ in zip(x, ill, patient, strict=True):
        for f, value in enumerate(vector):
            b = next((k for k in range(8) if value < edges[k + 1]), 7)
            slow[int(label), f, b] += 1 / 3
    assert np.allclose(full, slow)
    for one in (0, 7):
        rest = patient != one
        less = histograms.private_histograms(x[rest], ill[rest], patient[rest], 0.0, seeded(0))
        assert np.linalg.norm(full - less.counts) <= 2.0 + 1e-9  # the square root of 4 features


def test_histograms_classify_and_noise_is_scaled_by_the_features():
    x, ill, patient = table()
    told = histograms.private_histograms(x, ill, patient, 0.0, seeded(0))
    other, label, _ = table(seed=1)
    assert area(told.scores(other), label) > 0.75
    empty = np.zeros((1, 400))
    noisy = histograms.private_histograms(empty, np.array([True]), np.array([0]), 1.0, seeded(0))
    assert noisy.counts.std() == pytest.approx(20, rel=0.05)  # 6,400 numbers: .9 % a standard error
    with pytest.raises(ValueError, match="two bins"):
        histograms.private_histograms(x, ill, patient, 0.0, seeded(0), bins=1)


def test_a_patient_changes_one_vote_by_one():
    x, ill, patient = table()
    public, label, _ = table(seed=1)
    one = pate.teachers(x, ill, patient, 6, Logistic, seeded(3))
    turned = np.where(patient == 5, ~ill, ill)
    other = pate.teachers(x, turned, patient, 6, Logistic, seeded(3))
    change = np.abs(pate.votes(one, public) - pate.votes(other, public))
    assert change.max() <= 1
    votes = pate.votes(one, public)
    assert ((votes > 3) == label).mean() > 0.6  # guessing: .5
    assert (pate.noised_labels(votes, 6, 0.0, seeded(0)) == (votes > 3)).all()
    assert (pate.noised_labels(votes, 6, 100.0, seeded(0)) == (votes > 3)).mean() < 0.7
    assert pate.charge(4.0, 50) == Charge(4.0, 1.0, 50)


def test_teachers_with_one_label_and_too_many_teachers():
    x, ill, patient = table(people=4)
    found = pate.teachers(x, ill, patient, 4, Logistic, torch.Generator().manual_seed(0))
    assert sorted(teacher.label for teacher in found) == [False, False, True, True]
    with pytest.raises(ValueError, match="5 teachers for 4 patients"):
        pate.teachers(x, ill, patient, 5, Logistic, torch.Generator().manual_seed(0))
