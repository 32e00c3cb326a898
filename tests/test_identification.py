"""Identification: ranks with ties, galleries without a patient, and what guessing gives."""

import numpy as np
import pytest

from medpriv_lib.attacks.finding import knowledge_of
from medpriv_lib.attacks.identification import best_of_patient, hits, naive, parrot, reverse


def slow_hits(scores, patient, within):
    """Break ties in every possible position and count."""
    out = []
    for row, own in zip(scores, patient, strict=True):
        above = sum(score > row[own] for score in row)
        level = sum(score == row[own] for score in row)
        out.append(np.mean([above + place < within for place in range(level)]))
    return np.array(out)


def test_hits_equal_the_slow_twin_ties_included():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, (40, 9)).astype(float)
    patient = rng.integers(0, 9, 40)
    for within in (1, 2, 5, 9):
        np.testing.assert_allclose(
            hits(scores, patient, within), slow_hits(scores, patient, within)
        )
    assert hits(scores, patient, 9).min() == 1


def test_an_attacker_who_cannot_tell_patients_apart_guesses():
    """All scores equal: rank 1 is 1/P exactly, rank 5 is 5/P, and the CMC curve is the diagonal."""
    found = naive(np.zeros((30, 10)), np.arange(30) % 10)
    assert found.measures["rank1"] == pytest.approx(0.1)
    assert found.measures["rank5"] == pytest.approx(0.5)
    np.testing.assert_allclose(found.curves["cmc"], np.arange(1, 11) / 10)
    assert found.chance == {"rank1": 0.1, "rank5": 0.5}


def test_a_score_that_is_no_number_is_no_hit():
    with pytest.raises(ValueError, match="1 of 2 scores of the true patient are NaN"):
        hits(np.array([[np.nan, 0.0], [1.0, 0.0]]), np.array([0, 0]))


def test_the_best_image_of_a_patient_counts():
    likeness = np.array([[0.1, 0.9, 0.3], [0.5, 0.2, 0.4]])
    out = best_of_patient(likeness, np.array([2, 0, 2]), 4)
    np.testing.assert_array_equal(out, [[0.9, -np.inf, 0.3, -np.inf], [0.2, -np.inf, 0.5, -np.inf]])


def test_probes_of_patients_who_are_not_in_the_gallery_are_left_out():
    likeness = np.eye(3)[:, :2]
    found = parrot(likeness, np.array([0, 1, 5]), np.array([0, 1]), 6)
    assert (found.n, found.patients, found.measures["rank1"]) == (2, 2, 1.0)
    np.testing.assert_array_equal(found.probe, [0, 1])
    with pytest.raises(ValueError, match="nobody to look for"):
        reverse(likeness, np.array([3, 4, 5]), np.array([0, 1]), 6)
    with pytest.raises(ValueError, match="no released image"):
        parrot(likeness, np.array([3, 4, 5]), np.array([0, 1]), 6)


def test_reverse_tells_another_original_from_the_source_itself():
    """Three releases that are found from their sources and never from other originals."""
    gallery = np.array([0, 1, 2])
    found = reverse(np.roll(np.eye(3), 1, axis=1), gallery, gallery, 3, own=np.eye(3))
    assert found.measures["rank1"] == 0
    assert found.measures["rank1_own"] == 1


def test_rates_per_patient_and_their_mean():
    scores = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    found = naive(scores, np.array([0, 0, 1, 1]))
    assert found.per_patient == {0: 1.0, 1: 0.5}
    assert found.measures["rank1"] == 0.75
    assert found.intervals["rank1"][0] <= 0.75 <= found.intervals["rank1"][1]


def test_random_scores_stay_within_chance():
    """2,000 probes of 50 patients: hits are binomial (2000, 1/50); 99.9 % of it lies in 40 +- 3.3
    sd = [20, 61]."""
    rng = np.random.default_rng(1)
    found = naive(rng.random((2000, 50)), rng.integers(0, 50, 2000))
    assert 20 / 2000 <= found.measures["rank1"] <= 61 / 2000


def test_every_attack_says_what_its_attacker_knows():
    for attack in (naive, reverse, parrot):
        assert knowledge_of(attack).endswith(".")
        assert len(knowledge_of(attack)) > 30

    def silent():
        """Attack."""

    with pytest.raises(ValueError, match="does not say what its attacker knows"):
        knowledge_of(silent)
