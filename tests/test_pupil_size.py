"""The pupil's size in release and original."""

import numpy as np
import pytest
from second_cohorts import confounded, exam_of, ground_of

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.synthetic.population import population
from medpriv_lib.measures import pupil
from medpriv_lib.measures.pupil import PupilSize, ratios


@pytest.fixture(scope="module")
def eyes():
    cohort = population(6, 2, 3, workers=1)
    object.__setattr__(cohort, "split", np.where(np.arange(len(cohort)) == 0, "train", "test"))
    return cohort


def test_who_keeps_the_pupil_and_who_does_not(eyes):
    measure, test = PupilSize(ground_of(eyes)), eyes.of("test")
    same = measure.cells(exam_of(test.images))
    assert same["pupil_correlation"] == pytest.approx(100)
    assert same["pupil_difference"] == 0
    assert same["pupil_found"] > 80
    other = measure.cells(exam_of(test.images[::-1].copy()))
    assert other["pupil_correlation"] < 100
    assert other["pupil_difference"] > 0


def test_releases_without_an_eye_are_not_applicable(eyes):
    measure, test = PupilSize(ground_of(eyes)), eyes.of("test")
    with pytest.raises(NotApplicable, match="fewer than"):
        measure.cells(exam_of(np.full_like(test.images, 90)))


def test_ratios_are_the_localisers(eyes, monkeypatch):
    class Eye:
        pupil_ratio = 0.37

    monkeypatch.setattr(pupil, "locate", lambda image: Eye() if image[0, 0] else None)
    found = ratios(np.stack([np.zeros((64, 64), np.uint8), np.ones((64, 64), np.uint8)]))
    assert np.isnan(found[0])
    assert found[1] == 0.37


def test_what_is_no_eye_is_not_measured():
    with pytest.raises(NotApplicable, match="pixels and more"):
        PupilSize(ground_of(confounded(patients=4, size=16)))
