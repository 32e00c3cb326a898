"""Find the pupil in prepared eye images, many at a time.

`prepare` puts the iris where `frame_of_eye` says: in the middle, `1 / CROP_DIAMETERS` of the side
wide. So nothing but the pupil is left to be found, and Daugman's operator (1993, IEEE TPAMI
15:1148; the sharpest step from dark to bright along a circle) can simply try every circle there is.
`localize.locate`, which has to find an eye anywhere, takes some twenty times as long.
"""

import cv2
import numpy as np
from jaxtyping import UInt8

from medpriv_lib.data.eyes.eye import Eye

CROP_DIAMETERS = 1.4  # side of a prepared image in iris diameters
REACH = 0.15  # how far the pupil's centre may lie from the iris', in iris radii
RATIO = (0.16, 0.8)  # pupil over iris radius
SURE = 0.85  # of the iris radius: farther out sclera and lids may lie
FINE = 2  # circles are tried on a copy of so many times the size, at whole pixels
ANGLES = np.arange(40) * (2 * np.pi / 40)  # 0 is to the right, a quarter turn is down
LIDS = 0.5  # weight of the topmost angle beside the sides: a lid or lashes may lie there


def pupils(images: UInt8[np.ndarray, "n s s"]) -> list[Eye]:
    """Return pupil and iris of each prepared image; the iris is where `prepare` put it.

    Images are square, of at least 32 px. There is always an answer: what is no eye must be sorted
    out before, by `locate`. Raises `ValueError` for other shapes or types.
    """
    if images.ndim != 3 or images.dtype != np.uint8 or images.shape[1] != images.shape[2]:
        raise ValueError(
            f"pupils needs prepared grey images, uint8 (N, S, S), not {images.dtype} {images.shape}"
        )
    size = images.shape[1]
    if size < 32:
        raise ValueError(f"the images are {size} px wide; prepare them with 32 or more")
    places, radii, index = _circles(size)
    weight = 1 - (1 - LIDS) * np.maximum(-np.sin(ANGLES), 0)
    weight /= weight.sum()
    middle, iris = (size - 1) / 2, size / (2 * CROP_DIAMETERS)
    rows, columns = np.indices((size, size)) - middle
    outer = np.hypot(rows, columns) > SURE * iris
    found = []
    for image in images:
        x, y, r = _sharpest(_smooth(image, outer).ravel()[index] @ weight, places, radii)
        found.append(Eye(middle + x, middle + y, r, middle, middle, iris))
    return found


def _circles(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centres (C, 2) as (x, y) from the middle, radii (R,) in px of the image, and the
    places (C, R, angles) of the circles' pixels in the flattened fine copy.
    """
    iris, step = size / (2 * CROP_DIAMETERS), size / 64
    reach = np.arange(-REACH * iris, REACH * iris + 0.01, step)
    x, y = (axis.ravel() for axis in np.meshgrid(reach, reach))
    near = np.hypot(x, y) <= REACH * iris * 1.01
    places = np.stack([x[near], y[near]], axis=1)
    radii = np.arange(RATIO[0] * iris - 2 * step, RATIO[1] * iris + 2 * step, step / 2)
    centre = (size * FINE - 1) / 2
    rows = centre + FINE * (places[:, 1, None, None] + radii[:, None] * np.sin(ANGLES))
    columns = centre + FINE * (places[:, 0, None, None] + radii[:, None] * np.cos(ANGLES))
    rows, columns = (np.clip(np.rint(at), 0, size * FINE - 1) for at in (rows, columns))
    return places, radii, (rows * size * FINE + columns).astype(np.int64)


def _smooth(image: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Return the fine copy as float32, freed of glints and of all that is brighter than the iris.

    Lids and sclera are brighter, and their edges are as sharp as the pupil's; so no pixel is above
    the iris' upper quartile, and those outside (`outer`, bool like the image) are exactly that.
    """
    window = 2 * round(image.shape[0] / 60) + 1
    clean = cv2.GaussianBlur(cv2.medianBlur(image, max(3, window)), (0, 0), image.shape[0] / 90)
    iris = np.quantile(clean[~outer], 0.75)
    dark = np.where(outer, iris, np.minimum(clean, iris)).astype(np.float32)
    side = FINE * image.shape[0]
    return cv2.resize(dark, (side, side), interpolation=cv2.INTER_LINEAR)


def _sharpest(
    mean: np.ndarray, places: np.ndarray, radii: np.ndarray
) -> tuple[float, float, float]:
    """Return centre and radius of the circle with the largest step; `mean` (C, R) along circles.

    Between the radii that were tried a parabola through the best and its neighbours decides, and
    between the centres the mean of those nearly as good.
    """
    inner = mean[:, 1:-3] + mean[:, :-4]
    step = mean[:, 3:-1] + mean[:, 4:] - inner  # over four half-pixels, two on either side
    best, ring = np.unravel_index(step.argmax(), step.shape)
    good = np.maximum(step[:, ring] - 0.9 * step[best, ring], 0)
    # where nothing brightens outwards all centres are as good
    x, y = good @ places / good.sum() if step[best, ring] > 0 else (0.0, 0.0)
    ring = int(np.clip(ring, 1, step.shape[1] - 2))
    before, here, after = step[best, ring - 1 : ring + 2]
    bend = before - 2 * here + after
    shift = float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
    return float(x), float(y), float(radii[ring + 2] + shift * (radii[1] - radii[0]))
