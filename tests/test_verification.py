"""Linkage: which pairs count, where true pairs lie among impostors, and what stays at chance."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from small_cohorts import noise_cohort

from medpriv_lib.attacks.verification import finding, pairs, places


def both_eyes(patients=8, each=4):
    patient = np.repeat(np.arange(patients), each)
    eye = np.where(np.arange(patients * each) % 2 == 0, "L", "R")
    return noise_cohort(patient, patient % 3 == 0, eye=eye, split="test")


def slow_pairs(cohort, source, gallery):
    kinds = np.full((len(source), len(gallery)), "", dtype="<U8")
    for i, a in enumerate(source):
        for j, b in enumerate(gallery):
            if a == b:
                kinds[i, j] = "own"
            elif cohort.patient[a] == cohort.patient[b]:
                kinds[i, j] = "true" if cohort.eye[a] == cohort.eye[b] else ""
            elif cohort.eye[a] == cohort.eye[b]:
                kinds[i, j] = "impostor"
    return kinds


def test_pairs_equal_the_slow_twin():
    cohort = both_eyes()
    source, gallery = np.arange(0, 32, 3), np.arange(32)
    which, slow = pairs(cohort, source, gallery), slow_pairs(cohort, source, gallery)
    for kind in ("true", "own", "impostor"):
        np.testing.assert_array_equal(getattr(which, kind), slow == kind)
    assert not (which.true & which.impostor).any()


def slow_places(scores, cohort, source, gallery):
    """Place every true pair among the impostors of its side and its two labels, one comparison at a
    time."""
    out = []
    for i, a in enumerate(source):
        for j, b in enumerate(gallery):
            if a == b or cohort.patient[a] != cohort.patient[b] or cohort.eye[a] != cohort.eye[b]:
                continue
            others = [
                scores[m, n]
                for m, c in enumerate(source)
                for n, d in enumerate(gallery)
                if cohort.patient[c] != cohort.patient[d]
                and cohort.eye[c] == cohort.eye[d] == cohort.eye[a]
                and cohort.diseased[c] == cohort.diseased[a]
                and cohort.diseased[d] == cohort.diseased[b]
            ]
            if others:
                out.append(
                    np.mean([(s < scores[i, j]) + 0.5 * (s == scores[i, j]) for s in others])
                )
    return sorted(out)


def test_places_equal_the_slow_twin_also_where_labels_change():
    cohort = both_eyes()
    rng = np.random.default_rng(0)
    cohort = replace(cohort, diseased=rng.random(32) < 0.4)
    source, gallery = np.arange(0, 32, 2), np.arange(32)
    scores = rng.integers(0, 6, (16, 32)).astype(float)
    found = places(scores, pairs(cohort, source, gallery), cohort.patient[source])
    np.testing.assert_allclose(
        sorted(found.place.tolist()), slow_places(scores, cohort, source, gallery)
    )


def test_the_area_is_that_of_scikit_learn_and_thresholds_let_one_percent_through():
    rng = np.random.default_rng(0)
    cohort = both_eyes(40, 8)
    cohort = replace(cohort, eye=np.full(320, ""), diseased=np.zeros(320, dtype=bool))  # one cell
    source = gallery = np.arange(320)
    which = pairs(cohort, source, gallery)
    scores = np.round(rng.normal(size=(320, 320)) + 1.2 * which.true, 1)  # rounded: with ties
    found = places(scores, which, cohort.patient)
    truth = np.r_[np.ones(which.true.sum()), np.zeros(which.impostor.sum())]
    area = roc_auc_score(truth, np.r_[scores[which.true], scores[which.impostor]])
    assert found.place.mean() == pytest.approx(area, abs=1e-12)
    limit = scores[which.true][found.accepted].min()
    assert (scores[which.impostor] >= limit).mean() <= 0.01
    lower = scores[which.true][~found.accepted].max()
    assert (scores[which.impostor] >= lower).mean() > 0.01


def test_scores_without_information_stay_within_chance():
    """240 images of 60 patients, normal scores: the AUC of 240 x 1 true pairs has sd < 0.5 /
    sqrt(240) = 0.032 even if pairs of one image went together; 99.9 % lies within 3.3 sd = 0.107.
    Accepted at 1 %: at most 0.01 + 3.3 sd of a binomial of 240, 0.031."""
    cohort = both_eyes(60, 4)
    rng = np.random.default_rng(3)
    rows = np.arange(240)
    which = pairs(cohort, rows, rows)
    found = finding(
        "x",
        "Nothing.",
        [places(rng.normal(size=(240, 240)), which, cohort.patient)],
        [rows],
        cohort,
        rows,
    )
    assert abs(found.measures["linkage_auc"] - 0.5) < 0.107
    assert found.measures["tar_1"] <= 0.031
    assert found.chance["linkage_auc"] == 0.5


def test_a_score_that_knows_only_the_label_links_nobody():
    """Impostors share the label and the side, so such a score is the same for all pairs: the AUC is
    exactly 0.5."""
    cohort = both_eyes()
    rows = np.arange(32)
    scores = (cohort.diseased[:, None] == cohort.diseased[None]) + 2.0 * (
        cohort.eye[:, None] == cohort.eye[None]
    )
    found = finding(
        "x",
        "Labels.",
        [places(scores, pairs(cohort, rows, rows), cohort.patient)],
        [rows],
        cohort,
        rows,
    )
    assert found.measures["linkage_auc"] == 0.5
    assert found.measures["tar_1"] == 0


def test_a_label_that_scores_higher_links_nobody():
    """Scores that depend on the labels of the pair alone, also where a patient has both: 0.5
    exactly."""
    cohort = both_eyes(9, 4)
    rng = np.random.default_rng(0)
    cohort = replace(cohort, eye=np.full(36, ""), diseased=rng.random(36) < 0.4)
    rows = np.arange(36)
    scores = 2.0 * cohort.diseased[:, None] - 0.7 * cohort.diseased[None]
    found = places(scores, pairs(cohort, rows, rows), cohort.patient)
    assert (found.place == 0.5).all()
    assert found.accepted.sum() == 0


def test_a_score_that_knows_the_patient_links_everybody():
    cohort = both_eyes()
    rows = np.arange(32)
    scores = (cohort.patient[:, None] == cohort.patient[None]).astype(float)
    found = finding(
        "x",
        "All.",
        [places(scores, pairs(cohort, rows, rows), cohort.patient)],
        [rows],
        cohort,
        rows,
    )
    assert found.measures["linkage_auc"] == 1
    assert found.measures["tar_1"] == 1
    assert found.measures["own_auc"] == 1
    assert set(found.per_patient.values()) == {1.0}


def test_verifiers_of_two_halves_are_joined_by_place_and_not_by_score():
    """The second verifier's scores are shifted by 100: pooled scores would make all its impostors
    look true."""
    cohort = both_eyes()
    rng = np.random.default_rng(0)
    parts = [np.flatnonzero(cohort.patient < 4), np.flatnonzero(cohort.patient >= 4)]
    found = []
    for shift, rows in zip((0, 100), parts, strict=True):
        which = pairs(cohort, rows, rows)
        found.append(
            places(
                rng.normal(size=(16, 16)) + 9.0 * which.true + shift, which, cohort.patient[rows]
            )
        )
    joined = finding("x", "Halves.", found, parts, cohort, np.arange(32))
    assert joined.measures["linkage_auc"] > 0.99
    assert (
        joined.patients == 7
    )  # patient 6 is the only diseased one of its half: there is no impostor for it


def test_a_tenth_of_a_percent_needs_enough_impostors():
    cohort = both_eyes(40, 8)
    rows = np.arange(320)
    scores = np.random.default_rng(0).normal(size=(320, 320))
    many = finding(
        "x", "-.", [places(scores, pairs(cohort, rows, rows), cohort.patient)], [rows], cohort, rows
    )
    assert "tar_01" in many.measures
    few = finding(
        "x",
        "-.",
        [places(scores[:32, :32], pairs(cohort, rows[:32], rows[:32]), cohort.patient[:32])],
        [rows[:32]],
        cohort,
        rows[:32],
    )
    assert "tar_01" not in few.measures


def test_what_cannot_be_linked_is_said():
    cohort = both_eyes()
    rows = np.array([0, 2])  # one patient
    with pytest.raises(ValueError, match="no impostors"):
        places(np.zeros((2, 2)), pairs(cohort, rows, rows), cohort.patient[rows])
    rows = np.array([0, 4, 12])  # one image per patient
    with pytest.raises(ValueError, match="nothing can be linked"):
        finding(
            "x",
            "-.",
            [places(np.zeros((3, 3)), pairs(cohort, rows, rows), cohort.patient[rows])],
            [rows],
            cohort,
            rows,
        )
