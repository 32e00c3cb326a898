"""The patients of this study: those of a cohort that ships, and invented ones, as many as asked.

Invented people are rendered once, in parts of 500 with seeds of their own, and kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.synthetic.population import population
from medpriv_lib.measures.radiomics.extract import radiomics
from medpriv_lib.measures.radiomics.region import eye_regions

PART = 500  # people rendered at once
TRAINING_SEED, TEST_SEED = 9050, 9100
TEST_PEOPLE, PUBLIC_PEOPLE = 400, 100  # the public ones are no test patients
MOST = 3.0  # spreads
FAMILIES = ("first order", "glcm", "glrlm")


@dataclass(frozen=True, eq=False)
class People:
    """Images (N, S, S) uint8 of patients: `patient` (N,) whose, `diseased` (N,) the label, and
    `features` (N, 59), the radiomics of the iris.
    """

    images: UInt8[np.ndarray, "n s s"]
    patient: Int64[np.ndarray, " n"]
    diseased: Bool[np.ndarray, " n"]
    features: Float[np.ndarray, "n f"]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def take(self, rows: np.ndarray) -> "People":
        """Return the chosen images: `rows` are indices or a mask."""
        return People(
            self.images[rows], self.patient[rows], self.diseased[rows], self.features[rows]
        )

    def first(self, patients: int) -> "People":
        """Return the images of the first so many patients.

        Raises `ValueError` where there are fewer.
        """
        there = np.unique(self.patient)
        if len(there) < patients:
            raise ValueError(
                f"{patients} patients are asked for and {len(there)} are there; render more people"
            )
        return self.take(np.isin(self.patient, there[:patients]))


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and spread of each feature (F,), taken from people who are in no training."""

    mean: Float[np.ndarray, " f"]
    spread: Float[np.ndarray, " f"]

    @classmethod
    def of(cls, features: Float[np.ndarray, "n f"]) -> "Scale":
        """Measure features; a constant one has spread 1."""
        spread = features.std(axis=0)
        return cls(features.mean(axis=0), np.where(spread > 0, spread, 1.0))

    def apply(self, features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n f"]:
        """Return features as multiples of the spread, cut at 3 of them."""
        return np.clip((features - self.mean) / self.spread, -MOST, MOST)


def of_cohort(cohort: Cohort) -> People:
    """Return a cohort's images with their radiomics."""
    regions = eye_regions(cohort.images).iris
    table = radiomics(cohort.images, regions, families=FAMILIES)
    return People(cohort.images, cohort.patient, cohort.diseased, np.nan_to_num(table.values))


def invented(
    people: int, keep: Path, say: Callable[[str], None], test: bool = False, workers: int = 1
) -> People:
    """Return so many invented people with one image each, or (`test`) those of the test.

    What is not in the folder `keep` yet is rendered and written there, a part at a time. An eye
    that the localiser does not find is left out, so there are a few images fewer than people.
    """
    sizes = [TEST_PEOPLE] if test else [PART] * -(-people // PART)
    parts = []
    for number, size in enumerate(sizes):
        seed = (TEST_SEED if test else TRAINING_SEED) + number
        file = keep / f"people-{seed}-{size}.npz"
        if not file.is_file():
            say(f"rendering {size} people (seed {seed})")
            population(size, 1, seed, workers=workers).save(file)
        part = of_cohort(Cohort.load(file))
        parts.append((part, number * PART))
    return People(
        np.concatenate([part.images for part, _ in parts]),
        np.concatenate([part.patient + shift for part, shift in parts]),
        np.concatenate([part.diseased for part, _ in parts]),
        np.concatenate([part.features for part, _ in parts]),
    )
