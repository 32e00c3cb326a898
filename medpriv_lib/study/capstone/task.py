"""The pictures of the capstone: which are to be shown, and which the held attacker holds."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.data.synthetic.population import population

PATIENTS = 40
EACH = 4  # images of a person of the unseen set: two to show, two in the attacker's hands
HELD = 6  # photographs of a patient of the practice set that the attacker holds, at most


@dataclass(frozen=True, eq=False)
class Task:
    """A cohort whose rows `shown` are to be privatised, and whose rows `known` the attacker holds,
    with names: other photographs of the same eyes.
    """

    cohort: Cohort
    shown: Int64[np.ndarray, " n"]
    known: Int64[np.ndarray, " m"]

    def blind(self, rows: Int64[np.ndarray, " k"], twins: bool = False) -> Cohort:
        """Return rows as a submission sees them: images and labels, without names, visits, truth.

        With `twins` the same eyes without the disease, under the same labels.
        """
        part = self.cohort.take(rows)
        number = np.arange(len(part), dtype=np.int64)
        images = part.images if not twins or part.twin is None else part.twin
        return replace(
            part,
            images=images,
            patient=number,
            patient_names=np.array([f"case {one}" for one in number]),
            evidence=None,
            twin=None,
            visit=np.ones(len(part), dtype=np.int64),  # the cohorts' camera, and no more
            row=number,
            name="capstone",
        )


def practice(patients: int = PATIENTS) -> Task:
    """Return the set to practise on: the first patients of the cohort "crossed" that ships."""
    cohort = packaged_cohort("crossed")
    few = cohort.take(np.flatnonzero(cohort.patient < patients))
    train = np.flatnonzero(few.split == "train")
    held = train[_places(few.patient[train]) < HELD]
    return Task(few, np.flatnonzero(few.split == "test"), held)


def unseen(seed: int, patients: int = PATIENTS, workers: int | None = None) -> Task:
    """Return invented people whom nobody has seen, two images of each to show and two to hold.

    `seed` is to come from the operating system, so that no submission can know the people. Every
    image has findings and a visit of its own. Raises `ValueError` for fewer than five people.
    """
    cohort = population(patients, EACH, seed, workers=workers)
    first = _places(cohort.patient) < EACH // 2
    return Task(cohort, np.flatnonzero(first), np.flatnonzero(~first))


def _places(patient: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return how many images of the same patient stand before each image."""
    return np.array([(patient[:i] == p).sum() for i, p in enumerate(patient)], dtype=np.int64)
