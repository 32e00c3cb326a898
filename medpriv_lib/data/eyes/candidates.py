"""Where in an eye image pupil and iris may be: places with the radius of the pupil, the best first.

All in px of the voting copy, whose short side is 120 px.
"""

import cv2
import numpy as np

from medpriv_lib.data.eyes.circles import Circle
from medpriv_lib.data.eyes.quantiles import quantiles

RADII = 4.0 * 1.2 ** np.arange(14)  # 4 to 43
MORE_RADII = 4.0 * 1.2 ** np.arange(15)  # up to 51: an iris of 86 % of the short side
PUPIL_TO_IRIS = 2  # so many radii further: 1.44 times the pupil's or more
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
    votes = _votes(image, radii)
    total, radius = np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32)
    limbus = np.zeros(image.shape, np.float32)  # the best vote of all radii that could be the iris
    for i in reversed(range(len(radii) - PUPIL_TO_IRIS)):
        outer = radii[i + PUPIL_TO_IRIS]
        if iris_r is None or iris_r / ABOUT < outer < iris_r * ABOUT:
            wide = cv2.dilate(votes[i + PUPIL_TO_IRIS], np.ones((5, 5), np.uint8))
            limbus = np.maximum(limbus, wide)  # a little beside
        both = np.sqrt(votes[i] * limbus)
        radius[both > total] = radii[i]
        total = np.maximum(total, both)
    smooth = cv2.GaussianBlur(image, (0, 0), 3)
    dark, bright = quantiles(smooth, (0.01, 0.6))
    total *= 0.25 + np.clip(
        (bright - smooth) / (bright - dark + 1e-6), 0, 1
    )  # lashes are dark only here and there
    result: list[Circle] = []
    for _ in range(candidates):
        cy, cx = np.unravel_index(total.argmax(), total.shape)
        if total[cy, cx] <= 0:
            break
        result.append((float(cx), float(cy), float(radius[cy, cx])))
        cv2.circle(total, (int(cx), int(cy)), round(4 + 0.3 * radius[cy, cx]), 0.0, -1)
    return result


def _votes(image: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return for each radius how many edges are so far from a place, dark inside (radii, h, w)."""
    height, width = image.shape
    gx, gy = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(gx, gy)
    # saturating: a strong edge (lashes, glare) must not outvote several weak ones (the limbus)
    typical = quantiles(strength, (0.8,))[0] + 1e-6
    edge = np.flatnonzero(strength > 0.35 * typical)
    y, x = (one.astype(np.float32) for one in np.divmod(edge, width))
    s = strength.ravel()[edge]
    dx, dy, weight = gx.ravel()[edge] / s, gy.ravel()[edge] / s, s / (s + typical)
    votes = np.empty((len(radii), height, width), dtype=np.float32)
    for i, r in enumerate(radii.astype(np.float32)):
        cx, cy = (x - r * dx + 0.5).astype(np.int32), (y - r * dy + 0.5).astype(np.int32)
        # as unsigned numbers those left of the image and above it are large
        inside = (cx.view(np.uint32) < width) & (cy.view(np.uint32) < height)
        cy *= width
        cy += cx
        count = np.bincount(cy[inside], weight[inside], height * width).astype(np.float32)
        # between count and share of the circle: shares would favour lashes, counts the lids;
        # blurred as far as centres scatter
        votes[i] = cv2.GaussianBlur(
            count.reshape(height, width), (0, 0), 1 + 0.08 * float(r)
        ) / np.float32(np.sqrt(r))
    return votes


def blobs(image: np.ndarray) -> list[Circle]:
    """Return for each of four sizes the place (x, y, r) that is darkest against its surround.

    Oval pupils, few votes.
    """
    result = []
    for r in (6.0, 9.0, 13.0, 19.0):
        contrast = cv2.GaussianBlur(image, (0, 0), 1.2 * r) - cv2.GaussianBlur(
            image, (0, 0), 0.6 * r
        )
        y, x = np.unravel_index(contrast.argmax(), contrast.shape)
        result.append((float(x), float(y), r))
    return result


def grid(shape: tuple[int, int]) -> list[Circle]:
    """Return places (x, y, r) seven px apart over the middle two thirds, with two pupil sizes each.

    A rare last resort.
    """
    rows, columns = (np.arange(side / 6, side * 5 / 6, 7) for side in shape)
    return [(float(x), float(y), r) for r in (10.0, 17.0) for y in rows for x in columns]
