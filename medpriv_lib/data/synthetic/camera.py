"""What differs between set-ups: the lamps, the lens, the sensor and what it makes of an eye."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]
PATTERNS = ("drawn", "one", "two", "ring", "bar")


@dataclass(frozen=True)
class Camera:
    """One set-up. The default is the first cohort's, and renders its images byte by byte.

    `drawing` 1 draws lashes and skin as the first cohort has them, 2 as near-infrared pictures
    show them. `leds` one of `PATTERNS`: "drawn" takes the lamps of the capture, the others stand
    where the middle of the capture's first two lamps stands; `led_spread` in mm is the distance of
    a pair, the radius of a ring, the length of a bar, `led_radius` in mm the size of one.
    `iris_contrast` multiplies the iris texture, `detail` is the deviation of fine texture added to
    it, grey levels; `blur` the sigma of the lens in px, on top of the defocus. `pupil_level` is the
    level of an empty pupil; `iris_offset`, `sclera_offset`, `skin_offset`, `upper_offset` (the
    upper lid, on top of the skin's) are added to what the person has, grey levels. `black` is the
    range of the black level and `veil` that of the share of scattered light, both anew in each
    capture; `gain` multiplies the levels, what exceeds 255 is saturated; `noise` multiplies the
    capture's noise. `magnification` scales the picture in the frame: above about 1.5 the frame
    cuts lids off. `spectacles_share`, `make_up_share`: of the captures. Raises `ValueError` for
    what cannot be.
    """

    drawing: int = 1
    leds: str = "drawn"
    led_spread: float = 1.6
    led_radius: float = 0.2
    iris_contrast: float = 1.0
    detail: float = 0.0
    blur: float = 0.0
    pupil_level: float = 9.0
    iris_offset: float = 0.0
    sclera_offset: float = 0.0
    skin_offset: float = 0.0
    upper_offset: float = 0.0
    black: Range = (0.0, 0.0)
    veil: Range = (0.0, 0.0)
    gain: float = 1.0
    noise: float = 1.0
    magnification: float = 1.0
    spectacles_share: float = 0.0
    make_up_share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an unknown pattern or drawing, and numbers that are none of a camera."""
        if self.leds not in PATTERNS or self.drawing not in (1, 2):
            raise ValueError(
                f"Camera.leds is {self.leds!r} and drawing {self.drawing}; choose from {PATTERNS} "
                "and 1 or 2"
            )
        for name in ("iris_contrast", "detail", "blur", "gain", "noise"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"Camera.{name} is {getattr(self, name)}; use 0 or more")
        if not 0.3 <= self.magnification <= 2:
            raise ValueError(f"Camera.magnification is {self.magnification}; use 0.3 to 2")


Family = Callable[[np.random.Generator], Camera]


def _family(leds: str, **ranges: Range) -> Family:
    """Return a family of cameras whose numbers lie in `ranges`, each camera anew in all of them."""

    def draw(rng: np.random.Generator) -> Camera:
        numbers = {
            name: (span if name in ("black", "veil") else float(rng.uniform(*span)))
            for name, span in ranges.items()
        }
        return Camera(drawing=2, leds=leds, **numbers)  # type: ignore[arg-type]

    return draw


COHORT_CAMERA = Camera(
    drawing=2,
    iris_contrast=1.6,
    detail=3.0,
    skin_offset=-14,
    upper_offset=-12,
    black=(0, 16),
    veil=(0, 0.08),
)

FAMILIES: dict[str, Family] = {
    "pair": _family("drawn", iris_contrast=(1.2, 2.0), detail=(1, 5), skin_offset=(-30, 0)),
}

HELD_OUT: dict[str, Family] = {
    "ring-dim": _family("ring", iris_contrast=(1.2, 2.0), detail=(1, 5)),
}
