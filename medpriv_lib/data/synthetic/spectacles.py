"""Spectacles in front of an eye."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spectacles:
    """Spectacles in front of the eye, in mm in the head's frame.

    `half_width`, `half_height` of the lens from the middle of the lid opening, `roundness` the
    exponent of its outline (2: an ellipse, larger: boxier), `rim` the width of the frame and
    `level` its grey level; `veil` 0..1 how much light the lens mirrors all over; `mirrored` the
    lamps it shows, as (x, y, half width, half height, level).
    """

    half_width: float = 19.0
    half_height: float = 9.5
    roundness: float = 3.0
    rim: float = 2.2
    level: float = 25.0
    veil: float = 0.05
    mirrored: tuple[tuple[float, float, float, float, float], ...] = ()

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Spectacles":
        """Draw a pair: dark, grey or shining rims, large or small lenses, up to three lamps."""
        lamps = int(rng.integers(0, 4))
        return cls(
            half_width=float(rng.uniform(14, 22)),
            half_height=float(rng.uniform(7.5, 11.5)),
            roundness=float(rng.uniform(2.2, 4.5)),
            rim=float(rng.uniform(1.0, 3.8)),
            level=float(rng.choice([18.0, 30.0, 90.0, 230.0])),
            veil=float(rng.uniform(0.0, 0.15)),
            mirrored=tuple(
                (
                    float(rng.uniform(-10, 10)),
                    float(rng.uniform(-6, 6)),
                    float(rng.uniform(0.4, 1.8)),
                    float(rng.uniform(0.3, 1.2)),
                    float(rng.uniform(200, 255)),
                )
                for _ in range(lamps)
            ),
        )
