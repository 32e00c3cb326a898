"""What the controls on invented eyes share: the strangers, and how wide their pupils are."""

from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.release import Release
from medpriv_lib.data.eyes.pupil_ratio import pupil_ratios
from medpriv_lib.privatizers.painting import Painting
from medpriv_lib.privatizers.protocol import Parameter, Privatizer, Resources
from medpriv_lib.privatizers.strangers import ONE_SIZE, Strangers

BANK = "strangers"  # in `Resources.trained`, and the name of the file
PUPIL = Parameter(
    "pupil",
    "freed",
    "the stranger's pupil: of a size drawn at random, as wide as the source's, or of one size",
    choices=("freed", "kept", "fixed"),
)


def bank_of(resources: Resources) -> Strangers:
    """Return the bank that is in memory, that of the weights' folder, or the one that ships.

    Raises `NotApplicable` where there is none.
    """
    if BANK in resources.trained:
        bank: Strangers = resources.trained[BANK]
        return bank
    folders = [weights.FOLDER] if resources.weights is None else [resources.weights, weights.FOLDER]
    for folder in folders:
        if (folder / f"{BANK}.npz").is_file():
            return Strangers.load(folder / f"{BANK}.npz")
    raise NotApplicable(f"there is no bank of strangers ({folders[-1] / BANK}.npz)")


def pupils_of(cohort: Cohort) -> Float[np.ndarray, " n"]:
    """Return pupil over iris of each image in nominal iris radii, float32.

    Where twins are known they are looked at: a sign at the pupil's edge does not change it, and
    image and twin get the same number.
    """
    return pupil_ratios(cohort.images if cohort.twin is None else cohort.twin)


class OnStrangers(Privatizer):
    """A control that shows a stranger in place of each source; what it lays on him is its own.

    `pupil` "freed" draws the size of the stranger's pupil, "kept" takes the source's, "fixed"
    is `ONE_SIZE` for everybody. Nobody is a contributor: strangers are invented. Strangers and
    sizes depend on the number of images and the generator only, so that an image and its twin
    get the same. Raises `NotApplicable` for images of another size than the bank's.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = (PUPIL,)
    needs = "weights"
    control = True

    def __init__(self, bank: Strangers, pupil: str = "freed") -> None:
        """Take a bank of strangers."""
        self.check({"pupil": pupil})
        self.bank, self.pupil = bank, pupil

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the control with the bank in memory, of the weights' folder, or shipped."""
        cls.check(settings)
        return cls(bank_of(resources), **settings)

    @property
    def most(self) -> int | None:
        """How many strangers there are: nobody is shown twice in one release."""
        return len(self.bank)

    def strangers(self, cohort: Cohort, generator: torch.Generator) -> Float[np.ndarray, "n s s"]:
        """Return a stranger for each image, in grey levels, float32."""
        self._require(cohort)
        n = len(cohort)
        person = self.bank.choose(n, generator)
        free = torch.rand(n, generator=generator).numpy()
        if self.pupil == "kept":
            return self.bank.shown(person, pupils_of(cohort))
        if self.pupil == "fixed":
            return self.bank.shown(person, np.full(n, ONE_SIZE, dtype=np.float32))
        least, most = float(self.bank.ratio.min()), float(self.bank.ratio.max())
        return self.bank.shown(person, (least + (most - least) * free).astype(np.float32))

    def painting(self, cohort: Cohort) -> Painting:
        """Return what would be painted for each image, as of `painting.Painter`: here nothing at
        all. A control that lays something on the strangers overrides this.
        """
        self._require(cohort)
        nothing = np.zeros(cohort.images.shape, dtype=np.float32)
        ratio = pupil_ratios(cohort.images) if self.pupil == "kept" else None
        return Painting(self.bank, nothing, nothing, ratio)

    def _require(self, cohort: Cohort) -> None:
        size = self.bank.size
        if cohort.images.shape[1:] != (size, size):
            raise NotApplicable(
                f"the strangers are grey images of {size} pixels, the cohort's are "
                f"{cohort.images.shape[1:]}"
            )

    def released(self, levels: Float[np.ndarray, "n s s"]) -> Release:
        """Return the release of these grey levels, rounded and clipped."""
        n = len(levels)
        return Release(
            images=np.clip(np.rint(levels), 0, 255).astype(np.uint8),
            source=np.arange(n, dtype=np.int64),
            contributors=np.empty((n, 0), dtype=np.int64),
            method=self.name,
            parameters=self.settings,
        )
