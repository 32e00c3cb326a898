"""Who stands in for whom: the three policies that choose a replacement identity."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable

POLICIES = ("random", "same", "different")


@dataclass(frozen=True, eq=False)
class Pools:
    """The patients that may lend their identity: the training patients, with what is known of them.

    `names` (P,) the patients' names; `has_label` bool (P, 2), whether patient p has a training
    image without (0) and with (1) the disease. A patient with neither has no training image and
    lends nothing.
    """

    names: np.ndarray
    has_label: Bool[np.ndarray, "p 2"]

    @classmethod
    def of(cls, train: Cohort) -> "Pools":
        """Read the pools from the training images."""
        has_label = np.zeros((train.patients, 2), dtype=bool)
        has_label[train.patient, train.diseased.astype(int)] = True
        return cls(train.patient_names, has_label)

    def numbers(self, cohort: Cohort) -> Int64[np.ndarray, " n"]:
        """Return for each image which training patient it shows, by the patient's name; -1 for a
        patient new to us.
        """
        row = {str(name): i for i, name in enumerate(self.names)}
        of_cohort = np.array(
            [row.get(str(name), -1) for name in cohort.patient_names], dtype=np.int64
        )
        return of_cohort[cohort.patient]

    def candidates(self, cohort: Cohort, policy: str) -> Bool[np.ndarray, "n p"]:
        """Return who may replace the patient of each image.

        "random": every other training patient. "same": other patients with a training image of the
        source's label. "different": other patients with no training image of the source's label.
        The source's own patient never. Raises `ValueError` for an unknown policy.
        """
        if policy not in POLICIES:
            raise ValueError(
                f"unknown policy {policy!r} for the replacement identity; choose from {POLICIES}"
            )
        trained = self.has_label.any(axis=1)
        shares = self.has_label[:, cohort.diseased.astype(int)].T  # (N, P)
        everyone = np.broadcast_to(trained, shares.shape)
        allowed = {"random": everyone, "same": shares, "different": everyone & ~shares}[
            policy
        ].copy()
        known = self.numbers(cohort)
        rows = np.flatnonzero(known >= 0)
        allowed[rows, known[rows]] = False
        return allowed


def draw_identities(
    pools: Pools,
    cohort: Cohort,
    generator: torch.Generator,
    count: int,
    policy: str,
    replace: bool = True,
) -> Int64[np.ndarray, "n count"]:
    """Draw `count` replacement identities per image, uniformly from the policy's pool, as numbers
    of training patients.

    `replace`: whether one image may draw the same identity twice. `generator` is a CPU generator.
    Raises `NotApplicable` where a pool is empty or, without replacement, smaller than `count`; it
    names the image and the policy.
    """
    allowed = pools.candidates(cohort, policy)
    size = allowed.sum(axis=1)
    needed = 1 if replace else count
    if (size < needed).any():
        row = int(np.argmax(size < needed))
        label = "diseased" if cohort.diseased[row] else "healthy"
        name = cohort.patient_names[cohort.patient[row]]
        raise NotApplicable(
            f'policy "{policy}" leaves {size[row]} replacement identities for image {row} '
            f"(patient {name}, {label}) where {needed} are needed; use another policy, a smaller "
            "count or more training patients"
        )
    return torch.multinomial(
        torch.from_numpy(allowed).float(), count, replacement=replace, generator=generator
    ).numpy()
