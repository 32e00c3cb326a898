"""Small scenes for the tests of sign transfer: a dark or bright square on eyes of noise."""

import cv2
import numpy as np

from medpriv_lib.privatizers.sign_transfer.scenes import EYES, KINDS, Scenes
from medpriv_lib.privatizers.strangers import Strangers


def noise(rng, *shape):
    """Return smooth noise around 120, a pattern for every image."""
    flat = rng.normal(size=(int(np.prod(shape[:-2])), *shape[-2:]))
    soft = np.stack([cv2.GaussianBlur(one, (0, 0), 2.0) for one in flat])
    return np.clip(120 + 25 * soft / soft.std(), 0, 255).reshape(shape).astype(np.uint8)


def square_scenes(count=24, size=32, seed=0):
    """Return scenes where the disease darkens a square of 6 px, at one of many places."""
    rng = np.random.default_rng(seed)
    twins = noise(rng, count, EYES, size, size)
    images, evidence = twins.copy(), np.zeros(twins.shape, dtype=bool)
    for scene in range(count):
        top, left = rng.integers(2, size - 8, 2)
        images[scene, :, top : top + 6, left : left + 6] = 20
        evidence[scene, :, top : top + 6, left : left + 6] = True
    kinds = np.zeros((count, len(KINDS)), dtype=bool)
    kinds[np.arange(count), np.arange(count) % len(KINDS)] = True
    ratio = rng.uniform(0.3, 0.5, count).astype(np.float32)
    camera = np.array(["cohort", "first"])[np.arange(count) % 2]
    return Scenes(images, twins, evidence, ratio, kinds, camera)


def noise_strangers(people=9, size=32, seed=9):
    """Return strangers of noise, two images each."""
    images = noise(np.random.default_rng(seed), 2 * people, size, size)
    return Strangers(images, np.tile(np.float32([0.3, 0.5]), people))
