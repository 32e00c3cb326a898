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

import cv2
import numpy as np
from jaxtyping import UInt8

from medpriv_lib.data.eyes.blobs import blobs
from medpriv_lib.data.eyes.candidates import grid, vote
from medpriv_lib.data.eyes.circles import (
    ANGLES,
    CREST,
    RINGS,
    UNIT_X,
    UNIT_Y,
    Circle,
    best_ring,
    radial,
    refine,
    ridges,
    sampled,
    shifts,
    steps,
    weights_of,
)
from medpriv_lib.data.eyes.copies import copy_for, resized, size_for, without_specks
from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.eyes.quantiles import quantiles

SMALLEST = 32  # px of the short side: the least that is looked at
VOTE_SIDE, REFINE_SIDE = 120, 240  # short sides of the two working copies, px
# px of the voting copy: an iris less wide than a fifth of the short side is not looked for
IRIS_MIN = 13.0
# px of the voting copy: smaller circles must fit better, lashes make many small ones
IRIS_SURE = 24.0
IRIS_MAX = 58.0
RATIO = (0.16, 0.8)  # pupil over iris radius; eyes have .2 to .7
# 119 of 120 synthetic eyes reach it; so do 6 of 40 chest X-rays (up to .20) and most noise
MIN_SCORE = 0.17
# the rings' samples around a centre, (RINGS, angles)
RINGS_X, RINGS_Y = (RINGS.astype(np.float32)[:, None] * unit for unit in (UNIT_X, UNIT_Y))
WIDTH = 4  # rings on either side of an edge
REACH = 0.3  # a pupil is looked for at radii up to e**.3 times smaller and larger: 20 or 21 rings
BESIDE = 24  # rings beside those that the search may touch
PART = 21 + 2 * BESIDE
AT_ONCE = 16  # candidates that are sampled together
SURROUNDINGS = 1.5  # radii of the iris around its middle in which both circles are refined
AROUND = 1.28  # an iris that is looked for by its size may be so many times larger or smaller

Pair = tuple[Circle, Circle]  # pupil and iris


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
    check_image(image)
    return located(image, *copy_for(image, VOTE_SIDE))


def located(
    image: UInt8[np.ndarray, "h w"], small: np.ndarray, scale: float
) -> tuple[Eye | None, float]:
    """Return what `locate_scored` returns, with the voting copy and its scale at hand."""
    score, best = _search(small, vote(small) + blobs(small))
    if (
        best is None
    ):  # large reflections can hide a small pupil: once more without specks up to 9 px
        plain = cv2.medianBlur(small.astype(np.uint8), 9).astype(np.float32)
        score, best = _search(plain, vote(plain) + blobs(plain))
    if best is None:  # a grey, oval pupil (cataract) gathers few votes and is no blob: everywhere
        score, best = _search(small, grid(small.shape))
    return (None if best is None else refined(image, best, scale)), score


def check_image(image: np.ndarray) -> None:
    """Raise `ValueError` for anything but a grey image of at least 32x32."""
    if image.ndim != 2 or image.dtype != np.uint8 or min(image.shape) < SMALLEST:
        raise ValueError(
            f"locate needs a uint8 (H, W) image of at least 32x32, not {image.dtype} {image.shape}"
        )


def _search(small: np.ndarray, candidates: list[Circle]) -> tuple[float, Pair | None]:
    """Return the best candidate's score in the voting copy and its two circles, or None where it is
    not good enough.
    """
    spread = _spread(small)
    pupils = _pupils(small, spread, candidates)
    best: tuple[float, int, Pair | None] = (0.0, 1, None)
    for number in sorted(range(len(pupils)), key=lambda i: -abs(pupils[i][0])):
        # no iris makes more of a pupil: those that are left cannot be better
        if 1.1 * abs(pupils[number][0]) < best[0]:
            break
        score, pair = _iris(small, spread, *pupils[number], None)
        best = max(best, (score, -number, pair), key=lambda one: one[:2])
    return best[0], best[2] if best[0] > MIN_SCORE else None


def search(
    small: np.ndarray, candidates: list[Circle], iris_r: float | None = None
) -> list[tuple[float, Pair | None]]:
    """Return the scores and circles of the candidates, the best first, at least one.

    `iris_r`, in px of the copy, is the size of iris that is looked for where it is known.
    """
    spread = _spread(small)
    pupils = _pupils(small, spread, candidates)
    found = [_iris(small, spread, *pupil, iris_r) for pupil in pupils]
    return sorted([*found, (0.0, None)], key=lambda pair: -pair[0])


def _spread(small: np.ndarray) -> float:
    """Return the contrast of the image in grey levels."""
    low, high = quantiles(small, (0.02, 0.95))
    return high - low + 1e-6


def refined(image: UInt8[np.ndarray, "h w"], pair: Pair, scale: float) -> Eye:
    """Return two circles of the voting copy, moved to the edges beside them, in px of the image."""
    size, fine_scale = size_for(image.shape, REFINE_SIDE)
    if fine_scale <= 1:
        size, fine_scale = image.shape, 1.0
    pupil, iris = (moved(circle, scale / fine_scale) for circle in pair)
    # specks are removed around the circles only: that takes longer than all else here
    reach = SURROUNDINGS * max(r + np.hypot(x - iris[0], y - iris[1]) for x, y, r in (pupil, iris))
    left, top = (max(0, int(at - reach)) for at in iris[:2])
    right, bottom = (int(at + reach) + 1 for at in iris[:2])
    fine = image if fine_scale == 1 else resized(image, size, left, min(right, size[1]))
    clean = without_specks(fine[top:bottom, left:right], min(size))
    found = []
    for (x, y, r), band, weights in ((pupil, 0.35, weights_of(0.5)), (iris, 0.16, weights_of(0.1))):
        x, y, r = refine(clean, (x - left, y - top, r), band, weights)
        found.append(moved((x + left, y + top, r), fine_scale))
    return Eye(*found[0], *found[1])


def moved(circle: Circle, scale: float) -> Circle:
    """Carry a circle over to a copy whose px are `1 / scale` as large; pixel middles are at whole
    numbers.
    """
    x, y, r = circle
    return float((x + 0.5) * scale - 0.5), float((y + 0.5) * scale - 0.5), float(r * scale)


def _pupils(
    image: np.ndarray, spread: float, candidates: list[Circle]
) -> list[tuple[float, Circle]]:
    """Score each candidate's pupil, searched anew around it with Daugman's operator; return the
    circles, too.
    """
    found = []
    for start in range(0, len(candidates), AT_ONCE):
        found += _some_pupils(image, spread, np.array(candidates[start : start + AT_ONCE]))
    return found


def _some_pupils(
    image: np.ndarray, spread: float, candidates: np.ndarray
) -> list[tuple[float, Circle]]:
    """Return the score and the circle of each candidate (C, 3); all are sampled in one go."""
    x, y = (np.repeat(candidates[:, i].astype(np.float32), len(ANGLES)) for i in range(2))
    near = np.abs(np.log(RINGS / candidates[:, 2, None])) < REACH
    first = near.argmax(axis=1)
    start = np.clip(first - BESIDE, 0, len(RINGS) - PART)
    rings = start + np.arange(PART)[:, None]  # (PART, C)
    px, py = (table.take(rings, axis=0).reshape(PART, -1) for table in (RINGS_X, RINGS_Y))
    px += x
    py += y
    levels = sampled(image, px, py)
    inner = ridges(steps(levels, WIDTH), 0.06 * spread, 2).reshape(PART, -1, len(ANGLES))
    weights = weights_of(0.5)
    found = []
    for one, (cx, cy, _) in enumerate(candidates.tolist()):
        tried = first[one] + np.arange(np.count_nonzero(near[one]))
        score, (dx, dy, pr) = best_ring(inner[:, one], start[one], tried, 0.2, weights)
        found.append((score, (cx + dx, cy + dy, pr)))
    return found


def _iris(
    image: np.ndarray, spread: float, pupil_score: float, pupil: Circle, iris_r: float | None
) -> tuple[float, Pair | None]:
    """Score a pupil with the best iris around it, and return both circles.

    The score is at most the size of `pupil_score`, but for a tenth where both are negative.
    """
    px, py, pr = pupil
    least, most = max(pr / RATIO[1], 0.8 * IRIS_MIN), min(pr / RATIO[0], IRIS_MAX)
    if iris_r is not None:
        least, most = max(least, iris_r / AROUND), min(most, iris_r * AROUND)
    irises = np.flatnonzero((least < RINGS) & (most > RINGS))
    if len(irises) == 0:
        return 0.0, None
    tried, tolerance = shifts(0.1), 1
    # the rings that a circle can touch, those whose crests reach there, and their samples
    start = max(0, int(irises[0]) + tried.least - tolerance - CREST)
    stop = min(len(RINGS), int(irises[-1]) + tried.most + tolerance + CREST + 1)
    levels = radial(image, px, py, RINGS[: stop + WIDTH])
    outer = ridges(steps(levels, WIDTH, start, stop), 0.04 * spread, tolerance)
    iris_score, (dx, dy, ir) = best_ring(outer, start, irises, 0.1, weights_of(0.1))
    return pupil_score * iris_score * min(1.0, ir / IRIS_SURE) ** 0.5, (
        pupil,
        (px + dx, py + dy, ir),
    )
