"""Dark spots by matrix products, beside the two blurs that they stand for."""

import cv2
import numpy as np
import pytest

from medpriv_lib.data.eyes import blobs as module
from medpriv_lib.data.eyes.blobs import NARROW, WIDE, blobs, plain_blob, product


def slow_blob(image, r):
    """The place of the largest difference between the image blurred over 1.2 and over 0.6 radii."""
    contrast = cv2.GaussianBlur(image, (0, 0), 1.2 * r) - cv2.GaussianBlur(image, (0, 0), 0.6 * r)
    y, x = np.unravel_index(contrast.argmax(), contrast.shape)
    return float(x), float(y), r


def pictures():
    """Noise of four sizes, spots in noise, a spot in a corner, stripes, and nothing."""
    rng = np.random.default_rng(4)
    for number in range(16):
        shape = (120, int(rng.integers(120, 300)))
        image = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), (1, 3, 8, 20)[number % 4])
        image = 255 * (image - image.min()) / np.ptp(image)
        if number % 3:
            x, y = int(rng.integers(0, shape[1])), int(rng.integers(0, 120))
            cv2.circle(image, (x, y), int(rng.integers(5, 25)), 0.0, -1)
        yield np.rint(image).astype(np.float32)
    corner = np.full((120, 160), 200, np.float32)
    corner[:20, :20] = 10
    yield from (corner, corner.T.copy())
    yield np.tile(np.float32([0, 0, 0, 255, 255, 255] * 20), (160, 1))  # many that are equal
    yield np.full((120, 160), 77, np.float32)


def test_spots_are_those_of_the_two_blurs():
    for image in pictures():
        assert blobs(image) == [slow_blob(image, r) for r in (NARROW, *WIDE)]


def test_a_place_that_is_nearly_as_dark_is_left_to_the_blurs(monkeypatch):
    """Two spots alike, and one of them a hundred-thousandth of a level darker: rounding decides."""
    asked = []
    monkeypatch.setattr(module, "plain_blob", lambda *a: asked.append(a[1]) or plain_blob(*a))
    image = np.full((120, 240), 200, np.float32)
    for x in (60, 179):
        cv2.circle(image, (x, 60), 12, 20.0, -1)
    image[60, 179] -= 1e-5
    assert blobs(image) == [slow_blob(image, r) for r in (NARROW, *WIDE)]
    assert {9.0, 13.0} <= set(asked)


def test_no_pixel_exceeds_those_worked_out_first_by_more_than_is_allowed():
    """The worst images for the bound: the sign of the kernel's second differences, and noise."""
    rng = np.random.default_rng(5)
    for r in WIDE:
        tables = module._tables(120, 160, r)
        for number in range(30):
            image = rng.choice(np.float32([0, 255]), (120, 160))
            if number % 2:
                image = 255 * (cv2.GaussianBlur(image, (0, 0), 0.7 * r) > 127).astype(np.float32)
            contrast = cv2.GaussianBlur(image, (0, 0), 1.2 * r) - cv2.GaussianBlur(
                image, (0, 0), 0.6 * r
            )
            y, x = np.unravel_index(contrast.argmax(), contrast.shape)
            near = contrast[
                tables.rows[np.abs(tables.rows - y).argmin()],
                tables.columns[np.abs(tables.columns - x).argmin()],
            ]
            assert contrast.max() - near <= 255 * tables.excess


@pytest.mark.parametrize("shape", [(1, 5, 3), (120, 120, 170), (77, 340, 57), (3, 900, 400)])
def test_a_product_in_pieces_is_a_product(shape):
    rng = np.random.default_rng(6)
    a, b = (rng.normal(size=one).astype(np.float32) for one in (shape[:2], shape[1:]))
    np.testing.assert_allclose(product(a, b), a @ b, atol=1e-3)


def test_a_long_image_is_blurred():
    image = np.random.default_rng(7).integers(0, 255, (120, 400)).astype(np.float32)
    assert blobs(image) == [slow_blob(image, r) for r in (NARROW, *WIDE)]
