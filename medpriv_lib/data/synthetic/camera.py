"""What differs between set-ups: the lamps, the lens, the sensor and what it makes of an eye."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]
PATTERNS = ("drawn", "one", "two", "ring", "bar", "square", "aside")


@dataclass(frozen=True)
class Camera:
    """One set-up; the default is a plain one, by which `data_scripts/make_synthetic.py` draws.

    `drawing` 1 draws lashes as strokes and skin flat, 2 both as near-infrared pictures
    show them. `leds` one of `PATTERNS`: "drawn" takes the lamps of the capture, the others stand
    where the middle of the capture's first two lamps stands; `led_spread` in mm is the distance of
    a pair, the radius of a ring, the length of a bar, the side of a square, or how far one lamp
    stands "aside"; `led_radius` in mm the size of one. `iris_contrast` multiplies the iris
    texture, `detail` is the deviation of fine texture added to it, grey levels; `blur` the sigma of
    the lens in px, on top of the defocus. `pupil_level` is the level of an empty pupil,
    `pupil_shift` is added to the pupil's ratio (visible light narrows it); `iris_offset`,
    `sclera_offset`, `skin_offset`, `upper_offset` (the upper lid, on top of the skin's) are added
    to what the person has, grey levels. `black` is the range of the black level and `veil` that of
    the share of scattered light, both anew in each capture; `gain` multiplies the levels, what
    exceeds 255 is saturated; `noise` multiplies the capture's noise. `magnification` scales the
    picture in the frame: above about 1.4 the frame cuts lids off. `spectacles_share`,
    `make_up_share`: of the captures. Raises `ValueError` for what cannot be.
    """

    drawing: int = 1
    leds: str = "drawn"
    led_spread: float = 1.6
    led_radius: float = 0.2
    iris_contrast: float = 1.0
    detail: float = 0.0
    blur: float = 0.0
    pupil_level: float = 9.0
    pupil_shift: float = 0.0
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


@dataclass(frozen=True)
class Ranges:
    """A family: cameras with one pattern of lamps, whose numbers lie in `ranges`, each drawn anew;
    what is not named is as the default has it.
    """

    leds: str
    ranges: dict[str, Range]

    def __call__(self, rng: np.random.Generator) -> Camera:
        """Draw one camera."""
        numbers = {
            name: (span if name in ("black", "veil") else float(rng.uniform(*span)))
            for name, span in self.ranges.items()
        }
        return Camera(drawing=2, leds=self.leds, **numbers)  # type: ignore[arg-type]


def _family(leds: str, **ranges: Range) -> Ranges:
    return Ranges(leds, ranges)


# the set-up of the packaged cohorts: one, as the paper's
COHORT_CAMERA = Camera(
    drawing=2,
    iris_contrast=1.85,
    detail=2.0,
    blur=1.5,
    skin_offset=-16,
    upper_offset=-14,
    black=(0, 28),
    veil=(0, 0.12),
)

# Set-ups to teach on. Their numbers were chosen so that what comes out spans what five public sets
# of real near-infrared eyes show (`appearance.REAL`).
FAMILIES: dict[str, Ranges] = {
    "pair": _family(
        "drawn",
        iris_contrast=(1.2, 2.4),
        detail=(0, 4),
        blur=(0, 1.6),
        iris_offset=(-15, 15),
        sclera_offset=(-15, 20),
        skin_offset=(-40, 10),
        upper_offset=(-30, 10),
        pupil_level=(4, 16),
        black=(0, 28),
        veil=(0, 0.12),
    ),
    "two-lamps": _family(
        "two",
        led_spread=(1.2, 4.5),
        led_radius=(0.12, 0.34),
        iris_contrast=(1.2, 2.2),
        detail=(1, 5),
        blur=(0, 2.0),
        iris_offset=(-30, 25),
        sclera_offset=(-25, 25),
        skin_offset=(-70, 20),
        upper_offset=(-50, 10),
        black=(0, 12),
        veil=(0, 0.06),
        gain=(0.85, 1.15),
        make_up_share=(0.1, 0.1),
    ),
    "one-lamp": _family(
        "one",
        led_radius=(0.18, 0.6),
        iris_contrast=(1.2, 2.0),
        detail=(1, 4),
        blur=(0.5, 2.2),
        iris_offset=(-20, 15),
        sclera_offset=(-15, 25),
        skin_offset=(-30, 20),
        upper_offset=(-25, 15),
        pupil_level=(5, 10),
        black=(5, 12),
        veil=(0, 0.02),
    ),
    "wide": _family(
        "two",
        led_spread=(1.0, 3.0),
        led_radius=(0.2, 0.45),
        iris_contrast=(1.6, 2.6),
        detail=(2, 7),
        blur=(0, 1.2),
        iris_offset=(-42, -12),
        sclera_offset=(-30, 20),
        skin_offset=(-60, 30),
        upper_offset=(-20, 75),
        pupil_level=(1, 5),
        black=(5, 8),
        noise=(0.6, 1.6),
        magnification=(0.55, 0.8),
        spectacles_share=(0.25, 0.35),
        make_up_share=(0.1, 0.1),
    ),
    "ring": _family(
        "ring",
        led_spread=(0.9, 2.2),
        led_radius=(0.12, 0.26),
        iris_contrast=(1.3, 2.0),
        detail=(1, 4),
        blur=(0.3, 1.8),
        iris_offset=(25, 95),
        sclera_offset=(15, 55),
        skin_offset=(-40, 40),
        upper_offset=(0, 25),
        pupil_level=(25, 70),
        black=(5, 22),
        veil=(0, 0.05),
        gain=(1.0, 1.12),
    ),
    "dark-iris": _family(
        "two",
        led_spread=(0.9, 2.4),
        led_radius=(0.14, 0.3),
        iris_contrast=(0.9, 2.4),
        detail=(0, 4),
        blur=(1.0, 3.0),
        iris_offset=(-40, -5),
        sclera_offset=(0, 50),
        skin_offset=(-95, -15),
        upper_offset=(-45, 10),
        pupil_level=(4, 10),
        pupil_shift=(-0.2, 0.02),
        black=(10, 18),
        veil=(0, 0.02),
    ),
    "close-up": _family(
        "bar",
        led_spread=(0.8, 2.6),
        led_radius=(0.12, 0.32),
        iris_contrast=(1.8, 3.4),
        detail=(4, 10),
        blur=(0, 1.2),
        iris_offset=(-15, 25),
        sclera_offset=(0, 30),
        skin_offset=(-75, 20),
        upper_offset=(-110, -30),
        pupil_level=(0, 1),
        noise=(0.5, 1.0),
        magnification=(1.2, 1.45),
    ),
    "bar": _family(
        "bar",
        led_spread=(1.2, 3.6),
        led_radius=(0.16, 0.36),
        iris_contrast=(1.2, 2.4),
        detail=(1, 6),
        blur=(0, 2.0),
        iris_offset=(-25, 40),
        sclera_offset=(-20, 25),
        skin_offset=(-60, 25),
        upper_offset=(-40, 15),
        black=(0, 25),
        veil=(0, 0.12),
        gain=(0.85, 1.1),
        spectacles_share=(0.1, 0.1),
    ),
    "dim-ring": _family(
        "ring",
        led_spread=(0.8, 2.8),
        led_radius=(0.1, 0.3),
        iris_contrast=(1.3, 2.6),
        detail=(1, 7),
        blur=(0, 1.6),
        iris_offset=(-30, 10),
        sclera_offset=(-40, 5),
        skin_offset=(-90, -20),
        upper_offset=(-40, 10),
        pupil_level=(0, 14),
        black=(0, 8),
        noise=(0.8, 1.8),
        magnification=(0.8, 1.35),
    ),
}

# Whole set-ups that nothing is ever taught on: lamps in a square, as no family above has, on sharp
# close-ups of bright irises; and one large lamp far off the axis, dark skin, a misty lens.
HELD_OUT: dict[str, Ranges] = {
    "square": _family(
        "square",
        led_spread=(1.2, 3.2),
        led_radius=(0.14, 0.34),
        iris_contrast=(1.6, 3.0),
        detail=(3, 8),
        blur=(0, 1.2),
        iris_offset=(0, 50),
        sclera_offset=(-15, 25),
        skin_offset=(-60, 15),
        upper_offset=(-70, 0),
        pupil_level=(0, 30),
        black=(0, 10),
        magnification=(1.1, 1.5),
    ),
    "misty": _family(
        "aside",
        led_spread=(1.0, 2.6),
        led_radius=(0.3, 0.75),
        iris_contrast=(1.3, 2.6),
        detail=(1, 6),
        blur=(0.8, 2.6),
        iris_offset=(-40, 15),
        sclera_offset=(-30, 15),
        skin_offset=(-90, -10),
        upper_offset=(-50, 20),
        black=(5, 30),
        veil=(0.05, 0.16),
        noise=(1.0, 2.0),
        magnification=(0.7, 1.1),
        spectacles_share=(0.2, 0.2),
        make_up_share=(0.15, 0.15),
    ),
}
