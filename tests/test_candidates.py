"""Votes for pupils, beside votes that are counted one by one."""

import cv2
import numpy as np
import pytest

from medpriv_lib.data.eyes.candidates import ABOUT, MORE_RADII, PUPIL_TO_IRIS, RADII, vote


def slow_votes(image, radii):
    """One edge and one radius at a time."""
    height, width = image.shape
    gx, gy = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(gx, gy)
    typical = np.quantile(strength.astype(float), 0.8) + 1e-6
    votes = []
    for r in radii.astype(np.float32):
        count = np.zeros((height, width))
        for y, x in np.argwhere(strength > 0.35 * typical):
            s = strength[y, x]
            cx, cy = (
                int(np.float32(at) - r * (along[y, x] / s) + np.float32(0.5))
                for at, along in ((x, gx), (y, gy))
            )
            if 0 <= cx < width and 0 <= cy < height:
                count[cy, cx] += s / (s + np.float32(typical))
        blurred = cv2.GaussianBlur(count.astype(np.float32), (0, 0), 1 + 0.08 * float(r))
        votes.append(blurred / np.sqrt(r))
    return votes


def slow_vote(image, candidates, radii, iris_r):
    """Every pupil's votes with the best of those that could be its iris; the best places."""
    votes = slow_votes(image, radii)
    total, radius = np.zeros(image.shape, np.float32), np.zeros(image.shape)
    for i in reversed(range(len(radii) - PUPIL_TO_IRIS)):
        limbus = np.zeros(image.shape, np.float32)
        for j in range(i + PUPIL_TO_IRIS, len(radii)):
            if iris_r is None or iris_r / ABOUT < radii[j] < iris_r * ABOUT:
                limbus = np.maximum(limbus, cv2.dilate(votes[j], np.ones((5, 5), np.uint8)))
        both = np.sqrt(votes[i] * limbus)
        radius[both > total] = radii[i]
        total = np.maximum(total, both)
    smooth = cv2.GaussianBlur(image, (0, 0), 3)
    dark, bright = np.quantile(smooth.astype(float), (0.01, 0.6))
    total *= 0.25 + np.clip((bright - smooth) / (bright - dark + 1e-6), 0, 1)
    found = []
    for _ in range(candidates):
        y, x = np.unravel_index(total.argmax(), total.shape)
        if total[y, x] <= 0:
            break
        found.append((float(x), float(y), float(radius[y, x])))
        cv2.circle(total, (int(x), int(y)), round(4 + 0.3 * radius[y, x]), 0.0, -1)
    return found


def drawing(seed, shape=(120, 160)):
    """A pupil in an iris somewhere, lashes and noise."""
    rng = np.random.default_rng(seed)
    image = np.full(shape, 180, np.float32)
    place = tuple(int(v) for v in rng.integers(20, (shape[1] - 20, shape[0] - 20)))
    for r, level in ((int(rng.integers(25, 45)), 110.0), (int(rng.integers(6, 20)), 25.0)):
        cv2.circle(image, place, r, level, -1)
    for x in rng.integers(0, shape[1], 12).tolist():
        cv2.line(image, (x, 0), (x + int(rng.integers(-9, 9)), 40), 50.0, 1)
    image = cv2.GaussianBlur(image + rng.normal(0, 4, shape), (0, 0), 1)
    return np.rint(image).clip(0, 255).astype(np.float32)


@pytest.mark.parametrize(
    ("candidates", "radii", "iris_r"),
    [(4, RADII, None), (10, MORE_RADII, None), (10, MORE_RADII, 30.0), (4, RADII, 9.0)],
)
def test_votes_are_those_counted_one_by_one(candidates, radii, iris_r):
    for seed in range(2):
        image = drawing(seed, (60, 75) if seed else (80, 64))
        assert vote(image, candidates, radii, iris_r) == slow_vote(image, candidates, radii, iris_r)


def test_nothing_votes_in_a_blank_image_or_for_an_iris_of_no_radius():
    assert vote(np.full((120, 160), 90, np.float32)) == []
    assert vote(drawing(0), iris_r=500.0) == []
