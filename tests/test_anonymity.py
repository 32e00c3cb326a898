"""The audit of anonymity groups, and the risk per patient: each beside a slow twin."""

from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import strangers

from medpriv_lib.core.release import Release
from medpriv_lib.measures.anonymity import audit, distinct, groups_of_equal
from medpriv_lib.measures.per_patient import risk, spreads, worst_decile
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import ClassMean
from medpriv_lib.privatizers.k_same import KSame, KSameSelect


def slow_audit(release, cohort):
    """For each image, compare it with every other, pixel by pixel, and count patients in sets."""
    out = []
    for image in release.images:
        same = [j for j, other in enumerate(release.images) if (image == other).all()]
        pairs = {
            (int(cohort.patient[release.source[j]]), bool(cohort.diseased[release.source[j]]))
            for j in same
        }
        sick = sum(label for _, label in pairs)
        out.append(
            (
                len({p for p, _ in pairs}),
                len(same),
                len({label for _, label in pairs}),
                max(sick, len(pairs) - sick) / len(pairs),
            )
        )
    return [np.array(column) for column in zip(*out, strict=True)]


@pytest.mark.parametrize(
    "method", [KSame(4, several_images=True), KSameSelect(3, form="release"), Blur(3)]
)
def test_audit_equals_the_slow_twin(method):
    cohort = strangers()
    release = method.fit(cohort).privatize(cohort, None)
    found = audit(release, cohort)
    for ours, theirs in zip(
        (found.hides_among, found.copies, found.labels, found.certainty),
        slow_audit(release, cohort),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs)
    assert sum(found.distribution.values()) == len(release)


def test_a_person_specific_set_keeps_k_and_several_images_do_not():
    cohort = strangers(each=1)
    kept = audit(KSame(5).privatize(cohort), cohort)
    assert kept.smallest >= 5
    assert not [w for w in kept.warnings if "claims" in w]
    noisy = strangers(each=6)  # six near copies of every patient: a group is one patient
    images = np.repeat(strangers(each=1).images, 6, axis=0)
    images[:, 0, 0] = np.tile(np.arange(6), 24)
    several = replace(noisy, images=images)
    broken = audit(KSame(5, several_images=True).privatize(several), several)
    assert broken.smallest == 1
    assert "claims K = 5" in broken.warnings[0]
    assert "hide among fewer patients" in broken.text()


def test_the_query_form_hides_among_nobody_though_k_patients_went_in():
    cohort = strangers()
    found = audit(KSameSelect(4).fit(cohort).privatize(cohort), cohort)
    assert (found.went_in == 4).all()
    assert found.smallest == 1
    assert found.claimed == 4
    assert any("claims K = 4" in w for w in found.warnings)


def test_select_tells_the_label_of_everybody_in_a_group_and_the_release_form_keeps_k():
    cohort = strangers()
    found = audit(KSameSelect(4, form="release").privatize(cohort), cohort)
    assert found.smallest >= 4
    assert found.l_diversity == 1
    assert (found.certainty == 1).all()
    assert any("same label" in w for w in found.warnings)


def test_blur_claims_nothing_and_the_class_mean_hides_among_a_class():
    cohort = strangers()
    assert audit(Blur(3).privatize(cohort), cohort).warnings == []
    assert (audit(Blur(3).privatize(cohort), cohort).went_in == 0).all()
    assert (
        audit(ClassMean().fit(cohort).privatize(cohort), cohort).smallest == 8
    )  # 8 of 24 patients are diseased
    assert any(
        "claims K = 2" in w for w in audit(Blur(3).privatize(cohort), cohort, claimed=2).warnings
    )


def test_a_release_of_another_cohort_is_refused():
    cohort = strangers()
    release = Blur(3).privatize(cohort)
    with pytest.raises(ValueError, match="audit it with the cohort"):
        audit(release, cohort.take(np.arange(5)))
    empty = Release(release.images[:0], release.source[:0], release.contributors[:0], "blur")
    with pytest.raises(ValueError, match="no image"):
        audit(empty, cohort)


def test_numbers_of_equal_images_and_distinct_patients():
    images = np.array([[[1]], [[2]], [[1]], [[3]], [[2]]], dtype=np.uint8)
    assert groups_of_equal(images).tolist() == [0, 1, 0, 2, 1]
    assert distinct(np.array([[3, 3, -1], [1, 2, 3], [-1, -1, -1]])).tolist() == [1, 3, 0]
    assert distinct(np.empty((2, 0), dtype=np.int64)).tolist() == [0, 0]


def slow_rates(hits, patient):
    """Read aloud: per patient, hits over images."""
    return {
        p: np.mean([h for h, q in zip(hits, patient, strict=True) if q == p])
        for p in set(patient.tolist())
    }


def test_rates_equal_the_slow_twin():
    rng = np.random.default_rng(1)
    patient = rng.integers(0, 20, 150)
    hits = rng.random(150) < 0.3
    found = risk(hits, patient, None, rng, simulations=50)
    theirs = slow_rates(hits, patient)
    assert found.per_patient().keys() == theirs.keys()
    for p, rate in found.per_patient().items():
        assert rate == pytest.approx(theirs[p])
    assert found.mean == pytest.approx(hits.mean())
    ordered = sorted(theirs.values(), reverse=True)
    assert found.worst_decile == pytest.approx(np.mean(ordered[: -(-len(ordered) // 10)]))


def test_equal_risk_is_not_called_unequal_and_unequal_risk_is():
    # 200 cohorts of 60 patients with 5 images each. Equal risk: p is uniform or larger, so p < .05
    # comes in at most 5 % of them; 200 trials leave it under 10 % (binomial, more than three
    # standard deviations of .015).
    rng = np.random.default_rng(2)
    patient = np.repeat(np.arange(60), 5)
    false = [
        risk(rng.random(300) < 0.2, patient, None, rng, 99).excess_p < 0.05 for _ in range(200)
    ]
    assert np.mean(false) <= 0.10
    exposed = np.isin(
        patient, [3, 17, 29, 41, 50, 55]
    )  # the same mean, all of it on six patients and a few others
    hits = exposed | (rng.random(300) < 0.1)
    found = risk(hits, patient, None, rng, 999)
    assert found.worst_decile == 1
    assert found.excess_p <= 0.002
    assert found.worst_decile > found.equal_interval[1]
    assert found.always() == pytest.approx(0.1)


def test_draws_that_agree_are_no_evidence():
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(30), 4)
    once = rng.random(120) < 0.3
    one, ten = (
        risk(h, patient, None, np.random.default_rng(4), 200)
        for h in (once, np.tile(once, (10, 1)))
    )
    assert one.worst_decile == ten.worst_decile
    assert one.equal_interval == ten.equal_interval


def test_labels_are_told_apart():
    patient = np.repeat(np.arange(40), 3)
    diseased = patient < 20
    found = risk(diseased, patient, diseased, np.random.default_rng(5), 50)
    assert found.by_label["diseased"][:1] == (1,)
    assert found.by_label["healthy"][:1] == (0,)
    assert found.by_label["diseased"][3:] == (60, 20)
    assert "diseased: 1.000" in found.text()


def test_spreads_of_draws_and_seeds_are_apart():
    moves_with_draws = np.tile([0.1, 0.3], (3, 1))
    moves_with_seeds = moves_with_draws.T
    assert spreads(moves_with_draws)["seeds"] == pytest.approx(0)
    assert spreads(moves_with_draws)["draws"] == pytest.approx(np.std([0.1, 0.3], ddof=1))
    assert spreads(moves_with_seeds)["draws"] == pytest.approx(0)
    assert spreads(np.array([[0.5]])) == {}


def test_worst_decile_and_bad_input():
    assert worst_decile(np.arange(10) / 10) == pytest.approx(0.9)
    assert worst_decile(np.arange(11.0)) == pytest.approx(9.5)
    assert worst_decile(np.array([0.4])) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="one outcome, one patient"):
        risk(np.ones(3, dtype=bool), np.zeros(4, dtype=np.int64), None, np.random.default_rng(0))
