"""One verdict on an image for all who cut eyes out: where the eye is, and whether there is one.

`locate` answers where the roundest thing is. Here the signs of an eye are asked for as well, and an
image whose first answer lacks some of them is looked at again: without lamps mirrored in the cornea
and in spectacles, without lashes, with more candidates, and, where the iris of the same person is
known from other images, at that size.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import UInt8

from medpriv_lib.data.eyes.blobs import blobs
from medpriv_lib.data.eyes.candidates import MORE_RADII, grid, vote
from medpriv_lib.data.eyes.circles import Circle
from medpriv_lib.data.eyes.copies import copy_for
from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.eyes.localize import (
    MIN_SCORE,
    VOTE_SIDE,
    Pair,
    check_image,
    located,
    moved,
    refined,
    search,
)
from medpriv_lib.data.eyes.signs import missing_signs

# How much higher the score must be for each sign that is missing, and where it took a second look:
# who looks more often finds more, in noise too.
PRICE, PRICE_OF_LOOKING = 0.04, 0.06
FLAT = 4  # levels: scores are relative to the contrast, and a blank image has none


@dataclass(frozen=True)
class Finding:
    """What was found: `eye` or None, `score` as `locate_scored` gives it, `missing`, the signs of
    an eye that are not there, and whether it took a `second_look` to find it.
    """

    eye: Eye | None
    score: float
    missing: tuple[str, ...] = ()
    second_look: bool = False

    @property
    def margin(self) -> float:
        """How far the score lies above what these signs ask for; negative: this may be no eye."""
        asked = MIN_SCORE + PRICE * len(self.missing) + PRICE_OF_LOOKING * self.second_look
        return self.score - asked

    @property
    def sure(self) -> bool:
        """Whether this counts as an eye, in preparation and in explanation alike."""
        return self.eye is not None and self.margin >= 0

    @property
    def sure_of_size(self) -> bool:
        """Whether this counts where the iris has the size of the person's other ones.

        The size speaks for two signs that may be missing, and for any second look.
        """
        asked = MIN_SCORE + PRICE * max(0, len(self.missing) - 2)
        return self.eye is not None and self.score >= asked

    @property
    def doubt(self) -> str:
        """Why this does not count as an eye, "" where it does."""
        if self.sure:
            return ""
        if self.eye is None:
            return "no eye was found"
        return (
            f"the roundest thing, {2 * self.eye.iris_r:.0f} px wide around column "
            f"{self.eye.iris_x:.0f} and row {self.eye.iris_y:.0f}, may be no eye (score "
            f"{self.score:.2f}, without {', '.join(self.missing)})"
        )


def examine(image: UInt8[np.ndarray, "h w"], iris_r: float | None = None) -> Finding:
    """Return the best finding in a grey image from 32x32 on.

    `iris_r` is the radius of the iris in px where it is known from other images of the same person
    and camera: then only circles of about that size are looked for. Raises what `locate` raises.
    """
    check_image(image)
    small, scale = copy_for(image, VOTE_SIDE)
    first = Finding(None, 0.0)
    if np.ptp(small) < FLAT:
        return first
    if iris_r is None:
        eye, score = located(image, small, scale)
        first = Finding(eye, score, () if eye is None else _missing(small, eye, scale))
        if eye is not None and not first.missing:
            return first
    again = _again(image, small, scale, iris_r)
    if first.eye is None:
        return again
    if again.eye is not None and _same(first.eye, again.eye):
        again = replace(again, second_look=False)  # not found by looking more often
    return again if again.eye is not None and again.margin > first.margin else first


def _same(one: Eye, other: Eye) -> bool:
    """Say whether two findings are one iris, to within a tenth of its radius."""
    away = np.hypot(one.iris_x - other.iris_x, one.iris_y - other.iris_y)
    return bool(max(away, abs(one.iris_r - other.iris_r)) <= 0.1 * one.iris_r)


def _missing(small: np.ndarray, eye: Eye, scale: float) -> tuple[str, ...]:
    pupil = moved((eye.pupil_x, eye.pupil_y, eye.pupil_r), 1 / scale)
    iris = moved((eye.iris_x, eye.iris_y, eye.iris_r), 1 / scale)
    return missing_signs(small, pupil, iris)


def _again(image: np.ndarray, small: np.ndarray, scale: float, iris_r: float | None) -> Finding:
    """Look at several cleaned copies and judge what is found in each by the untouched one."""
    size = None if iris_r is None else iris_r / scale
    copies = _cleaned(small)
    found = [
        _best(small, copy, vote(copy, 10, MORE_RADII, size) + blobs(copy), size) for copy in copies
    ]
    if size is not None and not any(one.sure_of_size for one, _ in found):
        found += [_best(small, copy, grid(copy.shape), size) for copy in copies[:2]]
    best, pair = max(found, key=lambda one: one[0].margin)
    if pair is None or best.score <= MIN_SCORE:
        return Finding(None, best.score)
    eye = refined(image, pair, scale)
    return Finding(eye, best.score, _missing(small, eye, scale), True)


def _best(
    small: np.ndarray, copy: np.ndarray, candidates: list[Circle], size: float | None
) -> tuple[Finding, Pair | None]:
    """Return which of the three highest scores in a copy has most signs in the untouched one."""
    found: list[tuple[Finding, Pair | None]] = [(Finding(None, 0.0, (), True), None)]
    for score, pair in search(copy, candidates, size)[:3]:
        if pair is not None:
            signs = missing_signs(small, *pair)
            found.append((Finding(Eye(*pair[0], *pair[1]), score, signs, True), pair))
    return max(found, key=lambda one: one[0].margin)


def _cleaned(small: np.ndarray) -> list[np.ndarray]:
    """Return the copy itself, without bright specks, without dark lines, and without either.

    The window is 9 px of 120: lamps and lashes are narrower, pupils are not.
    """
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    dark = cv2.morphologyEx(small, cv2.MORPH_OPEN, window)
    bright = cv2.morphologyEx(small, cv2.MORPH_CLOSE, window)
    both = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, window)
    return [small, *(cv2.GaussianBlur(copy, (0, 0), 1) for copy in (dark, bright, both))]
