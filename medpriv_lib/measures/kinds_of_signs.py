"""How much of each kind of sign is kept: what is brighter, what is darker, and the pupil's shape.

Haze is easy to keep, a hole in the iris is not, and a mean over pixels hides the difference. Each
pixel of the evidence mask is of one kind: within `BAND` of the edge of the twin's pupil it is
*shape*, elsewhere *bright* where the disease raised the level and *dark* where it lowered it. The
share of a kind is

    e_k = sum over cases of <P(x) - P(t), x - t>_k / sum over cases of ||x - t||^2_k

weighted by energy, as many a case has only a few pixels of a kind.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from medpriv_lib.data.eyes.localize import SMALLEST, locate
from medpriv_lib.measures.cells import ratio_of
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure
from medpriv_lib.measures.signs import Maps, Signs

KINDS = ("bright", "dark", "shape")
BAND = 2 / 64  # of the side: half the width of the ring around the pupil's edge
LEAST = 100.0  # grey levels squared: a case with less than two pixels of seven levels has no such


def kinds(signs: Maps, edge: Bool[np.ndarray, "n h w"]) -> dict[str, Bool[np.ndarray, "n h w"]]:
    """Return the pixels of each kind of sign; together they are the pixels where signs are not 0.

    `signs` x - t inside the mask (N, H, W), `edge` the ring around the pupil's edge.
    """
    return {
        "bright": (signs > 0) & ~edge,
        "dark": (signs < 0) & ~edge,
        "shape": (signs != 0) & edge,
    }


def pupil_edges(twin: np.ndarray, band: float = BAND) -> Bool[np.ndarray, "n h w"]:
    """Return the ring of twice `band` (a share of the side) around the pupil's edge in images
    uint8 (N, H, W); nothing where the localiser finds no eye.
    """
    _, height, width = twin.shape
    rings = np.zeros(twin.shape, dtype=bool)
    y, x = np.mgrid[:height, :width]
    for ring, image in zip(rings, twin, strict=True):
        eye = locate(image) if min(image.shape) >= SMALLEST else None
        if eye is not None:
            away = np.hypot(x - eye.pupil_x, y - eye.pupil_y) - eye.pupil_r
            ring[np.abs(away) <= band * min(height, width)] = True
    return rings


class KindsOfSigns(Measure):
    """The share that is kept of bright and of dark signs and of the pupil's shape."""

    name = "kinds-of-signs"
    draws = 3
    needs_visits = True
    columns = tuple(
        column
        for kind in KINDS
        for column in (
            Column(f"evidence_{kind}", kind, spread="interval"),
            Column(f"evidence_{kind}_n", kind="count"),
        )
    )

    def __init__(self, ground: Ground) -> None:
        """Find the signs and their kinds."""
        super().__init__(ground)
        self.signs = Signs.of(ground)
        self.kinds = kinds(self.signs.maps, pupil_edges(self.signs.twin))

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return (
            "bright, dark, shape: share kept of brighter signs, of darker ones, at the pupil's edge"
        )

    def cells(self, exam: Exam) -> Cells:
        """Return the share kept of each kind, and in how many images there is any."""
        changes, signs = self.signs.changes(exam), self.signs.maps
        cells: Cells = {}
        for kind, pixels in self.kinds.items():
            part = signs * pixels
            energy = (part**2).sum(axis=(1, 2))
            there = energy >= LEAST
            tops = [(change * part).sum(axis=(1, 2))[there] for change in changes]
            bottoms = [energy[there]] * len(tops)
            patient = self.signs.patient[there]
            cells |= ratio_of(tops, bottoms, patient, f"evidence_{kind}")
            cells[f"evidence_{kind}_n"] = int(there.sum())
        return cells
