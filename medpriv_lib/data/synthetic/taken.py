"""What a camera makes of one capture: lamps, black level, veil, what the person wears."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.lamps import Glint, bar, pair, ring
from medpriv_lib.data.synthetic.spectacles import Spectacles


@dataclass(frozen=True)
class Taken:
    """One capture by its camera: lamps, `black` in grey levels, `veil` 0..1, what is worn."""

    glints: tuple[Glint, ...]
    black: float
    veil: float
    spectacles: Spectacles | None
    make_up: float


@lru_cache(maxsize=8)
def taken(capture: Capture) -> Taken:
    """Return what the camera of a capture makes of it: always the same for the same capture.

    What varies is drawn from the capture's own `noise_seed`, so that an image and its twin share
    it. What the capture itself says of spectacles and make-up goes first.
    """
    camera = capture.camera
    rng = np.random.default_rng([capture.noise_seed, 11])
    black, veil = rng.uniform(*camera.black), rng.uniform(*camera.veil)
    wears, painted = rng.random(2) < (camera.spectacles_share, camera.make_up_share)
    spectacles, strength = Spectacles.draw(rng), float(rng.uniform(0.2, 1.0))
    return Taken(
        _lamps(capture, rng),
        float(black),
        float(veil),
        capture.spectacles or (spectacles if wears else None),
        capture.make_up or (strength if painted else 0.0),
    )


def _lamps(capture: Capture, rng: np.random.Generator) -> tuple[Glint, ...]:
    camera = capture.camera
    if camera.leds == "drawn" or not capture.glints:
        return capture.glints
    x = float(np.mean([glint.x for glint in capture.glints[:2]]))
    y = float(np.mean([glint.y for glint in capture.glints[:2]]))
    size = camera.led_radius * float(rng.uniform(0.85, 1.15))
    if camera.leds == "one":
        return (Glint(x, y, size, 255.0),)
    if camera.leds == "two":
        return pair(camera.led_spread, size, x, y)
    if camera.leds == "aside":
        return (Glint(x + camera.led_spread, y - 0.4 * camera.led_spread, size, 255.0),)
    if camera.leds == "square":
        half = camera.led_spread / 2
        places = ((-half, -half), (half, -half), (-half, half), (half, half))
        return tuple(Glint(x + dx, y + dy, size, 255.0) for dx, dy in places)
    if camera.leds == "bar":
        return bar(6, camera.led_spread, size, x, y)
    lamps = ring(8, camera.led_spread, size, x, y)
    levels = rng.uniform(190, 255, len(lamps))
    return tuple(replace(lamp, level=float(v)) for lamp, v in zip(lamps, levels, strict=True))
