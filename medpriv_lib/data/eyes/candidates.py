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
BIN = 2  # px: votes are counted in bins of so many, which is less than centres scatter
BESIDE = np.ones((3, 3), np.uint8)
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
    votes = votes_of(image, radii)
    total, radius = np.zeros(votes.shape[1:], np.float32), np.zeros(votes.shape[1:], np.float32)
    limbus = np.zeros(votes.shape[1:], np.float32)  # the best vote of all radii of an iris
    for i in reversed(range(len(radii) - PUPIL_TO_IRIS)):
        outer = radii[i + PUPIL_TO_IRIS]
        if iris_r is None or iris_r / ABOUT < outer < iris_r * ABOUT:
            wide = cv2.dilate(votes[i + PUPIL_TO_IRIS], BESIDE)  # a little beside
            limbus = np.maximum(limbus, wide)
        both = np.sqrt(votes[i] * limbus)
        radius[both > total] = radii[i]
        total = np.maximum(total, both)
    smooth = cv2.GaussianBlur(halved(image), (0, 0), 3 / BIN)
    dark, bright = quantiles(smooth, (0.01, 0.6))
    total *= 0.25 + np.clip(
        (bright - smooth) / (bright - dark + 1e-6), 0, 1
    )  # lashes are dark only here and there
    result: list[Circle] = []
    peaks = total.copy()
    for _ in range(candidates):
        y, x = np.unravel_index(total.argmax(), total.shape)
        if total[y, x] <= 0:
            break
        result.append((*_peak(peaks, int(x), int(y), BIN), float(radius[y, x])))
        cv2.circle(total, (int(x), int(y)), round((4 + 0.3 * radius[y, x]) / BIN), 0.0, -1)
    return result


def votes_of(image: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return for each radius how many edges are so far from a place, dark inside, for each bin of
    2 x 2 px: (radii, ceil(h / 2), ceil(w / 2)).
    """
    height, width = ((side + BIN - 1) // BIN for side in image.shape)
    gx, gy = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(gx, gy)
    # saturating: a strong edge (lashes, glare) must not outvote several weak ones (the limbus)
    typical = quantiles(strength[::2, ::2], (0.8,))[0] + 1e-6
    strong = strength > 0.35 * typical
    # as on the white fields of a chessboard: neighbours vote alike
    strong[::2, ::2] = strong[1::2, 1::2] = False
    edge = np.flatnonzero(strong)
    s = strength.ravel()[edge]
    y, x = np.divmod(edge, image.shape[1])
    x, y = ((one.astype(np.float32) + 0.5) / BIN for one in (x, y))
    dx, dy = gx.ravel()[edge] / (BIN * s), gy.ravel()[edge] / (BIN * s)
    weight = (s / (s + typical)).astype(np.float64)
    votes = np.empty((len(radii), height, width), dtype=np.float32)
    for i, r in enumerate(radii.astype(np.float32)):
        # around the image lies a margin of bins that is cut off in the end: so no vote is asked
        # where it goes
        margin = int(r / BIN) + 2
        across, down = width + 2 * margin, height + 2 * margin
        place = (y - (r * dy - margin)).astype(np.int32)  # all above 0: towards 0 is down
        place *= across
        place += (x - (r * dx - margin)).astype(np.int32)
        count = np.bincount(place, weight, across * down).reshape(down, across)
        inner = count[margin : margin + height, margin : margin + width]
        # between count and share of the circle: shares would favour lashes, counts the lids;
        # blurred as far as centres scatter
        cv2.GaussianBlur(
            inner.astype(np.float32), (0, 0), (1 + 0.08 * float(r)) / BIN, dst=votes[i]
        )
        votes[i] /= np.float32(np.sqrt(r))
    return votes


def halved(image: np.ndarray) -> np.ndarray:
    """Return the means of 2 x 2 px; an odd last row or column is repeated."""
    height, width = image.shape
    if height % 2 or width % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _peak(values: np.ndarray, x: int, y: int, px: int) -> tuple[float, float]:
    """Return where a map of bins, `px` wide, peaks around a bin, in px of the image: by a parabola
    along each axis.
    """
    places = []
    for line, at in ((values[y], x), (values[:, x], y)):
        off = 0.0
        if 0 < at < len(line) - 1:
            before, here, after = (float(value) for value in line[at - 1 : at + 2])
            bend = before - 2 * here + after
            off = min(0.5, max(-0.5, 0.5 * (before - after) / bend)) if bend < 0 else 0.0
        places.append(px * (at + off + 0.5) - 0.5)
    return places[0], places[1]


def blobs(image: np.ndarray) -> list[Circle]:
    """Return for each of four sizes the place (x, y, r) that is darkest against its surround.

    Oval pupils, few votes. The larger ones are looked for among the means of 4 x 4 px.
    """
    result = []
    half = halved(image)
    for copy, px, radii in ((half, BIN, (6.0, 9.0)), (halved(half), 2 * BIN, (13.0, 19.0))):
        for r in radii:
            contrast = cv2.GaussianBlur(copy, (0, 0), 1.2 * r / px) - cv2.GaussianBlur(
                copy, (0, 0), 0.6 * r / px
            )
            y, x = np.unravel_index(contrast.argmax(), contrast.shape)
            result.append((*_peak(contrast, int(x), int(y), px), r))
    return result


def grid(shape: tuple[int, int]) -> list[Circle]:
    """Return places (x, y, r) seven px apart over the middle two thirds, with two pupil sizes each.

    A rare last resort.
    """
    rows, columns = (np.arange(side / 6, side * 5 / 6, 7) for side in shape)
    return [(float(x), float(y), r) for r in (10.0, 17.0) for y in rows for x in columns]
