"""The skin around an eye as near-infrared pictures show it: drawing 2 of a camera.

Lines, folds and wet spots run along the lids: they are drawn in the lids' own coordinates, place
along the margin and distance from it, and so follow a lid that closes.
"""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float

from medpriv_lib.data.synthetic.scene import Scene

PX_PER_MM = 16.0
LID = (320, 720)  # rows: 20 mm away from the margin; columns: 45 mm along it
Field = Float[np.ndarray, "h w"]


@lru_cache(maxsize=3)
def lid_texture(skin_seed: int) -> Float[np.ndarray, "2 h w 2"]:
    """Return, for the upper and the lower lid, [0] folds and pores in grey levels around 0 and [1]
    wet spots, 0 and more, by distance from the margin (rows) and place along it (columns).
    """
    rng = np.random.default_rng([skin_seed, 21])
    lids = []
    for lid in range(2):
        relief = 5 * _field(rng, 40, 70) + 4 * _field(rng, 10, 40) + 2.5 * _field(rng, 4, 9)
        relief += 2.2 * _field(rng, 1.6, 2.2) + 1.6 * _field(rng, 0.8, 0.9)
        for width, depth in ((8.0, 9.0), (4.0, 6.0), (2.2, 4.0)):
            lines = np.exp(-((_field(rng, width, 11 * width) / 0.16) ** 2))
            relief -= depth * lines * np.clip(_field(rng, 20, 50) + 0.8, 0, 2)
        tiles = _field(rng, 2.0, 2.6) * np.clip(_field(rng, 18, 30) + 0.6, 0, 2)
        relief += (1.5 if lid == 0 else 3.0) * tiles
        grain = np.clip(_field(rng, 1.3, 3.2) - 0.9, 0, 3) + 0.8 * np.clip(
            _field(rng, 2.2, 8) - 1.0, 0, 3
        )
        grain += 0.7 * np.clip(_field(rng, 0.9, 1.2) - 1.3, 0, 3)
        wet = grain * np.clip(_field(rng, 14, 36) + 0.2, 0, 2.2)
        wet += 0.9 * cv2.GaussianBlur(wet, (0, 0), 2.5) + 0.9 * cv2.GaussianBlur(wet, (0, 0), 9)
        lids.append(np.dstack([relief, wet]))
    return np.stack(lids).astype(np.float32)


def _field(rng: np.random.Generator, rows: float, columns: float) -> Field:
    """Noise of mean 0 and deviation 1, blurred by rows x columns px."""
    steps = [max(1.0, sigma / 1.5) for sigma in (rows, columns)]
    shape = [int(np.ceil(size / step)) + 2 for size, step in zip(LID, steps, strict=True)]
    field: np.ndarray = rng.standard_normal(shape, dtype=np.float32)
    field = cv2.GaussianBlur(field, (0, 0), sigmaX=columns / steps[1], sigmaY=rows / steps[0])
    field = cv2.resize(field, LID[::-1], interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / (field.std() + 1e-9)


def skin(scene: Scene, relief: Field, wet: Field) -> Field:
    """Return the skin of both lids. `relief` and `wet` as the first drawing has them."""
    identity, camera = scene.identity, scene.capture.camera
    above, below = -scene.below_upper, -scene.above_lower
    upper = above > below
    away = np.where(upper, above, below)
    folds, spots = _along(scene, upper, away)
    out = np.clip(away, 0, None)
    contrast = identity.skin_contrast * identity.texture_contrast
    level = identity.skin_level + camera.skin_offset + 0.8 * relief + contrast * folds
    # the lids are rounded: bright where they face the camera, darker where they turn away
    turn = (scene.x / (0.5 * identity.fissure_width)) ** 2
    level += np.where(
        upper,
        camera.upper_offset + 12 * np.exp(-(((away / identity.crease - 0.5) / 0.45) ** 2)),
        8 * np.exp(-(((away - 1.6) / 1.3) ** 2)) - 9 * np.exp(-(((away - 5.5) / 2.2) ** 2)),
    )
    level -= 7 * np.clip(turn, 0, 2.5)
    level -= _fold(scene, above, upper, relief)
    shine = np.where(
        upper,
        1.1 * np.exp(-(((away - 1.1) / 1.0) ** 2))
        + 0.7 * np.exp(-(((away - identity.crease) / 1.4) ** 2))
        + 0.06,
        1.0 * np.exp(-(((away - 0.5) / 0.7) ** 2))
        + 0.5 * np.exp(-(((away - 2.6) / 2.0) ** 2))
        + 0.1,
    )
    level += 34 * identity.wetness * shine * (spots + 0.25 * wet)
    # the lash line is dark above; below, the margin is a pale wet ledge and then a soft shadow
    line = 85 * np.exp(-out / 0.30) + 18 * np.exp(-out / 1.1)
    level -= np.where(
        upper,
        line * np.clip(level / 190, 0, 1),  # of a dark lid it takes less
        16 * np.exp(-(((out - 0.75) / 0.3) ** 2)) - 14 * np.exp(-((out / 0.35) ** 2)),
    )
    knee = 200.0
    return np.where(level > knee, knee + 52 * np.tanh((level - knee) / 52), level)


def _along(scene: Scene, upper: np.ndarray, away: Field) -> tuple[Field, Field]:
    """Return folds and wet spots of every pixel, from its lid's own coordinates."""
    lids = lid_texture(scene.identity.skin_seed)
    columns = ((scene.x + 22.5) * np.float32(PX_PER_MM)).astype(np.float32)
    rows = (np.clip(away, 0, None) * np.float32(PX_PER_MM)).astype(np.float32)
    found = [
        cv2.remap(lid, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for lid in lids
    ]
    chosen = np.where(upper[..., None], *found)
    return chosen[..., 0], chosen[..., 1]


def _fold(scene: Scene, above: Field, upper: np.ndarray, relief: Field) -> Field:
    """Return how much darker the lid's fold and two lesser ones beside it are."""
    identity = scene.identity
    shift = identity.crease * (1 - 0.0012 * scene.x**2) + 0.02 * relief
    total = np.zeros_like(above)
    for place, depth, width in ((1.0, 1.0, 0.42), (0.72, 0.3, 0.22), (1.35, 0.35, 0.3)):
        off = above - place * shift
        total += depth * np.exp(-((off / width) ** 2)) + 0.25 * depth * np.exp(
            -(((off + 1.0) / 1.2) ** 2)
        )
    return np.where(upper, 1.1 * identity.crease_depth * total, 0)
