"""Circles in polar coordinates: steps from dark to bright along rays, and circles that fit them.

Levels along rays lie in arrays (radii, rays): the same radius of all rays is contiguous, so that
sums along the rays are taken for many rays at once.
"""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

Circle = tuple[float, float, float]  # x, y, r in px

ANGLES = np.arange(64) * (2 * np.pi / 64)  # 0 is to the right, a quarter turn is down
COS, SIN = np.cos(ANGLES), np.sin(ANGLES)
EVERY = np.arange(len(ANGLES))
MANY_RAYS = 4 * len(ANGLES)  # for so many a loop over the radii takes least
CREST = 7  # rings: a crest has nothing higher within so many
UNIT_X, UNIT_Y = COS.astype(np.float32), SIN.astype(np.float32)
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
    """Sample (radii, angles) grey levels around a place; outside the image NaN."""
    px = radii.astype(np.float32)[:, None] * UNIT_X
    px += np.float32(x)
    return sampled(image, px, radii[:, None] * UNIT_Y + y)


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
    if levels.min() < -0.5:
        levels[levels < -0.5] = np.nan
    return levels


def steps(levels: np.ndarray, width: int, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Return the mean of `width` samples outside minus that inside, per radius from `start` to
    `stop` and ray; 0 where that is not known.
    """
    count = len(levels)
    stop = count if stop is None else stop
    total = _sums(levels)
    first, last = max(start, width), min(stop, count - width)
    # mean[j] covers samples first - width + j .. first + j - 1
    mean = total[first : last + width] - total[first - width : last]
    mean /= width
    step = np.zeros((stop - start, levels.shape[1]), levels.dtype)
    np.subtract(mean[width:], mean[:-width], out=step[first - start : last - start])
    if np.isnan(total[-1]).any():  # what lies outside stays in the sum up to its end
        step[np.isnan(step)] = 0
    return step


def _sums(levels: np.ndarray) -> np.ndarray:
    """Return the sums (radii + 1, rays) along each ray of all samples before a radius, added up one
    after the other.
    """
    total = np.zeros((len(levels) + 1, levels.shape[1]), levels.dtype)
    if levels.shape[1] > MANY_RAYS:
        for before, here, after in zip(total[:-1], levels, total[1:], strict=True):
            np.add(before, here, out=after)
    else:  # two rays at once, as the parts of complex numbers
        pairs = np.complex64
        np.cumsum(levels.view(pairs), axis=0, out=total[1:].view(pairs))
    return total


def ridges(step: np.ndarray, half: float, tolerance: int) -> np.ndarray:
    """Squash steps (radii, rays) to -1 .. 1, `half` to a half, so that angles count rather than
    contrast, and keep the crests only.

    Otherwise the flank of the strong pupil edge is mistaken for a weak limbus beside it. The crests
    are then widened by `tolerance` samples, for pupils are not quite circles.
    """
    peak: np.ndarray = cv2.dilate(step, np.ones((1 + 2 * CREST, 1), np.uint8))
    peak *= 0.8
    squashed = np.abs(step)
    squashed += half
    np.divide(step, squashed, out=squashed)
    crest = cv2.threshold(squashed, 0, 0, cv2.THRESH_TRUNC)[1]
    cv2.copyTo(squashed, (step >= peak).view(np.uint8), crest)
    return cv2.dilate(crest, np.ones((1 + 2 * tolerance, 1), np.uint8))


class Shifts(NamedTuple):
    """Shifts (dx, dy) of a centre in radii, 21 of them, what each costs, by how many rings a
    shifted circle is farther out at each angle, (21, angles), and the least and the most of that.
    """

    dx: np.ndarray
    dy: np.ndarray
    price: np.ndarray
    wave: np.ndarray
    least: int
    most: int


@cache
def shifts(reach: float) -> Shifts:
    """Return the shifts by up to so many radii; nobody may write into them."""
    along = np.linspace(-reach, reach, 5)
    dx, dy = (a.ravel() for a in np.meshgrid(along, along))
    inside = np.abs(dx) + np.abs(dy) < 1.6 * reach  # no corners: 21 places
    dx, dy = dx[inside], dy[inside]
    wave = np.log1p(dx[:, None] * COS + dy[:, None] * SIN) / np.log(RINGS[1] / RINGS[0])
    wave = np.rint(wave).astype(np.intp)
    price = 0.05 * np.hypot(dx, dy) / reach  # in doubt concentric
    return Shifts(dx, dy, price, wave, int(wave.min()), int(wave.max()))


@cache
def _places(reach: float) -> np.ndarray:
    """Return where in flattened (rings, angles), which begin with the innermost that a shift can
    touch, the samples of each ring's circle lie: (RINGS, 21, angles).
    """
    tried = shifts(reach)
    ring = np.arange(len(RINGS))[:, None, None] + tried.wave - tried.least
    return ring * len(ANGLES) + EVERY


def best_circle(
    edges: np.ndarray, rings: np.ndarray, reach: float, weights: np.ndarray
) -> tuple[float, Circle]:
    """Return the best mean step over circles of radii `RINGS[rings]` with centres within `reach` of
    r, and (dx, dy, r).

    `edges` (angles, RINGS). A circle shifted by (dx, dy) is, to first
    order, a sine in polar coordinates.
    """
    return best_ring(edges.T, 0, rings, reach, weights)


def best_ring(
    edges: np.ndarray, start: int, rings: np.ndarray, reach: float, weights: np.ndarray
) -> tuple[float, Circle]:
    """Return what `best_circle` returns; `edges` (rings, angles) hold the rings from `start` on
    that shifts of `rings` can touch. What is beside the first and the last of all is like them.
    """
    tried = shifts(reach)
    first, last = int(rings[0]), int(rings[-1]) + 1
    inner, outer = first + tried.least, last + tried.most
    if inner >= 0 and outer <= len(RINGS):
        flat = np.ascontiguousarray(edges[inner - start : outer - start], np.float32).ravel()
    else:
        touched = np.minimum(np.maximum(np.arange(inner, outer), 0), len(RINGS) - 1)
        flat = edges[touched - start].astype(np.float32, copy=False).ravel()
    places = _places(reach)[: last - first]
    if len(rings) < last - first:
        places = places[rings - first]
    scores = flat.take(places) @ weights.astype(np.float32) - tried.price
    best, place = divmod(int(scores.argmax()), scores.shape[1])  # of (rings, 21)
    r = float(RINGS[rings[best]])
    return float(scores[best, place]), (float(tried.dx[place]) * r, float(tried.dy[place]) * r, r)


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
        step = steps(radial(image, x, y, radii), width)
        np.maximum(step, 0, out=step)
        step *= np.exp(-0.5 * ((radii - r) / (0.6 * half)) ** 2)[:, None]
        at = step.argmax(axis=0)
        height = step[at, EVERY]
        edge = radii[at] + 0.5 * _parabola(step, at)
        trust = weights * np.minimum(height / (_median(height) + 1e-6), 1)
        away, shift = np.zeros_like(edge), (0.0, 0.0, before_r)
        for _ in range(5):  # iteratively reweighted least squares, Tukey's biweight
            sigma = 1.4826 * _median(np.abs(away)) + 0.02 * r
            away /= 4 * sigma
            away *= away
            w = np.maximum(np.subtract(1, away, out=away), 0, out=away)
            w *= w
            w *= trust
            before, shift = shift, fitted(edge, w)
            away = edge - DESIGN @ np.array(shift)
            a, b, c = (now - then for now, then in zip(shift, before, strict=True))
            if max(abs(a), abs(b), abs(c)) < SETTLED:
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
    cc, cs, c, ss, s, n = (w @ PRODUCTS).tolist()
    u, v, t = ((w * edge) @ DESIGN).tolist()
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
    neighbours. `step` (radii, angles), `at` the place of the maximum of each angle.
    """
    inner = np.minimum(np.maximum(at, 1), len(step) - 2)
    place = inner * len(ANGLES) + EVERY
    before, here, after = (step.take(place + shift) for shift in (-len(ANGLES), 0, len(ANGLES)))
    bend = before - 2 * here + after
    offset = np.zeros_like(bend)
    np.divide(0.5 * (before - after), bend, out=offset, where=np.abs(bend) > 1e-9)
    np.minimum(np.maximum(offset, -0.5, out=offset), 0.5, out=offset)
    offset[inner != at] = 0
    return offset
