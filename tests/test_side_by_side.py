"""Images in a row."""

import cv2
import numpy as np

from medpriv_lib.lessons.side_by_side import side_by_side


def test_images_stand_in_their_order_between_white_strips():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (8, 8), dtype=np.uint8) for _ in range(3)]
    row = side_by_side(images, 32, gap=4)
    assert row.shape == (32, 3 * (32 + 8))
    assert row.dtype == np.uint8
    for i, image in enumerate(images):
        part = row[:, 40 * i : 40 * (i + 1)]
        assert (part[:, :4] == 255).all()
        assert (part[:, -4:] == 255).all()
        large = cv2.resize(image, (32, 32), interpolation=cv2.INTER_CUBIC)
        assert np.array_equal(part[:, 4:-4], large)
