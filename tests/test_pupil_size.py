"""The pupil's size: read as the localiser reads it, and compared between release and original."""

import numpy as np
import pytest
from cohorts_with_visits import confounded, exam_of, ground_of
from scipy.stats import spearmanr

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.data.eyes.pupil_ratio import pupil_ratios
from medpriv_lib.data.synthetic.population import population
from medpriv_lib.measures.pupil import PupilSize


@pytest.fixture(scope="module")
def eyes():
    cohort = population(6, 2, 3, workers=1)
    object.__setattr__(cohort, "split", np.where(np.arange(len(cohort)) == 0, "train", "test"))
    return cohort


def test_the_size_is_that_of_the_localiser(eyes):
    found = pupil_ratios(eyes.twin)
    slow = [eye.pupil_r / (32 / 1.4) for eye in map(locate, eyes.twin) if eye is not None]
    # 50 eyes: .018 at most
    assert len(slow) == len(eyes)
    assert found == pytest.approx(np.array(slow), abs=0.04)


def test_a_disc_by_hand():
    y, x = np.mgrid[:64, :64]
    radius = 32 / 1.4
    for ratio in (0.25, 0.4, 0.6):
        away = np.hypot(x - 31.5 + 0.02 * radius, y - 31.5 - 0.012 * radius)
        image = np.where(away < ratio * radius, 20, 90).astype(np.uint8)
        assert pupil_ratios(image[None])[0] == pytest.approx(ratio, abs=0.025)
    with pytest.raises(ValueError, match="square grey"):
        pupil_ratios(np.zeros((2, 8, 9), dtype=np.uint8))


def test_who_keeps_the_pupil_and_who_does_not(eyes):
    measure, test = PupilSize(ground_of(eyes)), eyes.of("test")
    same = measure.cells(exam_of(test.images))
    assert same["pupil_correlation"] == pytest.approx(100)
    assert same["pupil_difference"] == 0
    turned = test.images[::-1].copy()
    other = measure.cells(exam_of(turned))
    expected = spearmanr(pupil_ratios(turned), pupil_ratios(test.images)).statistic
    assert other["pupil_correlation"] == pytest.approx(100 * expected)
    assert other["pupil_difference"] > 0


def test_what_is_no_eye_is_not_measured():
    with pytest.raises(NotApplicable, match="pixels and more"):
        PupilSize(ground_of(confounded(patients=4, size=16)))
