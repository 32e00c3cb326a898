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


def appearance(images: UInt8[np.ndarray, "n s s"]) -> dict[str, Float[np.ndarray, " n"]]:
    """Return by name, for squares of 1.4 iris diameters around the iris, one number an image.

    `pupil`: the median level within .15 of the iris radius; `iris`, `sd in iris` and `sharpness`
    (mean absolute Laplacian): in the ring from .6 to .9 of it, within 35 degrees of left and right;
    `sclera - iris`: the same sectors from 1.1 to 1.35 less the iris; `lower skin` and `upper lid`:
    the medians of the last and the first tenth of the rows; `pupil/iris`: the largest radius whose
    ring lies below the middle between pupil and iris; `glint px`: pixels 80 levels above the pupil
    within .6; `saturated`: the share of levels of 254 and more. Levels 0..255; numbers that count
    pixels are for the size given.
    """
    size = images.shape[1]
    unit = size / (2 * CROP_DIAMETERS)  # the iris radius in px
    v, u = np.mgrid[:size, :size] - (size - 1) / 2
    radius, side = np.hypot(u, v) / unit, np.abs(v) < np.tan(np.deg2rad(35)) * np.abs(u)
    ring, white = side & (radius > 0.6) & (radius < 0.9), side & (radius > 1.1) & (radius < 1.35)
    stack = images.astype(np.float32)
    iris, tenth = stack[:, ring], size // 10
    pupil = np.median(stack[:, radius < 0.15], axis=1)
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


def quantiles(images: UInt8[np.ndarray, "n s s"]) -> dict[str, tuple[float, float, float]]:
    """Return the quantiles .05, .5 and .95 of every number of `appearance`."""
    found = appearance(images)
    return {name: tuple(np.quantile(values, QUANTILES)) for name, values in found.items()}  # type: ignore[misc]
