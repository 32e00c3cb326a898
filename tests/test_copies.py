"""Working copies of an eye image are those that OpenCV's own functions make, level by level."""

import cv2
import numpy as np
import pytest

from medpriv_lib.data.eyes.copies import copy_for, resized, size_for, smooth, without_specks


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


@pytest.mark.parametrize("side", [120, 240])
def test_small_copies_are_means_over_the_image(side):
    rng = np.random.default_rng(1)
    shapes = [(452, 640), (480, 640), (720, 1280), (360, 360), (640, 452), (241, 700), (960, 963)]
    shapes += [tuple(rng.integers(250, 900, 2)) for _ in range(40)]
    for height, width in shapes:
        image = picture(int(height), int(width))
        size, scale = size_for(image.shape, side)
        assert min(size) == side
        assert scale == min(image.shape) / side
        plain = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(resized(image, size), plain)
        left, right = sorted(rng.integers(0, size[1], 2))
        part = slice(int(left), int(right) + 1)
        np.testing.assert_array_equal(
            resized(image, size, part.start, part.stop)[:, part], plain[:, part]
        )


def test_a_small_image_is_enlarged_between_its_pixels():
    image = picture(70, 91)
    plain = cv2.resize(image, (156, 120), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(resized(image, (120, 156)), plain)


@pytest.mark.parametrize("sigma", [0.3, 0.99, 1.0, 1.3, 2.0, 2.7])
def test_the_blur_is_opencvs(sigma):
    images = [picture(60, 77), np.full((50, 60), 255, np.uint8), np.zeros((13, 13), np.uint8)]
    images.append(np.where(picture(40, 40) < 128, 0, 255).astype(np.uint8))
    for image in images:
        plain = cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32)
        np.testing.assert_array_equal(smooth(image, sigma), plain)


@pytest.mark.parametrize(("shape", "side"), [((452, 640), 120), ((452, 640), 240), ((90, 99), 120)])
def test_a_copy_without_specks_is_a_median_and_a_blur(shape, side):
    image = cv2.GaussianBlur(picture(*shape), (0, 0), 2)
    size, scale = size_for(shape, side)
    small = resized(image, size)
    window = {120: 5, 240: 9}[side]
    plain = cv2.GaussianBlur(cv2.medianBlur(small, window), (0, 0), side / 120)
    found, found_scale = copy_for(image, side)
    np.testing.assert_array_equal(found, plain.astype(np.float32))
    np.testing.assert_array_equal(found, without_specks(small, side))
    assert found.dtype == np.float32
    assert found_scale == scale
