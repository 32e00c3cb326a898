"""Populations: in no cohort, the same whatever the workers, cut as a cohort is cut."""

from dataclasses import replace

import numpy as np
import pytest

from medpriv_lib.data import synthetic
from medpriv_lib.data.eyes.examine import examine
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.frame import EMPTY, FADED, frame_of_eye
from medpriv_lib.data.synthetic import FAMILIES, Capture, Hole, Identity, Pathology


@pytest.fixture(scope="module")
def people():
    return synthetic.population(10, 2, 7, FAMILIES, workers=1)


def test_one_worker_and_two_give_the_same_people(people):
    again = synthetic.population(10, 2, 7, FAMILIES, workers=2)
    assert again.hash() == people.hash()
    np.testing.assert_array_equal(again.twin, people.twin)
    np.testing.assert_array_equal(again.evidence, people.evidence)
    fewer = synthetic.population(5, 2, 7, FAMILIES, workers=1)
    first = people.take(people.patient < 5)
    np.testing.assert_array_equal(fewer.images, first.images)


def test_neither_person_nor_visit_tells_the_label(people):
    assert len(people) >= 17
    for person in np.unique(people.patient):
        rows = people.patient == person
        if rows.sum() == 2:
            assert people.diseased[rows].sum() == 1
            assert sorted(people.visit[rows].tolist()) == [1, 2]
    assert set(people.visit[people.diseased].tolist()) == {1, 2}
    assert set(people.eye.tolist()) == {"L", "R"}


def test_people_are_whole_in_one_split_and_in_no_cohort(people):
    sides = {p: set(people.split[people.patient == p].tolist()) for p in set(people.patient)}
    assert all(len(side) == 1 for side in sides.values())
    assert sorted({person for person, side in sides.items() if side == {"val"}}) == [4, 9]
    assert not set(people.patient_names.tolist()) & {f"{k:04d}" for k in range(1, 116)}
    cohort = {synthetic.person(k)[0].iris_seed for k in range(1, 116)}
    rng = np.random.default_rng([77_000_002, 7, 0])
    assert Identity.draw(rng, synthetic.VISITS).iris_seed not in cohort


def test_healthy_images_are_their_own_twins_and_signs_are_where_the_evidence_is(people):
    healthy = ~people.diseased
    np.testing.assert_array_equal(people.twin[healthy], people.images[healthy])
    assert not people.evidence[healthy].any()
    assert people.evidence[people.diseased].any(axis=(1, 2)).mean() > 0.7


def rendering(eye="L", magnification=1.0):
    identity = replace(Identity.draw(np.random.default_rng(5)), upper_lid=6.0, eye=eye)
    sick = Pathology(glaucoma=True, holes=(Hole(12.0, 0.6, 0.8),), haze=0.2)
    camera = replace(synthetic.COHORT_CAMERA, magnification=magnification)
    return synthetic.render_with_truth(identity, sick, Capture(camera=camera))


@pytest.mark.parametrize("eye", ["L", "R"])
def test_image_twin_and_evidence_go_through_one_frame(eye):
    """Slow twin: the frame by hand. Left and right of one person come out the same way round."""
    whole = rendering(eye)
    image, twin, evidence = synthetic.cut(whole)
    rows = len(whole.image) - strip_rows(whole.image)
    frame = frame_of_eye(examine(whole.image[:rows]).eye, eye == "R")
    np.testing.assert_array_equal(image, frame.cut(whole.image[:rows], 64, FADED))
    np.testing.assert_array_equal(twin, frame.cut(whole.twin[:rows], 64, FADED))
    mask = frame.cut(whole.evidence[:rows].astype(np.float32), 64, EMPTY) >= 0.5
    np.testing.assert_array_equal(evidence, mask)
    away = np.abs(image.astype(int) - twin)
    assert away[evidence].mean() > 8
    assert away[~evidence].mean() < 3
    assert synthetic.cut(whole, 128)[0].shape == (128, 128)


def test_a_right_eye_is_cut_as_its_mirror():
    left, right = (synthetic.cut(rendering(eye)) for eye in "LR")
    assert np.abs(left[0].astype(int) - right[0]).mean() < 4  # noise and a px of the frame


def test_what_is_no_eye_is_not_cut():
    whole = rendering()
    blank = replace(whole, image=np.full((480, 640), 120, np.uint8))
    assert synthetic.cut(blank) is None
    elsewhere = replace(whole, eye=replace(whole.eye, iris_x=whole.eye.iris_x + 60))
    assert synthetic.cut(elsewhere) is None  # a circle that is not the iris


def test_what_makes_no_population_is_refused():
    for people_, each, cameras in ((4, 1, None), (5, 0, None), (5, 1, {})):
        with pytest.raises(ValueError, match="at least 5 people"):
            synthetic.population(people_, each, 0, cameras)
