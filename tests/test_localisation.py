"""Whether signs stand where they stood."""

import cv2
import numpy as np
import pytest
from cohorts_with_visits import confounded, exam_of, ground_of

from medpriv_lib.measures.localisation import Localisation, hits, softened


def test_softened_maps_correlate_as_numpy_says():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 12, 12))
    for one, two, x, y in zip(a, b, softened(a), softened(b), strict=True):
        blur = [
            cv2.GaussianBlur(np.abs(m), (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
            for m in (one, two)
        ]
        expected = np.corrcoef(blur[0].ravel(), blur[1].ravel())[0, 1]
        assert (x * y).sum() == pytest.approx(expected)
    assert not softened(np.zeros((1, 8, 8))).any()
    assert not softened(np.full((1, 8, 8), 7.0)).any()


def test_hits_are_counted_and_ties_share():
    mask = np.zeros((1, 4, 4), dtype=bool)
    mask[0, 0, :2] = True
    change = np.zeros((1, 4, 4))
    change[0, 0, 0], change[0, 3, 3] = -9, 5
    assert hits(change, mask) == pytest.approx([0.5])
    assert hits(np.zeros((1, 4, 4)), mask) == pytest.approx([2 / 16])  # by chance
    assert np.isnan(hits(change, np.zeros((1, 4, 4), dtype=bool)))


def test_signs_that_stay_that_move_and_that_are_painted_anywhere():
    cohort = confounded()
    measure, test = Localisation(ground_of(cohort)), cohort.of("test")
    stay = measure.cells(exam_of(test.images, test.twin))
    assert stay["localisation"] == pytest.approx(100)
    assert stay["localisation_hits"] > 99
    assert stay["localisation_others"] < 60
    signs = test.images.astype(int) - test.twin
    moved = np.clip(test.twin + np.roll(signs, 16, axis=2), 0, 255)
    assert measure.cells(exam_of(moved, test.twin))["localisation"] < 40
    flat = measure.cells(exam_of(test.twin, test.twin))
    assert flat["localisation"] == 0
    everywhere = np.clip(test.twin + signs[test.diseased].mean(axis=0), 0, 255)
    painted = measure.cells(
        exam_of(np.where(test.diseased[:, None, None], everywhere, test.twin), test.twin)
    )
    # a mean sign is no nearer to the own places than to others'
    assert abs(painted["localisation"] - painted["localisation_others"]) < 25
    assert stay["localisation"] - stay["localisation_others"] > 40
