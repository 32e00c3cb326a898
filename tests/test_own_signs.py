"""Own signs against others': answers that are known, and the slow way."""

import numpy as np
import pytest
from cohorts_with_visits import confounded, exam_by, exam_of, ground_of, without_visits

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.own_signs import (
    OwnSigns,
    kept_by_others,
    of_other_patients,
    of_other_visits,
    own_versus_other,
)
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import ClassMean, Original


def signs(n=7, size=9, seed=0):
    rng = np.random.default_rng(seed)
    masks = rng.random((n, size, size)) < 0.3
    return rng.normal(0, 20, masks.shape) * masks, np.array([0, 0, 1, 2, 3, 4, 4])[:n]


def auc_by_hand(change, signs, patient):
    result = []
    for i, d in enumerate(change):
        fits = {}
        for j, s in enumerate(signs):
            dot = size = 0.0
            for one, two in zip(d.ravel(), s.ravel(), strict=True):
                dot, size = dot + one * two, size + two * two
            fits[j] = dot / np.sqrt(size)
        others = [fits[j] for j in fits if patient[j] != patient[i]]
        won = [1.0 if fit < fits[i] else 0.5 if fit == fits[i] else 0.0 for fit in others]
        result.append(sum(won) / len(won))
    return result


def test_the_area_is_that_of_the_slow_way():
    s, patient = signs()
    d = s + np.random.default_rng(1).normal(0, 150, s.shape)
    found = own_versus_other(d, s, of_other_patients(patient))
    assert found == pytest.approx(auc_by_hand(d, s, patient), abs=1e-12)
    assert 0.5 < found.mean() < 1


def test_who_keeps_the_own_signs_has_one_and_who_keeps_nothing_one_half():
    s, patient = signs()
    other = of_other_patients(patient)
    assert own_versus_other(0.1 * s, s, other) == pytest.approx(np.ones(7))
    assert own_versus_other(0 * s, s, other) == pytest.approx(np.full(7, 0.5))


def test_one_sign_painted_on_everybody_is_one_half_however_strongly():
    s, patient = signs()
    mean, strength = s.mean(axis=0), np.linspace(0.2, 3, 7)[:, None, None]
    found = own_versus_other(strength * mean, s, patient[:, None] != np.array([-1] * 7))
    # against everybody, each pair has a winner and a loser, and itself is a tie
    assert found.mean() == pytest.approx(0.5)
    mine = np.stack([np.roll(s, 1, axis=0)[i] for i in range(7)])  # another's signs
    assert own_versus_other(mine, s, of_other_patients(patient)).mean() < 0.5


def test_large_signs_do_not_answer_to_everything():
    s, patient = signs()
    s[3] *= 100
    assert own_versus_other(s, s, of_other_patients(patient)) == pytest.approx(np.ones(7))


def test_what_others_keep_is_that_of_the_slow_way():
    s, patient = signs()
    d = np.random.default_rng(2).normal(size=s.shape)
    by_hand = [
        np.mean(
            [(d[j] * s[i]).sum() / (s[i] ** 2).sum() for j in range(7) if patient[j] != patient[i]]
        )
        for i in range(7)
    ]
    assert kept_by_others(d, s, of_other_patients(patient)) == pytest.approx(by_hand)


def test_a_case_without_signs_is_refused():
    s, patient = signs()
    s[2] = 0
    with pytest.raises(ValueError, match="without signs"):
        own_versus_other(s, s, of_other_patients(patient))


def test_other_visits_are_of_the_same_patient():
    found = of_other_visits(np.array([0, 0, 0, 1]), np.array([1, 1, 2, 2]))
    assert found.tolist() == [
        [False, False, True, False],
        [False, False, True, False],
        [True, True, False, False],
        [False, False, False, False],
    ]


def test_the_columns_of_methods_whose_answer_is_known():
    cohort = confounded()
    measure = OwnSigns(ground_of(cohort))
    exam = exam_by(Original(), cohort)
    whole = measure.cells(exam)
    assert whole["own_signs_auc"] == whole["own_signs_auc_low"] == 100
    assert whole["evidence_weighted"] == pytest.approx(100)
    assert abs(whole["evidence_of_others"]) < 40
    gap = whole["evidence_own_minus_other"]
    assert gap == pytest.approx(100 - whole["evidence_of_others"])
    assert np.isfinite(exam.values["own_signs_auc"]).sum() == 8
    mean = measure.cells(exam_by(ClassMean().fit(cohort.of("train")), cohort))
    assert mean["own_signs_auc"] == 50
    assert mean["evidence_weighted"] == 0
    soft = measure.cells(exam_by(Blur(9), cohort, draws=2))
    assert 0 < soft["evidence_weighted"] < 80
    assert soft["own_signs_auc"] > 90  # smaller, but still their own


def test_visits_are_apart_where_nobody_has_two():
    cohort = confounded()
    measure = OwnSigns(ground_of(cohort))
    with pytest.raises(NotApplicable, match="two visits"):
        measure._visits(exam_by(Original(), cohort))


def test_a_cohort_of_the_first_version_is_not_measured():
    with pytest.raises(NotApplicable, match="has no visits"):
        OwnSigns(ground_of(without_visits(confounded())))


def test_without_twins_released_it_says_so():
    cohort = confounded()
    exam = exam_of(cohort.of("test").images)

    def none():
        raise NotApplicable("no twins were released")

    object.__setattr__(exam, "twins", none)
    with pytest.raises(NotApplicable, match="no twins"):
        OwnSigns(ground_of(cohort)).cells(exam)
