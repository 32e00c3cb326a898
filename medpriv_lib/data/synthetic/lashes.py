"""The lashes of both lids, drawn as tapering anti-aliased strokes."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from medpriv_lib.data.synthetic.identity import Identity

STEPS = np.linspace(0, 1, 7)


def strokes(identity: Identity, opening: float) -> list[Float[np.ndarray, "n 7 2"]]:
    """Return the offsets in mm of every lash from its root: upper then lower lid, and the roots'
    places along the lid.

    The lists hold `upper` (n, 7, 2), `upper_root` (n, 2) as (place -1..1, mm above the margin),
    then the same for the lower lid. Lashes start downwards and forwards and curl up; towards the
    corners they lean outwards. The lashes follow a closing lid downwards.
    """
    rng = np.random.default_rng([identity.skin_seed, 7])
    parts = []
    for sign, count, length in (
        (1, identity.lash_count, identity.lash_length),
        (-1, identity.lower_lash_count, 0.8 * identity.lash_length),
    ):
        # lashes stand in loose tufts
        tufts = rng.uniform(-0.97, 0.97, max(2, count // 2))
        place = np.clip(rng.choice(tufts, count) + rng.normal(0, 0.02, count), -0.98, 0.98)
        reach = length * rng.uniform(0.55, 1.2, count) * (0.85 + 0.35 * np.abs(place))
        lean = (0.95 if sign > 0 else 1.1) * place + rng.normal(
            0, 0.22 if sign > 0 else 0.13, count
        )
        droop = (
            identity.lash_droop
            + 0.9 * np.abs(place) ** 1.5
            + 1.6 * (1 - opening)
            + rng.normal(0, 0.22, count)
        )
        rise = np.where(sign > 0, 0.25 - 0.9 * droop, 0.6 + 0.3 * rng.random(count))
        curl = np.where(sign > 0, rng.uniform(0.2, 0.75, count), rng.uniform(-0.35, 0.0, count))
        bend = rng.normal(0.05, 0.3 if sign > 0 else 0.15, count) * np.sign(lean)
        x = reach[:, None] * (lean[:, None] * STEPS + bend[:, None] * STEPS**2)
        up = reach[:, None] * (rise[:, None] * STEPS + curl[:, None] * STEPS**2)
        parts += [np.stack([x, -sign * up], 2), np.stack([place, rng.uniform(0.0, 0.35, count)], 1)]
    return parts


def draw(mask: UInt8[np.ndarray, "h w"], lines: Float[np.ndarray, "n 7 2"], width: float) -> None:
    """Draw strokes given in px into `mask`, `width` px at the root and tapering to a point."""
    along = np.gradient(lines, axis=1)
    across = np.stack([-along[..., 1], along[..., 0]], 2)
    across /= np.linalg.norm(across, axis=2, keepdims=True) + 1e-6
    half = 0.5 * width * (1 - STEPS[:, None]) ** 0.8
    outline = np.concatenate([lines + half * across, (lines - half * across)[:, ::-1]], 1)
    for polygon in np.round(outline * 16).astype(np.int32):
        cv2.fillPoly(mask, [polygon], 255, cv2.LINE_AA, 4)


def soft(identity: Identity, opening: float) -> list[tuple[Float[np.ndarray, "n 7 2"], ...]]:
    """Return the lashes of the second drawing: for the upper and then the lower lid the offsets in
    mm from the roots (n, 7, 2) and the roots (n, 2) as (place -1..1, mm above the margin).

    Tufts lean together and cross; those above start over the edge and hang into the eye before they
    curl up; those below are short, sparse and of every length, and lie along the skin.
    """
    rng = np.random.default_rng([identity.skin_seed, 8])
    parts: list[tuple[Float[np.ndarray, "n 7 2"], ...]] = []
    for sign, count, length in (
        (1, int(2.2 * identity.lash_count), 0.8 * identity.lash_length),
        (-1, int(1.3 * identity.lower_lash_count), 0.62 * identity.lash_length),
    ):
        tufts = max(2, count // 6)
        home = rng.uniform(-0.98, 0.98, tufts)
        tuft = rng.integers(tufts, size=count)
        spread = rng.normal(0, 0.035, count)
        place = np.clip(home[tuft] + spread, -1.0, 1.0)
        reach = length * rng.gamma(14, 1 / 14, count) * (0.75 + 0.4 * np.abs(place))
        # the tips of a tuft meet: the lean undoes where the roots stand
        lean = place + rng.normal(0, 0.18, tufts)[tuft] + rng.normal(0, 0.1, count) - 2.2 * spread
        droop = identity.lash_droop + 1.5 * (1 - opening) + rng.normal(0, 0.25, count)
        if sign > 0:
            rise = -0.1 - 0.85 * droop - 0.5 * np.abs(place)
            curl = rng.uniform(0.1, 0.8, count)
        else:
            rise, curl = rng.uniform(0.15, 0.9, count), rng.uniform(-0.45, 0.1, count)
        bend = rng.normal(0, 0.35, count)
        x = reach[:, None] * (lean[:, None] * STEPS + bend[:, None] * STEPS**2)
        up = reach[:, None] * (rise[:, None] * STEPS + curl[:, None] * STEPS**2)
        parts.append(
            (
                np.stack([x, -sign * up], 2),
                np.stack([place, rng.uniform(-0.1, 0.4, count)], 1),
            )
        )
    return parts
