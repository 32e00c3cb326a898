"""What a federation promises each patient, as one argument: `mp.federate(sites, privacy=...)`."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medpriv_lib.federation.private.accountant import Cost, noise_for
from medpriv_lib.federation.private.at_site import Guard
from medpriv_lib.federation.private.demand import Demand
from medpriv_lib.federation.private.ledger import Ledger
from medpriv_lib.federation.sites import Site


@dataclass(frozen=True)
class Privacy:
    """Differential privacy whose unit is the patient, for all rounds of a training together.

    `epsilon` is the budget of each patient, infinite for a clip without noise; `delta` None is 1 /
    the patients of all sites. Each step draws patients with probability `rate`, takes at most
    `most` images of each, and cuts each patient's gradient to the length `clip` (0: does not cut);
    a round has `steps` of them. `noise` "local": each site adds all of it, so that its update alone
    is private. "distributed": under secure aggregation the sites' shares together make the whole;
    each share is large enough that the smallest sum which is ever opened has all of it, even where
    `colluders` sites subtract theirs. `multiplier` None is the least noise that keeps the budget.
    `ledgers` is the folder where each site's ledger lies. `seeded` draws patients and noise from
    the seed of the training, which protects nobody: for studies. `cost` counts the epsilon that
    ledgers charge (None: both accountants). Raises `ValueError` for a budget
    that is not above 0.
    """

    epsilon: float
    delta: float | None = None
    clip: float = 1.0
    rate: float = 0.25
    most: int = 8
    steps: int = 1
    noise: Literal["local", "distributed"] = "local"
    colluders: int = 0
    multiplier: float | None = None
    ledgers: str | os.PathLike | None = None
    seeded: bool = False
    cost: Cost | None = None

    def __post_init__(self) -> None:
        """Refuse what promises nothing."""
        if not self.epsilon > 0 or self.colluders < 0:
            raise ValueError(
                f"epsilon {self.epsilon} with {self.colluders} colluders: choose an epsilon above "
                "0, and no negative number of colluders"
            )
        if self.noise not in ("local", "distributed"):
            raise ValueError(f"noise is local or distributed, not {self.noise!r}")

    def shares(self, threshold: int | None) -> int:
        """Return the fewest honest sites behind a sum that is opened.

        `threshold` is that of secure aggregation, None without. Raises `ValueError` for distributed
        noise without secure aggregation, and where colluders leave nobody.
        """
        if self.noise == "local":
            return 1
        if threshold is None:
            raise ValueError(
                "distributed noise needs secure aggregation: without it each site's update is seen "
                "with one share of the noise; add aggregation='secure', or take local noise"
            )
        if threshold - self.colluders < 1:
            raise ValueError(
                f"of {threshold} sites in the smallest sum {self.colluders} may collude: nobody's "
                "noise is left; take fewer colluders or a larger threshold"
            )
        return threshold - self.colluders

    def delta_of(self, patients: int) -> float:
        """Return the delta for so many patients at all sites together."""
        return 1 / patients if self.delta is None else self.delta

    def demand(self, rounds: int, patients: int, threshold: int | None = None) -> Demand:
        """Return what every site is asked for. Errors as of `shares` and `noise_for`."""
        shares, noise = self.shares(threshold), self.multiplier
        if noise is None:
            delta = self.delta_of(patients)
            noise = noise_for(self.epsilon, delta, self.rate, rounds * self.steps)
        return Demand(noise, self.clip, self.rate, self.most, self.steps, shares)

    def guards(
        self, sites: Sequence[Site], folder: Path, threshold: int | None = None
    ) -> dict[str, Guard]:
        """Return each site's guard by the site's name, its ledger in `folder`, made where missing.

        Errors as of `Ledger`.
        """
        shares = self.shares(threshold)
        if math.isinf(self.epsilon):
            return {site.name: Guard(None, shares, self.seeded) for site in sites}
        folder.mkdir(parents=True, exist_ok=True)
        delta = self.delta_of(sum(site.patients for site in sites))
        ledgers = {}
        for site in sites:
            path, people = folder / f"{site.name}.json", site.patients
            ledgers[site.name] = Ledger(path, site.name, people, self.epsilon, delta, self.cost)
        return {name: Guard(one, shares, self.seeded) for name, one in ledgers.items()}
