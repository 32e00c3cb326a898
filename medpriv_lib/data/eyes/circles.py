"""Circles in polar coordinates: steps from dark to bright along rays, and circles that fit them."""

from functools import cache

import cv2
import numpy as np

Circle = tuple[float, float, float]  # x, y, r in px

ANGLES = np.arange(64) * (2 * np.pi / 64)  # 0 is to the right, a quarter turn is down
COS, SIN = np.cos(ANGLES), np.sin(ANGLES)
UNIT_X, UNIT_Y = COS.astype(np.float32)[:, None], SIN.astype(np.float32)[:, None]
SETTLED = 0.001  # px of the copy: a fit that moves less has arrived
DESIGN = np.stack([COS, SIN, np.ones_like(ANGLES)], axis=1)  # of a circle's shift and growth
# the six different entries of the products of its columns
PRODUCTS = np.stack([COS * COS, COS * SIN, COS, SIN * SIN, SIN, np.ones_like(ANGLES)], axis=1)
# radii in px of the voting copy along which candidates are judged, up to 68
RINGS = 1.6 * 1.03 ** np.arange(128)


@cache
def weights_of(vertical: float) -> np.ndarray:
    """Return the weight of each angle; nobody may write into what is returned.

    1 to the sides, down to `vertical` at top and bottom; the lower half counts more.
    """
    up, down = np.maximum(-np.sin(ANGLES), 0), np.maximum(np.sin(ANGLES), 0)
    reach = np.clip((up - 0.35) / 0.4, 0, 1) + np.clip((down - 0.6) / 0.35, 0, 1)
    weight = 1 - (1 - vertical) * reach
    weight /= weight.sum()
    weight.flags.writeable = False
    return weight


def radial(image: np.ndarray, x: float, y: float, radii: np.ndarray) -> np.ndarray:
    """Sample (angles, radii) grey levels around a place; outside the image NaN."""
    return sampled(image, UNIT_X * radii.astype(np.float32) + x, UNIT_Y * radii + y)


def sampled(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the grey levels, float32, at places (rows, columns) in px; outside the image NaN."""
    levels = cv2.remap(
        image,
        x.astype(np.float32, copy=False),
        y.astype(np.float32, copy=False),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=-1e6,
    )
    outside = levels < -0.5
    if outside.any():
        levels[outside] = np.nan
    return levels


def steps(levels: np.ndarray, width: int) -> np.ndarray:
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
    if np.isnan(total[:, -1]).any():  # what lies outside stays in the sum up to its end
        step[np.isnan(step)] = 0
    return step


def ridges(step: np.ndarray, half: float, tolerance: int) -> np.ndarray:
    """Squash steps to -1 .. 1, `half` to a half, so that angles count rather than contrast, and
    keep the crests only.

    Otherwise the flank of the strong pupil edge is mistaken for a weak limbus beside it. The crests
    are then widened by `tolerance` samples, for pupils are not quite circles.
    """
    peak = cv2.dilate(step, np.ones((1, 15), np.uint8))
    squashed = step / (np.abs(step) + half)
    crest = np.where(step >= 0.8 * peak, squashed, np.minimum(squashed, 0))
    return cv2.dilate(crest, np.ones((1, 1 + 2 * tolerance), np.uint8))


@cache
def _shifts(reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return 21 shifts (dx, dy) of a centre in radii, what each costs, and where in flattened
    (angles, RINGS) the samples of each ring's circle lie then: (RINGS, 21, angles).
    """
    shifts = np.linspace(-reach, reach, 5)
    dx, dy = (a.ravel() for a in np.meshgrid(shifts, shifts))
    inside = np.abs(dx) + np.abs(dy) < 1.6 * reach  # no corners: 21 places
    dx, dy = dx[inside], dy[inside]
    wave = np.log1p(dx[:, None] * COS + dy[:, None] * SIN) / np.log(RINGS[1] / RINGS[0])
    at = np.arange(len(RINGS))[:, None, None] + np.rint(wave).astype(np.intp)
    at = np.clip(at, 0, len(RINGS) - 1) + np.arange(len(ANGLES)) * len(RINGS)
    return dx, dy, 0.05 * np.hypot(dx, dy) / reach, at  # in doubt concentric


def best_circle(
    edges: np.ndarray, rings: np.ndarray, reach: float, weights: np.ndarray
) -> tuple[float, Circle]:
    """Return the best mean step over circles of radii `RINGS[rings]` with centres within `reach` of
    r, and (dx, dy, r).

    `edges` (angles, RINGS). A circle shifted by (dx, dy) is, to first
    order, a sine in polar coordinates.
    """
    dx, dy, price, at = _shifts(reach)
    in_turn = len(rings) == rings[-1] + 1 - rings[0]
    tried = at[rings[0] : rings[-1] + 1] if in_turn else at[rings]  # a part needs no copy
    flat = np.ascontiguousarray(edges, dtype=np.float32).ravel()
    scores = flat.take(tried) @ weights.astype(np.float32) - price  # (rings, 21)
    best, place = divmod(int(scores.argmax()), scores.shape[1])
    r = RINGS[rings[best]]
    return float(scores[best, place]), (float(dx[place] * r), float(dy[place] * r), float(r))


def refine(
    image: np.ndarray,
    circle: Circle,
    band: float,
    weights: np.ndarray,
    rounds: int = 3,
) -> Circle:
    """Move a circle to the strongest edge near it at each angle, by a weighted fit that forgets
    outlying angles.
    """
    x, y, r = circle
    for _ in range(rounds):
        before_r = r
        half = max(3.0, band * r)
        width = max(2, round(half / 1.5))
        radii = np.arange(max(0.5, r - half) - width * 0.5, r + half + width * 0.5, 0.5)
        step = np.maximum(steps(radial(image, x, y, radii), width), 0)
        step *= np.exp(-0.5 * ((radii - r) / (0.6 * half)) ** 2)
        at = step.argmax(axis=1)
        height = step[np.arange(len(ANGLES)), at]
        edge = radii[at] + 0.5 * _parabola(step, at)
        trust = weights * np.minimum(height / (_median(height) + 1e-6), 1)
        away, shift = np.zeros_like(edge), (0.0, 0.0, before_r)
        for _ in range(5):  # iteratively reweighted least squares, Tukey's biweight
            sigma = 1.4826 * _median(np.abs(away)) + 0.02 * r
            w = trust * np.maximum(1 - (away / (4 * sigma)) ** 2, 0) ** 2
            before, shift = shift, fitted(edge, w)
            away = edge - DESIGN @ shift
            if max(abs(a - b) for a, b in zip(shift, before, strict=True)) < SETTLED:
                break
        x, y = x + shift[0], y + shift[1]
        r = min(max(shift[2], before_r - half), before_r + half)
        if max(abs(shift[0]), abs(shift[1]), abs(shift[2] - before_r)) < SETTLED:
            break
    return float(x), float(y), float(r)


def fitted(edge: np.ndarray, w: np.ndarray) -> tuple[float, float, float]:
    """Return the weighed least-squares shift (dx, dy) and radius of a circle with the distance
    `edge` at each angle; shifts are held back by a twentieth of all weight.

    The three equations are solved by Cramer's rule: that takes a tenth of a solver's time.
    """
    cc, cs, c, ss, s, n = (float(value) for value in w @ PRODUCTS)
    u, v, t = (float(value) for value in (w * edge) @ DESIGN)
    cc, ss, n = cc + 0.05 * n + 1e-9, ss + 0.05 * n + 1e-9, n + 1e-9
    first, second, third = ss * n - s * s, c * s - cs * n, cs * s - c * ss
    whole = cc * first + cs * second + c * third
    return (
        (u * first + v * second + t * third) / whole,
        (u * second + v * (cc * n - c * c) + t * (c * cs - cc * s)) / whole,
        (u * third + v * (c * cs - cc * s) + t * (cc * ss - cs * cs)) / whole,
    )


def _median(values: np.ndarray) -> float:
    """Return the median of one value for each angle; numpy's own takes ten times as long."""
    ordered = np.sort(values)
    middle = len(ordered) // 2
    return float(ordered[middle - 1] + ordered[middle]) / 2


def _parabola(step: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the offset in samples, -0.5 to 0.5, of the parabola's peak through a maximum and its
    neighbours.
    """
    rows, inner = np.arange(len(at)), np.clip(at, 1, step.shape[1] - 2)
    before, here, after = step[rows, inner - 1], step[rows, inner], step[rows, inner + 1]
    bend = before - 2 * here + after
    offset = np.where(np.abs(bend) > 1e-9, 0.5 * (before - after) / np.where(bend == 0, 1, bend), 0)
    return np.where(inner == at, np.clip(offset, -0.5, 0.5), 0)
