"""What a coordinator asks of every site that learns privately, and how a message holds that."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medpriv_lib.federation.private.accountant import Charge
from medpriv_lib.federation.private.noise_shares import share_scale
from medpriv_lib.federation.private.patient_gradients import Mechanism

FIELDS = ("noise", "clip", "rate", "most", "steps", "shares")


@dataclass(frozen=True)
class Demand:
    """`steps` noised steps in each round, each over patients drawn with probability `rate`, whose
    gradients are cut to the length `clip`, at most `most` images of a patient.

    `noise` is the noise multiplier of the sum that somebody sees. With `shares` 1 each site adds
    all of it. Otherwise each site adds 1 / `shares` of its variance, which is enough where nobody
    sees a sum over fewer than `shares` honest sites; then a round has one step, since a second one
    would begin from weights with too little noise. A clip of 0 is none, without noise. Raises
    `ValueError` for numbers out of range.
    """

    noise: float
    clip: float = 1.0
    rate: float = 0.25
    most: int = 8
    steps: int = 1
    shares: int = 1

    def __post_init__(self) -> None:
        """Refuse what protects nobody."""
        if self.steps < 1 or self.shares < 1 or self.clip < 0:
            raise ValueError(
                f"{self.steps} steps, {self.shares} shares, clip {self.clip}: a round has at least "
                "one step, the noise at least one share, and a clip is not below 0"
            )
        if self.shares > 1 and self.steps > 1:
            raise ValueError(
                f"{self.steps} steps in a round with noise in {self.shares} shares: the second one "
                "would begin from weights with one site's share of noise only; take one a round"
            )
        self.mechanism()

    def mechanism(self) -> Mechanism:
        """Return what one step does to the patients of one site, its own noise included."""
        clip = self.clip or math.inf
        own = share_scale(self.noise, 1.0, self.shares)
        return Mechanism(self.rate, clip, own, self.most)

    def charge(self) -> Charge:
        """Return what one round costs: by the noise of the sum that is seen."""
        return Charge(self.noise, self.rate, self.steps)

    def plain(self) -> list[float]:
        """Return the demand as a message holds it."""
        return [float(getattr(self, name)) for name in FIELDS]


def demand_of(told: Mapping[str, Any]) -> Demand | None:
    """Return what a round's message asks for, None where it asks for no privacy.

    Raises `ValueError` where the message is none of this version.
    """
    values = told.get("demand")
    if not values:
        return None
    if not isinstance(values, Sequence) or len(values) != len(FIELDS):
        raise ValueError(f"the coordinator's message asks for privacy by {values!r}, which is odd")
    by = dict(zip(FIELDS, map(float, values), strict=True))
    whole = {name: int(by[name]) for name in ("most", "steps", "shares")}
    return Demand(**by | whole)  # type: ignore[arg-type]
