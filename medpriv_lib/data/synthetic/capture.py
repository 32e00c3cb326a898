"""How an eye was photographed: everything that may change from one image to the next."""

from dataclasses import dataclass

import numpy as np

from medpriv_lib.data.synthetic.camera import Camera
from medpriv_lib.data.synthetic.difficulty import DEFAULT, Difficulty
from medpriv_lib.data.synthetic.lamps import Glint
from medpriv_lib.data.synthetic.spectacles import Spectacles


@dataclass(frozen=True)
class Capture:
    """The conditions of one image.

    `pupil_ratio`: pupil over iris diameter before disease acts on it, 0.2-0.7 (within the 0.1-0.8
    that Daugman 2004, IEEE Trans. Circuits Syst. Video Technol. 14:21, allows for). `gaze_x`,
    `gaze_y` degrees (positive: nasal, down); `rotation` of the head in degrees; `distance` scales
    the image (1: 21.5 px/mm, so an iris radius of about 125 px; Daugman 2004 asks for 70 px at
    least and names 80-130 px as typical); `shift_x`, `shift_y` of the eye in the frame, px;
    `opening` of the lids (1: relaxed); `focus` is the sigma of the defocus blur in px; `exposure` a
    gain; `light` the left-to-right slope of the illumination; `read_noise` in grey levels and
    `shot_noise` in grey levels of variance per grey level; `glints` the LED reflections;
    `noise_seed` seeds the noise. Off unless they are given, and never drawn by `draw`:
    `irregularity` of the pupil's edge as a share of its radius (synechiae, operations; 0.05 to
    0.25), `spectacles`, `make_up` 0..1 (eyeliner, mascara and shadow on the upper lid), `camera`,
    the set-up, which is the same for many captures.
    """

    pupil_ratio: float = 0.4
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    rotation: float = 0.0
    distance: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    opening: float = 1.0
    focus: float = 0.8
    exposure: float = 1.0
    light: float = 0.0
    read_noise: float = 1.5
    shot_noise: float = 0.04
    glints: tuple[Glint, ...] = (Glint(-0.8, 0.0, 0.24, 255.0), Glint(0.9, 0.05, 0.19, 255.0))
    noise_seed: int = 0
    irregularity: float = 0.0
    spectacles: Spectacles | None = None
    make_up: float = 0.0
    camera: Camera = Camera()

    @classmethod
    def draw(cls, rng: np.random.Generator, difficulty: Difficulty = DEFAULT) -> "Capture":
        """Draw the conditions of one image."""
        spread = difficulty.capture_spread

        def around(mean: float, deviation: float, low: float, high: float) -> float:
            return float(np.clip(mean + spread * deviation * rng.standard_normal(), low, high))

        return cls(
            pupil_ratio=around(0.40, 0.07, 0.22, 0.66),
            gaze_x=around(0, 5, -15, 15),
            gaze_y=around(0, 3.5, -10, 10),
            rotation=around(0, 4, -12, 12),
            distance=around(1.0, 0.06, 0.82, 1.2),
            shift_x=around(0, 22, -60, 60),
            shift_y=around(0, 16, -45, 45),
            opening=around(0.96, 0.12, 0.5, 1.15),
            focus=0.7 + abs(around(0, 0.6, -2.5, 2.5)),
            exposure=around(1.0, 0.07, 0.8, 1.18),
            light=around(0, 0.05, -0.15, 0.15),
            read_noise=difficulty.noise * around(1.6, 0.4, 0.8, 3.5),
            shot_noise=difficulty.noise**2 * around(0.05, 0.015, 0.01, 0.12),
            glints=_draw_glints(rng),
            noise_seed=int(rng.integers(2**62)),
        )


def _draw_glints(rng: np.random.Generator) -> tuple[Glint, ...]:
    """Draw a pair beside the optical axis, as two LEDs beside the lens give; at times a third and a
    fourth.
    """
    half, drop = rng.uniform(0.55, 1.15), rng.normal(0, 0.12)
    x, y = rng.normal(0, 0.25, 2)
    places = [(x - half, y - drop), (x + half, y + drop)]
    extra = int(rng.choice(3, p=(0.75, 0.17, 0.08)))
    places += [
        (x + side * rng.uniform(0.6, 1.4), y + rng.uniform(0.9, 1.8)) for side in (-1, 1)[:extra]
    ]
    return tuple(
        Glint(
            float(px),
            float(py),
            float(rng.uniform(0.14, 0.28) * (1 if i < 2 else 0.7)),
            255.0 if i < 2 else 200.0,
        )
        for i, (px, py) in enumerate(places)
    )
