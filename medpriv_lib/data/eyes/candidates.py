"""Where in an eye image pupil and iris may be: places with the radius of the pupil, the best first.

All in px of the voting copy, whose short side is 120 px.
"""

from functools import lru_cache

import cv2
import numpy as np

from medpriv_lib.data.eyes.circles import Circle
from medpriv_lib.data.eyes.quantiles import quantiles

RADII = 4.0 * 1.2 ** np.arange(14)  # 4 to 43
MORE_RADII = 4.0 * 1.2 ** np.arange(15)  # up to 51: an iris of 86 % of the short side
PUPIL_TO_IRIS = 2  # so many radii further: 1.44 times the pupil's or more
BESIDE = np.ones((5, 5), np.uint8)
ABOUT = 1.35  # an iris of known size votes at radii up to so many times larger or smaller


def vote(
    image: np.ndarray,
    candidates: int = 4,
    radii: np.ndarray = RADII,
    iris_r: float | None = None,
) -> list[Circle]:
    """Return likely places and pupil radii (x, y, r), the best first.

    With `iris_r`, only edges at about that radius vote for the iris.
    """
    iris = [
        iris_r is None or iris_r / ABOUT < outer < iris_r * ABOUT for outer in radii[PUPIL_TO_IRIS:]
    ]
    if not any(iris):
        return []
    last = int(np.flatnonzero(iris)[-1]) + 1  # larger pupils have no iris
    votes = _votes(image, radii[: last + PUPIL_TO_IRIS])
    total = np.zeros(image.shape, np.float32)  # squared
    limbus = np.zeros(image.shape, np.float32)  # the best vote of all radii that could be the iris
    both = np.empty(image.shape, np.float32)
    for i in reversed(range(last)):
        if iris[i]:
            wide = cv2.dilate(votes[i + PUPIL_TO_IRIS], BESIDE)
            np.maximum(limbus, wide, out=limbus)  # a little beside
        np.multiply(votes[i], limbus, out=both)
        np.maximum(total, both, out=total)
    np.sqrt(total, out=total)
    total *= _darkness(image)
    result: list[Circle] = []
    for _ in range(candidates):
        cy, cx = divmod(int(total.argmax()), image.shape[1])
        if total[cy, cx] <= 0:
            break
        radius = float(radii[_which(votes, iris[:last], cx, cy)])
        result.append((float(cx), float(cy), radius))
        cv2.circle(total, (cx, cy), round(4 + 0.3 * radius), 0.0, -1)
    return result


def _which(votes: np.ndarray, iris: list[bool], x: int, y: int) -> int:
    """Return the number of the radius that has most votes for a pupil at a place, and for an iris a
    little beside; the largest of those with as many.
    """
    beside = votes[PUPIL_TO_IRIS:, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].max(axis=(1, 2))
    limbus = np.maximum.accumulate(np.where(iris, beside, 0)[::-1])
    both = np.sqrt(votes[: len(iris), y, x][::-1] * limbus)
    return len(iris) - 1 - int(both.argmax())


@lru_cache(maxsize=16)
def _grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return column and row of each px, float32; nobody may write into them."""
    y, x = np.indices(shape, np.float32)
    return x, y


def _darkness(image: np.ndarray) -> np.ndarray:
    """Return how dark the surroundings are, .25 to 1.25: lashes are dark only here and there."""
    smooth: np.ndarray = cv2.GaussianBlur(image, (0, 0), 3)
    dark, bright = quantiles(smooth, (0.01, 0.6))
    np.subtract(bright, smooth, out=smooth)
    smooth /= bright - dark + 1e-6
    np.clip(smooth, 0, 1, out=smooth)
    smooth += 0.25
    return smooth


def _votes(image: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return for each radius how many edges are so far from a place, dark inside (radii, h, w)."""
    height, width = image.shape
    gx, gy = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(gx, gy)
    # saturating: a strong edge (lashes, glare) must not outvote several weak ones (the limbus)
    typical = quantiles(strength, (0.8,))[0] + 1e-6
    edge = np.flatnonzero(strength > 0.35 * typical)
    s = strength.ravel().take(edge)
    x, y = (one.ravel().take(edge) for one in _grid(image.shape))
    dx, dy = gx.ravel().take(edge) / s, gy.ravel().take(edge) / s
    weight = (s / (s + typical)).astype(np.float64)
    votes = np.empty((len(radii), height, width), dtype=np.float32)
    middle: np.ndarray = np.empty_like(s)
    column, row = np.empty((2, len(s)), np.int32)
    for i, r in enumerate(radii.astype(np.float32)):
        # what lies outside is counted in one column and one row more: as unsigned numbers those
        # left of the image and above it are large
        for at, away, size, whole in ((x, dx, width, column), (y, dy, height, row)):
            np.multiply(away, r, out=middle)
            np.subtract(at, middle, out=middle)
            middle += 0.5
            np.copyto(whole, middle, casting="unsafe")
            np.minimum(whole.view(np.uint32), size, out=whole.view(np.uint32))
        row *= width + 1
        row += column
        count = np.bincount(row, weight, (height + 1) * (width + 1))
        count = count.reshape(height + 1, width + 1)[:height, :width].astype(np.float32)
        # between count and share of the circle: shares would favour lashes, counts the lids;
        # blurred as far as centres scatter
        cv2.GaussianBlur(count, (0, 0), 1 + 0.08 * float(r), dst=votes[i])
        votes[i] /= np.float32(np.sqrt(r))
    return votes


def grid(shape: tuple[int, int]) -> list[Circle]:
    """Return places (x, y, r) seven px apart over the middle two thirds, with two pupil sizes each.

    A rare last resort.
    """
    rows, columns = (np.arange(side / 6, side * 5 / 6, 7) for side in shape)
    return [(float(x), float(y), r) for r in (10.0, 17.0) for y in rows for x in columns]
