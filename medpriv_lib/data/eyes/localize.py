"""Find the pupil and the iris of a near-infrared eye image as two circles.

Three steps, each on a copy of the image that is just large enough:
1. *vote* (short side 120 px): every edge pixel votes for the centres of circles that are darker
   inside (the fast radial symmetry transform of Loy and Zelinsky 2003, IEEE TPAMI 25:959). Pupil
   and limbus are both such circles with nearly the same centre, so a place with strong votes at two
   radii in the ratio of pupil to iris is a candidate.
2. *judge* (same copy): for the best candidates, the smoothed radial derivative of Daugman's
   integro-differential operator (1993, IEEE TPAMI 15:1148) along circles around them, for the pupil
   all round and for the limbus mainly left and right, where lids seldom reach.
3. *refine* (short side at most 240 px): per-angle edges near both circles, joined by a robust
   circle fit.

Nothing is tuned to one camera: lengths are shares of the image's short side, grey levels enter
through the image's own contrast and quantiles only, and bright and dark specks (glints of either
sign) are removed by a median.
"""

from functools import cache

import cv2
import numpy as np
from jaxtyping import UInt8

from medpriv_lib.data.eyes.eye import Eye

SMALLEST = 32  # px of the short side: the least that is looked at
VOTE_SIDE, REFINE_SIDE = 120, 240  # short sides of the two working copies, px
RADII = 4.0 * 1.2 ** np.arange(14)  # px of the voting copy: 4 to 43
PUPIL_TO_IRIS = 2  # so many radii further: 1.44 times the pupil's or more
IRIS_MIN = 13.0  # px of the voting copy: an iris less wide than a fifth of the short side is not looked for
IRIS_SURE = (
    24.0  # px of the voting copy: smaller circles must fit better, lashes make many small ones
)
RINGS = 1.6 * 1.03 ** np.arange(
    128
)  # radii in px of the voting copy along which candidates are judged, up to 68
RATIO = (0.16, 0.8)  # pupil over iris radius; eyes have .2 to .7
ANGLES = np.arange(64) * (2 * np.pi / 64)  # 0 is to the right, a quarter turn is down
MIN_SCORE = 0.17  # 119 of 120 synthetic eyes reach it; so do 6 of 40 chest X-rays (up to .20) and most noise


def locate(image: UInt8[np.ndarray, "h w"]) -> Eye | None:
    """Find pupil and iris in a grey eye image of any size from 32x32, or return None where there
    seems to be no eye.

    The iris must be at least a fifth of the short side wide. A burned-in label should be cut off
    before, though it rarely matters. Raises `ValueError` for an array that is not uint8 (H, W) or
    is smaller than 32x32.
    """
    return locate_scored(image)[0]


def locate_scored(image: UInt8[np.ndarray, "h w"]) -> tuple[Eye | None, float]:
    """Return what `locate` returns and its score: how strong, along both circles, the step from
    dark to bright is.

    0: nothing round; `MIN_SCORE` is the least that counts as an eye. The score is relative to the
    image's own contrast and orders images by how sure the finding is; it is no probability. Raises
    what `locate` raises.
    """
    if image.ndim != 2 or image.dtype != np.uint8 or min(image.shape) < SMALLEST:
        raise ValueError(
            f"locate needs a uint8 (H, W) image of at least 32x32, not {image.dtype} {image.shape}"
        )
    small, scale = _copy(image, VOTE_SIDE, shrink_only=False)
    score, best = _search(small)
    if (
        best is None
    ):  # large reflections can hide a small pupil: once more without anything up to 9 px of 120
        score, best = _search(cv2.medianBlur(small.astype(np.uint8), 9).astype(np.float32))
    if (
        best is None
    ):  # a grey, oval pupil (cataract) gathers few votes and is no blob: look everywhere in the middle
        score, best = _search(small, _grid(small.shape))
    if best is None:
        return None, score
    fine, fine_scale = _copy(image, REFINE_SIDE, shrink_only=True)
    pupil, iris = (_moved(circle, scale / fine_scale) for circle in best)
    pupil = _refine(fine, pupil, 0.35, _weights(0.5))
    iris = _refine(fine, iris, 0.16, _weights(0.1))
    return Eye(*_moved(pupil, fine_scale), *_moved(iris, fine_scale)), score


def _grid(shape: tuple[int, int]) -> list[tuple[float, float, float]]:
    """Return places (x, y, r) seven px apart over the middle two thirds, with two pupil sizes each.

    A rare last resort.
    """
    rows, columns = (np.arange(side / 6, side * 5 / 6, 7) for side in shape)
    return [(float(x), float(y), r) for r in (10.0, 17.0) for y in rows for x in columns]


def _search(small: np.ndarray, candidates: list | None = None) -> tuple[float, tuple | None]:
    """Return the best candidate's score in the voting copy and its two circles, or None where it is
    not good enough.
    """
    best, best_score = None, 0.0
    spread = float(np.quantile(small, 0.95) - np.quantile(small, 0.02)) + 1e-6
    for candidate in candidates or _vote(small) + _blobs(small):
        score, circles = _judge(small, spread, *candidate)
        if score > best_score:
            best, best_score = circles, score
    return best_score, best if best_score > MIN_SCORE else None


def _copy(image: np.ndarray, side: int, shrink_only: bool) -> tuple[np.ndarray, float]:
    """Return a float copy with the given short side, freed of specks, and how many image px one of
    its px is.
    """
    scale = min(image.shape) / side
    if scale <= 1 and shrink_only:
        return _without_specks(image), 1.0
    size = (max(8, round(image.shape[1] / scale)), max(8, round(image.shape[0] / scale)))
    way = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return _without_specks(cv2.resize(image, size, interpolation=way)), scale


def _without_specks(image: np.ndarray) -> np.ndarray:
    side = min(image.shape)
    window = (
        2 * round(side / 60) + 1
    )  # 5 px at 120, 9 at 240: a glint is about a fortieth of the side wide
    return cv2.GaussianBlur(cv2.medianBlur(image, max(3, window)), (0, 0), side / 120).astype(
        np.float32
    )


def _moved(circle: tuple[float, float, float], scale: float) -> tuple[float, float, float]:
    """Carry a circle over to a copy whose px are `1 / scale` as large; pixel middles are at whole
    numbers.
    """
    x, y, r = circle
    return float((x + 0.5) * scale - 0.5), float((y + 0.5) * scale - 0.5), float(r * scale)


def _vote(image: np.ndarray, candidates: int = 4) -> list[tuple[float, float, float]]:
    """Return likely places and pupil radii (x, y, r), the best first."""
    height, width = image.shape
    gx, gy = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(gx, gy)
    # saturating: a strong edge (lashes, glare) must not outvote several weak ones (the limbus)
    typical = float(np.quantile(strength, 0.8)) + 1e-6
    y, x = np.nonzero(strength > 0.35 * typical)
    s = strength[y, x]
    dx, dy, weight = gx[y, x] / s, gy[y, x] / s, s / (s + typical)
    votes = np.empty((len(RADII), height, width), dtype=np.float32)
    for i, r in enumerate(RADII):
        cx, cy = (x - r * dx + 0.5).astype(np.int32), (y - r * dy + 0.5).astype(np.int32)
        inside = (cx >= 0) & (cx < width) & (cy >= 0) & (cy < height)
        count = np.bincount((cy * width + cx)[inside], weight[inside], height * width).astype(
            np.float32
        )
        # between count and share of the circle: shares would favour lashes, counts the lids;
        # blurred as far as centres scatter
        votes[i] = cv2.GaussianBlur(
            count.reshape(height, width), (0, 0), 1 + 0.08 * r
        ) / np.float32(np.sqrt(r))
    total, radius = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    limbus = np.zeros(
        (height, width), np.float32
    )  # the best vote of all radii that could be the iris to this pupil
    for i in reversed(range(len(RADII) - PUPIL_TO_IRIS)):
        limbus = np.maximum(
            limbus, cv2.dilate(votes[i + PUPIL_TO_IRIS], np.ones((5, 5), np.uint8))
        )  # a little beside
        both = np.sqrt(votes[i] * limbus)
        radius[both > total] = RADII[i]
        total = np.maximum(total, both)
    smooth = cv2.GaussianBlur(image, (0, 0), 3)
    dark, bright = np.quantile(smooth, (0.01, 0.6))
    total *= 0.25 + np.clip(
        (bright - smooth) / (bright - dark + 1e-6), 0, 1
    )  # lashes are dark only here and there
    result = []
    for _ in range(candidates):
        cy, cx = np.unravel_index(total.argmax(), total.shape)
        if total[cy, cx] <= 0:
            break
        result.append((float(cx), float(cy), float(radius[cy, cx])))
        cv2.circle(total, (int(cx), int(cy)), round(4 + 0.3 * radius[cy, cx]), 0.0, -1)
    return result


def _blobs(image: np.ndarray) -> list[tuple[float, float, float]]:
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


def _weights(vertical: float) -> np.ndarray:
    """Return the weight of each angle.

    1 to the sides, down to `vertical` at top and bottom; the lower half counts more.
    """
    up, down = np.maximum(-np.sin(ANGLES), 0), np.maximum(np.sin(ANGLES), 0)
    reach = np.clip((up - 0.35) / 0.4, 0, 1) + np.clip((down - 0.6) / 0.35, 0, 1)
    weight = 1 - (1 - vertical) * reach
    return weight / weight.sum()


def _radial(image: np.ndarray, x: float, y: float, radii: np.ndarray) -> np.ndarray:
    """Sample (angles, radii) grey levels around a place; outside the image NaN."""
    px = (x + np.cos(ANGLES)[:, None] * radii).astype(np.float32)
    py = (y + np.sin(ANGLES)[:, None] * radii).astype(np.float32)
    levels = cv2.remap(
        image, px, py, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=-1e6
    )
    return np.where(levels < -0.5, np.nan, levels)


def _steps(levels: np.ndarray, width: int) -> np.ndarray:
    """Return the mean of `width` samples outside minus that inside, per angle and radius; 0 where
    that is not known.
    """
    total = np.zeros((levels.shape[0], levels.shape[1] + 1), dtype=levels.dtype)
    np.cumsum(levels, axis=1, out=total[:, 1:])
    mean = (
        total[:, width:] - total[:, :-width]
    ) / width  # mean[:, j] covers samples j .. j + width - 1
    step = np.zeros_like(levels)
    step[:, width : -width or None] = (mean[:, width:] - mean[:, :-width])[
        :, : levels.shape[1] - 2 * width
    ]
    return np.nan_to_num(step, nan=0.0)


def _ridges(step: np.ndarray, half: float, tolerance: int) -> np.ndarray:
    """Squash steps to -1 .. 1, `half` to a half, so that angles count rather than contrast, and
    keep the crests only.

    Otherwise the flank of the strong pupil edge is mistaken for a weak limbus beside it. The crests
    are then widened by `tolerance` samples, for pupils are not quite circles.
    """
    peak = cv2.dilate(step, np.ones((1, 15), np.uint8))
    squashed = step / (np.abs(step) + half)
    crest = np.where(step >= 0.8 * peak, squashed, np.minimum(squashed, 0))
    return cv2.dilate(crest, np.ones((1, 1 + 2 * tolerance), np.uint8))


def _judge(
    image: np.ndarray, spread: float, x: float, y: float, pupil: float
) -> tuple[float, tuple]:
    """Score a candidate and return its two circles, searched anew around it with Daugman's
    operator.

    `spread` is the contrast of the image in grey levels.
    """
    inner = _ridges(_steps(_radial(image, x, y, RINGS), 4), 0.06 * spread, 2)
    near = np.abs(np.log(RINGS / pupil)) < 0.3
    pupil_score, (dx, dy, pr) = _best_circle(inner, np.flatnonzero(near), 0.2, _weights(0.5))
    px, py = x + dx, y + dy
    irises = np.flatnonzero(
        (RINGS > max(pr / RATIO[1], 0.8 * IRIS_MIN)) & (RINGS < pr / RATIO[0]) & (RINGS < 58)
    )
    if len(irises) == 0:
        return 0.0, ()
    outer = _ridges(_steps(_radial(image, px, py, RINGS), 4), 0.04 * spread, 1)
    iris_score, (dx, dy, ir) = _best_circle(outer, irises, 0.1, _weights(0.1))
    return pupil_score * iris_score * min(1.0, ir / IRIS_SURE) ** 0.5, (
        (px, py, pr),
        (px + dx, py + dy, ir),
    )


@cache
def _shifts(reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 21 shifts (dx, dy) of a centre in radii, and by how many rings each moves the circle
    at every angle.
    """
    shifts = np.linspace(-reach, reach, 5)
    dx, dy = (a.ravel() for a in np.meshgrid(shifts, shifts))
    inside = np.abs(dx) + np.abs(dy) < 1.6 * reach  # no corners: 21 places
    dx, dy = dx[inside], dy[inside]
    wave = np.log1p(dx[:, None] * np.cos(ANGLES) + dy[:, None] * np.sin(ANGLES)) / np.log(
        RINGS[1] / RINGS[0]
    )
    return dx, dy, np.rint(wave).astype(np.int32)


def _best_circle(
    steps: np.ndarray, rings: np.ndarray, reach: float, weights: np.ndarray
) -> tuple[float, tuple[float, float, float]]:
    """Return the best mean step over circles of radii `RINGS[rings]` with centres within `reach` of
    r, and (dx, dy, r).

    `steps` (angles, RINGS). A circle shifted by (dx, dy) is, to first order, a sine in polar
    coordinates.
    """
    dx, dy, wave = _shifts(reach)
    at = rings[:, None, None] + wave  # (rings, 21, angles)
    at = np.clip(at, 0, len(RINGS) - 1) + np.arange(len(ANGLES)) * len(RINGS)
    scores = steps.ravel().astype(np.float32).take(at) @ weights.astype(np.float32)  # (rings, 21)
    scores = scores - 0.05 * np.hypot(dx, dy) / reach  # in doubt concentric
    best, place = np.unravel_index(scores.argmax(), scores.shape)
    r = RINGS[rings[best]]
    return float(scores[best, place]), (float(dx[place] * r), float(dy[place] * r), float(r))


def _refine(
    image: np.ndarray,
    circle: tuple[float, float, float],
    band: float,
    weights: np.ndarray,
    rounds: int = 3,
):
    """Move a circle to the strongest edge near it at each angle, by a weighted fit that forgets
    outlying angles.
    """
    x, y, r = circle
    for _ in range(rounds):
        half = max(3.0, band * r)
        width = max(2, round(half / 1.5))
        radii = np.arange(max(0.5, r - half) - width * 0.5, r + half + width * 0.5, 0.5)
        step = np.maximum(_steps(_radial(image, x, y, radii), width), 0)
        step *= np.exp(-0.5 * ((radii - r) / (0.6 * half)) ** 2)
        at = step.argmax(axis=1)
        height = step[np.arange(len(ANGLES)), at]
        edge = radii[at] + 0.5 * _parabola(step, at)
        trust = weights * np.minimum(height / (np.median(height) + 1e-6), 1)
        design = np.stack([np.cos(ANGLES), np.sin(ANGLES), np.ones_like(ANGLES)], axis=1)
        away = np.zeros_like(edge)
        for _ in range(5):  # iteratively reweighted least squares, Tukey's biweight
            sigma = 1.4826 * float(np.median(np.abs(away))) + 0.02 * r
            w = trust * np.maximum(1 - (away / (4 * sigma)) ** 2, 0) ** 2
            ridge = np.diag([0.05, 0.05, 0.0]) * w.sum()
            shift = np.linalg.solve(
                design.T @ (design * w[:, None]) + ridge + 1e-9 * np.eye(3), design.T @ (w * edge)
            )
            away = edge - design @ shift
        x, y, r = (
            x + float(shift[0]),
            y + float(shift[1]),
            float(np.clip(shift[2], r - half, r + half)),
        )
    return x, y, r


def _parabola(step: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the offset in samples, -0.5 to 0.5, of the parabola's peak through a maximum and its
    neighbours.
    """
    rows, inner = np.arange(len(at)), np.clip(at, 1, step.shape[1] - 2)
    before, here, after = step[rows, inner - 1], step[rows, inner], step[rows, inner + 1]
    bend = before - 2 * here + after
    offset = np.where(np.abs(bend) > 1e-9, 0.5 * (before - after) / np.where(bend == 0, 1, bend), 0)
    return np.where(inner == at, np.clip(offset, -0.5, 0.5), 0)
