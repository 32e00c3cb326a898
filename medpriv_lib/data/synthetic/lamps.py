"""The reflections of a set-up's lamps on the cornea."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Glint:
    """One LED's reflection on the cornea: place in mm from the point that looks at the camera,
    radius in mm, level.
    """

    x: float
    y: float
    radius: float
    level: float


def ring(
    lamps: int = 8, radius: float = 1.3, size: float = 0.16, x: float = 0.0, y: float = 0.0
) -> tuple[Glint, ...]:
    """Return the reflections of lamps in a ring around the lens; all lengths in mm."""
    angles = 2 * np.pi * (np.arange(lamps) + 0.5) / lamps
    return tuple(
        Glint(float(x + radius * np.cos(a)), float(y + radius * np.sin(a)), size, 255.0)
        for a in angles
    )


def bar(
    lamps: int = 6, length: float = 2.4, size: float = 0.24, x: float = 0.0, y: float = 0.0
) -> tuple[Glint, ...]:
    """Return the reflections of lamps in a row that run together into a bar; lengths in mm."""
    places = np.linspace(-length / 2, length / 2, lamps)
    return tuple(Glint(float(x + place), float(y), size, 255.0) for place in places)


def pair(
    distance: float = 1.6, size: float = 0.2, x: float = 0.0, y: float = 0.0
) -> tuple[Glint, ...]:
    """Return the reflections of two lamps beside the lens; all lengths in mm."""
    return tuple(Glint(float(x + side * distance / 2), float(y), size, 255.0) for side in (-1, 1))
