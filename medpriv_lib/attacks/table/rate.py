"""What one of these attacks reached, beside guessing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.intervals import mean_interval


@dataclass(frozen=True)
class Rate:
    """`attack` in a few words and what its attacker `knows`; the `value` with its 95 % interval
    over patients, what guessing reaches (`chance`), and over how many (`n`, of `what`).
    """

    attack: str
    knows: str
    value: float
    low: float
    high: float
    chance: float
    n: int
    what: str

    @property
    def above(self) -> float:
        """How far the value is from guessing, as a share of what there is to gain."""
        return (self.value - self.chance) / (1 - self.chance)

    def as_dict(self) -> dict:
        """Return the fields, rounded to four digits, for a file of results."""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class Hits:
    """Answers of an attacker in one training: `right` (N,) which, or how likely each is where the
    attacker draws among several; `patient` (N,) about whom, and how often a guess is right
    (`chance`).
    """

    right: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"]
    patient: Int64[np.ndarray, " n"]
    chance: float


def rate(attack: str, knows: str, hits: Sequence[Hits]) -> Rate:
    """Return the share of right answers over several trainings; the interval draws patients, each
    with all answers about them. Raises `ValueError` where there is no answer.
    """
    right = np.concatenate([one.right for one in hits])
    patient = np.concatenate([one.patient for one in hits])
    low, high = mean_interval(right, patient)
    chance = float(np.mean([one.chance for one in hits]))
    return Rate(attack, knows, float(right.mean()), low, high, chance, len(right), "answers")
