"""The median by a sorting network, beside OpenCV's and beside sorted levels."""

import cv2
import numpy as np
import pytest

from medpriv_lib.data.eyes.median import median9


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (9, 9), (64, 64), (150, 237), (200, 200)])
def test_the_median_is_opencvs(shape):
    images = [picture(*shape, seed) for seed in range(3)]
    images += [images[0] // 64 * 64, np.where(images[0] < 128, 0, 255).astype(np.uint8)]
    images.append(cv2.GaussianBlur(images[0], (0, 0), 3))
    for image in images:
        np.testing.assert_array_equal(median9(image), cv2.medianBlur(image, 9))


def test_the_median_is_the_middle_of_81_sorted_levels():
    image = picture(20, 17)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(image, 4, "edge"), (9, 9))
    slow = np.sort(around.reshape(20, 17, 81), axis=2)[:, :, 40]
    np.testing.assert_array_equal(median9(image), slow)
