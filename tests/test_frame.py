"""The square that is kept: what stands beyond the image, and how much of it there is."""

import cv2
import numpy as np
import pytest

from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.data.frame import EMPTY, FADED, Frame, frame_of_eye

MIRRORED = cv2.BORDER_REFLECT_101  # what shows a second pupil


def _eye(x, y, shape=(240, 320), iris=80, pupil=34):
    """A crude eye with some noise."""
    image = np.full(shape, 180, np.float32)
    cv2.circle(image, (x, y), iris, 110, -1, cv2.LINE_AA)
    cv2.circle(image, (x, y), pupil, 20, -1, cv2.LINE_AA)
    image += np.random.default_rng(0).normal(0, 2, shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 1.5), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("colour", [False, True])
def test_without_missing_pixels_all_fillings_are_one(colour):
    image = _eye(160, 120)
    image = np.dstack([image, image // 2, image // 3]) if colour else image
    frame = Frame(40, 0, 240, True)
    assert frame.missing(image.shape) == 0
    plain = frame.cut(image, 64)
    for border in (MIRRORED, FADED, EMPTY):
        assert np.array_equal(frame.cut(image, 64, border), plain)
    assert plain.shape == ((64, 64, 3) if colour else (64, 64))


def test_missing_pixels_are_counted():
    assert Frame(-3, 5, 10, False).missing((20, 20)) == 3 * 10
    assert Frame(-3, -2, 10, False).missing((20, 20)) == 100 - 7 * 8
    assert Frame(15, 15, 10, False).missing((20, 20)) == 100 - 25
    assert Frame(50, 50, 10, False).missing((20, 20)) == 100


@pytest.mark.parametrize("border", [FADED, MIRRORED])
def test_faded_filling_shows_no_second_pupil(border):
    """The image ends 10 px below the pupil: mirrored, there is another one; faded, there is not."""
    image = _eye(160, 196)
    frame = frame_of_eye(Eye(160, 196, 34, 160, 196, 80), False)
    assert frame.missing(image.shape) > 0.2 * frame.side**2
    square = frame.cut(image, frame.side, border)
    below = square[240 - frame.top :, :]
    dark = (below < 60).sum()
    assert (dark > 2000) == (border == MIRRORED)
    if border == FADED:
        known = square[: 240 - frame.top]
        assert np.array_equal(known, frame.cut(image, frame.side, EMPTY)[: len(known)])
        assert abs(int(below[-1].mean()) - int(known.mean())) <= 3  # far out: the mean
        step = np.abs(below[0].astype(int) - known[-1])
        assert np.quantile(step, 0.95) <= 25  # at the border: its own levels go on


def test_faded_filling_keeps_what_the_localiser_found():
    image = _eye(160, 170)
    frame = frame_of_eye(Eye(160, 170, 34, 160, 170, 80), False)
    eye = locate(frame.cut(image, 128, FADED))
    assert eye is not None
    assert np.hypot(eye.iris_x - 63.5, eye.iris_y - 63.5) < 4


def test_nothing_known_and_tiny_squares_do_not_fail():
    image = _eye(160, 120)
    assert Frame(400, 400, 50, False).cut(image, 16, FADED).shape == (16, 16)
    assert Frame(-1, -1, 2, False).cut(image, 8, FADED).shape == (8, 8)
