"""What prepared eyes look like in eleven numbers, to lay invented ones beside real ones."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from medpriv_lib.data.frame import CROP_DIAMETERS

QUANTILES = (0.05, 0.5, 0.95)
NAMES = (
    *("pupil", "iris", "sd in iris", "sclera - iris", "lower skin", "upper lid"),
    *("pupil/iris", "sharpness", "glint px", "saturated"),
)

# Quantiles of five public research sets of real near-infrared eyes that were prepared to 64x64 in
# the same way (none of their images is here). A: close-ups, sharp, black pupil, the iris fills the
# frame; B: one lamp, bright skin; C: wide view, some spectacles; D: ring of eight lamps, bright
# iris; E: dark irises.
Quantiles = tuple[float, float, float]
REAL: dict[str, dict[str, Quantiles]] = {
    name: dict(zip(NAMES, rows, strict=True))
    for name, rows in {
        "A": (
            *((0, 0, 1), (54, 91, 117), (8.6, 14, 33), (51, 78, 105), (97, 156, 218)),
            *((39, 92, 182), (0.25, 0.40, 0.55), (9.5, 18, 34), (8, 230, 419), (0, 0, 0)),
        ),
        "B": (
            *((16, 20, 27), (62, 87, 110), (5.7, 9.9, 16), (51, 71, 112), (155, 187, 222)),
            *((139, 196, 227), (0.35, 0.45, 0.55), (5.0, 7.2, 13), (4, 18, 205), (0, 0, 0)),
        ),
        "C": (
            *((16, 16, 21), (43, 60, 83), (5.0, 12, 29), (47, 84, 136), (98, 181, 240)),
            *((87, 238, 240), (0.25, 0.35, 0.45), (5.8, 9.9, 16), (5, 14, 99), (0, 0, 0)),
        ),
        "D": (
            *((52, 89, 127), (70, 172, 193), (5.9, 9.3, 14), (25, 41, 110), (151, 216, 255)),
            *((158, 235, 255), (0.10, 0.40, 0.50), (5.7, 8.8, 14), (12, 162, 353), (0, 0.12, 0.3)),
        ),
        "E": (
            *((21, 26, 31), (49, 65, 88), (4.4, 9.2, 19), (59, 107, 156), (98, 155, 203)),
            *((73, 138, 208), (0.10, 0.20, 0.40), (4.2, 6.6, 11), (6, 10, 41), (0, 0, 0.05)),
        ),
    }.items()
}


def darkest(images: UInt8[np.ndarray, "n s s"]) -> Float[np.ndarray, " n"]:
    """Return the lowest level within half the iris radius: what haze over the pupil raises."""
    size = images.shape[1]
    v, u = np.mgrid[:size, :size] - (size - 1) / 2
    within = np.hypot(u, v) < 0.5 * size / (2 * CROP_DIAMETERS)
    return images[:, within].min(axis=1).astype(float)


def appearance(images: UInt8[np.ndarray, "n s s"]) -> dict[str, Float[np.ndarray, " n"]]:
    """Return by name, for squares of 1.4 iris diameters around the iris, one number an image.

    `pupil`: the level that two fifths of the pixels within .2 of the iris radius lie below; `iris`,
    `sd in iris` and `sharpness` (mean absolute Laplacian): in the ring from .6 to .9 of it, within
    35 degrees of left and right; `sclera - iris`: those sectors from 1.15 outwards less the iris;
    `lower skin` and `upper lid`: the medians of the last and the first tenth of the rows;
    `pupil/iris`: the largest radius whose ring lies below the middle between pupil and iris;
    `glint px`: pixels 80 levels above the pupil within .6; `saturated`: the share of levels of 254
    and more. Levels 0..255; numbers that count pixels are for the size given.
    """
    size = images.shape[1]
    unit = size / (2 * CROP_DIAMETERS)  # the iris radius in px
    v, u = np.mgrid[:size, :size] - (size - 1) / 2
    radius, side = np.hypot(u, v) / unit, np.abs(v) < np.tan(np.deg2rad(35)) * np.abs(u)
    ring, white = side & (radius > 0.6) & (radius < 0.9), side & (radius > 1.15)
    stack = images.astype(np.float32)
    iris, tenth = stack[:, ring], size // 10
    pupil = np.quantile(stack[:, radius < 0.2], 0.4, axis=1)  # lamps stand there, too
    detail = np.stack([np.abs(cv2.Laplacian(image, cv2.CV_32F))[ring].mean() for image in stack])
    level = iris.mean(axis=1)
    columns = (
        pupil,
        level,
        iris.std(axis=1),
        stack[:, white].mean(axis=1) - level,
        np.median(stack[:, -tenth:].reshape(len(stack), -1), axis=1),
        np.median(stack[:, :tenth].reshape(len(stack), -1), axis=1),
        _pupil_ratio(stack, radius, pupil, level),
        detail,
        (stack[:, radius < 0.6] > pupil[:, None] + 80).sum(axis=1).astype(float),
        (stack >= 254).mean(axis=(1, 2)),
    )
    return dict(zip(NAMES, columns, strict=True))


def _pupil_ratio(
    stack: np.ndarray, radius: np.ndarray, pupil: np.ndarray, level: np.ndarray
) -> Float[np.ndarray, " n"]:
    steps = np.arange(0.05, 0.8, 0.05)
    rings = np.stack(
        [
            np.median(stack[:, (radius >= low - 0.025) & (radius < low + 0.025)], axis=1)
            for low in steps
        ],
        axis=1,
    )
    dark = rings < ((pupil + level) / 2)[:, None]
    last = np.where(dark.any(axis=1), len(steps) - 1 - dark[:, ::-1].argmax(axis=1), 0)
    return steps[last]


def quantiles(images: UInt8[np.ndarray, "n s s"]) -> dict[str, Quantiles]:
    """Return the quantiles .05, .5 and .95 of every number of `appearance`."""
    found = appearance(images)
    return {name: tuple(np.quantile(values, QUANTILES)) for name, values in found.items()}
