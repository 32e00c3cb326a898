"""Bright signs, dark signs and the pupil's shape, each by itself."""

import numpy as np
import pytest
from cohorts_with_visits import confounded, exam_of, ground_of

from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.data.frame import frame_of_eye
from medpriv_lib.data.synthetic import Capture, Identity, Pathology, render
from medpriv_lib.measures.kinds_of_signs import KindsOfSigns, kinds, pupil_edges


def test_kinds_share_out_the_signs():
    rng = np.random.default_rng(0)
    signs = rng.normal(size=(3, 8, 8)) * (rng.random((3, 8, 8)) < 0.5)
    edge = rng.random((3, 8, 8)) < 0.3
    found = kinds(signs, edge)
    assert np.array_equal(sum(one.astype(int) for one in found.values()), (signs != 0).astype(int))
    assert (signs[found["bright"]] > 0).all()
    assert (signs[found["dark"]] < 0).all()
    assert edge[found["shape"]].all()


def test_who_keeps_haze_and_no_hole_has_all_of_the_bright_and_none_of_the_dark():
    cohort = confounded()
    test = cohort.of("test")
    bright = np.maximum(test.images, test.twin)
    cells = KindsOfSigns(ground_of(cohort)).cells(exam_of(bright, test.twin))
    assert cells["evidence_bright"] == pytest.approx(100)
    assert cells["evidence_dark"] == 0
    assert cells["evidence_bright_n"] >= 7
    assert cells["evidence_dark_n"] >= 7
    inverted = KindsOfSigns(ground_of(cohort)).cells(exam_of(test.twin, test.images))
    assert inverted["evidence_dark"] == pytest.approx(-100)


def test_the_ring_lies_on_the_pupils_edge():
    rng = np.random.default_rng(3)
    image = render(Identity.draw(rng), Pathology(), Capture(pupil_ratio=0.45))
    found = locate(image)
    small = frame_of_eye(found, right=False).cut(image, 64)
    (ring,) = pupil_edges(small[None])
    inside, outside = small[28:36, 28:36], ring
    assert inside.mean() < 70
    eye = locate(small)
    y, x = np.nonzero(outside)
    away = np.hypot(x - eye.pupil_x, y - eye.pupil_y)
    assert np.abs(away - eye.pupil_r).max() <= 2 + 1e-9
    assert outside.sum() > 2 * np.pi * eye.pupil_r * 3


def test_where_no_eye_is_found_there_is_no_ring():
    assert not pupil_edges(np.full((2, 64, 64), 120, dtype=np.uint8)).any()
    assert not pupil_edges(np.full((1, 16, 16), 120, dtype=np.uint8)).any()
