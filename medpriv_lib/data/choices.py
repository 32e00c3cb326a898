"""What somebody chooses where files become a cohort: how each is cut, how all are split, and what
is refused.
"""

from dataclasses import dataclass

import numpy as np

from medpriv_lib.data.split import split_groups, split_images

SIZES = (8, 4096)  # of a prepared image, px


@dataclass(frozen=True)
class Cut:
    """How one image is cut out: to `size` x `size` px (8 to 4096), in grey or in `colour`.

    With `localize` the label strip is cut off, the iris is found and becomes the centre of a square
    of 1.4 iris diameters; without, the largest centred square is kept, for images that are no eyes.
    """

    size: int = 64
    localize: bool = True
    colour: bool = False

    def __post_init__(self) -> None:
        """Refuse sizes that are too small or too large."""
        least, most = SIZES
        if self.size < least:
            raise ValueError(f"size is {self.size}; use {least} or more pixels")
        if self.size > most:
            raise ValueError(f"size is {self.size}; use {most} or fewer pixels")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return (self.size, self.size, 3) if self.colour else (self.size, self.size)


@dataclass(frozen=True)
class Split:
    """What stays together in train, val or test: `by` "image" (as the paper; patients are in all
    splits), "eye" or "patient". The same `seed` gives the same split.
    """

    by: str = "image"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an unknown unit."""
        if self.by not in ("image", "eye", "patient"):
            raise ValueError(f"split_by is {self.by!r}; use image, eye or patient")

    def of(self, patient: np.ndarray, eye: np.ndarray, diseased: np.ndarray) -> np.ndarray:
        """Return "train", "val" or "test" of each image (N,)."""
        rng = np.random.default_rng(self.seed)
        if self.by == "image":
            return split_images(patient, diseased, rng)
        unit = patient if self.by == "patient" else 2 * patient + (eye == "R")
        return split_groups(unit, diseased, rng)


@dataclass(frozen=True)
class Care:
    """What a preparation refuses.

    `least_kept`, the share (0 to 1) of what should be images that must not be lost; `doubles`, what
    happens where two patients seem to be one person, by two spellings of a name or by one picture
    under both: "refuse", or "report", which counts them as two and says so; `keep_single` accepts
    patients with one image, who cannot be in training and in test of a split by image.
    """

    least_kept: float = 0.9
    doubles: str = "refuse"
    keep_single: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no share and what is no choice."""
        if not 0 <= self.least_kept <= 1:
            raise ValueError(f"least_kept is {self.least_kept}; use a share from 0 to 1")
        if self.doubles not in ("refuse", "report"):
            raise ValueError(f"doubles is {self.doubles!r}; use refuse or report")


USUAL_CUT, USUAL_SPLIT = Cut(), Split()
STRICT, LENIENT = Care(), Care(keep_single=True)
