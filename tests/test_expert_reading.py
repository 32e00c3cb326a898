"""What the expert reads, against numbers by hand."""

import contextlib

import numpy as np
import pytest
from cohorts_with_visits import confounded, exam_of, ground_of

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.expert_reading import ExpertReading, rank_correlation
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.recognition.wide import Wide


class ByContrast(Expert):
    """Holds an eye for the more ill the more pixels differ from its twin: it knows the twins."""

    def __init__(self, test, threshold=0.5):
        super().__init__((Wide(2, test.images.shape[1]),), threshold)
        object.__setattr__(self, "twins", test.twin.astype(float))

    def score(self, images):
        return np.abs(images - self.twins).mean(axis=(1, 2))


def measure(cohort=None, **more):
    cohort = confounded() if cohort is None else cohort
    test = cohort.of("test")
    return ExpertReading(ground_of(cohort, expert=ByContrast(test, **more))), test


def all_cells(one, exam):
    cells = {}
    for part in one.parts():
        with contextlib.suppress(NotApplicable):
            cells |= part(exam)
    return cells


def slow_ranks(values):
    return np.array([(values < one).sum() + (values <= one).sum() for one in values])


def test_rank_correlation_is_that_of_the_mean_ranks():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 30).astype(float), rng.normal(size=30)
    slow = np.corrcoef(slow_ranks(a), slow_ranks(b))[0, 1]
    assert rank_correlation(a, b) == pytest.approx(slow)
    assert rank_correlation(np.ones(4), np.arange(4.0)) == 0


def test_originals_and_twins():
    one, test = measure(confounded(patients=24))
    whole = all_cells(one, exam_of(test.images, test.twin))
    assert whole["expert_auc"] == whole["expert_f1"] == 100
    assert whole["expert_healthy_ill"] == whole["expert_added"] == 0
    assert whole["expert_severity"] == pytest.approx(100)
    gone = all_cells(one, exam_of(test.twin, test.twin))
    assert gone["expert_auc"] == 50
    assert gone["expert_f1"] == 0
    assert gone["expert_severity"] == 0


def test_who_adds_a_sign_to_healthy_eyes_is_seen():
    one, test = measure()
    images = test.images.copy()
    healthy = np.flatnonzero(~test.diseased)
    images[healthy[:2], 5:15, 5:15] = 255 - images[healthy[:2], 5:15, 5:15]
    exam = exam_of(images, test.twin)
    cells = all_cells(one, exam)
    assert cells["expert_healthy_ill"] == cells["expert_added"] == 25  # two of eight
    assert exam.values["expert_healthy_ill"][healthy].mean() == pytest.approx(0.25)
    assert np.isnan(exam.values["expert_healthy_ill"][test.diseased]).all()


def test_an_eye_that_is_called_ill_in_the_original_has_no_sign_added():
    one, test = measure()
    healthy = np.flatnonzero(~test.diseased)
    one.original[healthy[0]] = 99  # the expert's own error
    images = test.images.copy()
    images[healthy[0], 5:15, 5:15] = 255 - images[healthy[0], 5:15, 5:15]
    cells = all_cells(one, exam_of(images, test.twin))
    assert cells["expert_healthy_ill"] == 12.5
    assert cells["expert_added"] == 0


def test_without_an_expert_it_says_so():
    with pytest.raises(NotApplicable, match="no expert"):
        ExpertReading(ground_of(confounded()))
