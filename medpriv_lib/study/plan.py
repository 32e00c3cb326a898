"""What the study attacks, how often, and what its attackers may spend."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from medpriv_lib.attacks.budget import LONG, Budget
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.pipeline.weights import VGAN
from medpriv_lib.study.rows import Method, methods

Name = tuple[str, str]

DRAWS = 3
# attackers also trained from scratch, as a check
SCRATCH: tuple[Name, ...] = (("blur", "kernel 9"), ("pprl-vgan", "random identities"))
VERSION = 10  # raise it when the same release would be attacked in another way


@dataclass(frozen=True, eq=False)
class Plan:
    """What is attacked and how often: `draws` random draws of each release, attackers of each of
    `seeds`.

    `only` names the rows (experiment, set), None means all; `repeated` those that further seeds
    attack too, None means all of them; `scratch` whether some attackers are also trained from
    scratch; `seed` is that of the releases, as in the table; `attackers` names the attacks, None
    means all; `budget` is what they may spend.
    """

    draws: int = DRAWS
    seeds: tuple[int, ...] = (0,)
    only: tuple[Name, ...] | None = None
    scratch: bool = True
    seed: int = 0
    repeated: tuple[Name, ...] | None = None
    attackers: tuple[str, ...] | None = None
    budget: Budget = LONG

    def rows(self, visits: bool = False) -> list[Method]:
        """Return the rows to attack, with `visits` those of a cohort that has some.

        Raises `ValueError` for a name that the study does not have.
        """
        listed = methods(visits)
        names = {row.name for row in listed}
        unknown = [name for name in self.only or () if name not in names]
        if unknown:
            raise ValueError(
                f"no method is called {' / '.join(unknown[0])}; the table's first two columns "
                "list them"
            )
        return [row for row in listed if self.only is None or row.name in self.only]

    def again(self, row: Method) -> bool:
        """Say whether further seeds attack a row too."""
        return self.repeated is None or row.name in self.repeated

    def from_scratch(self, row: Method) -> bool:
        """Say whether a row is also attacked by attackers that are trained from scratch."""
        return self.scratch and row.name in SCRATCH

    def key(self, cohort: Cohort, row: Method, cards: Mapping[str, str], seed: int) -> str:
        """Name a result by what it depends on: draws where they differ, the generator where the
        method uses it.
        """
        if row.cls.needs != "weights":
            cards = {name: value for name, value in cards.items() if name != VGAN}
        text = repr(
            (
                VERSION,
                cohort.hash(),
                row.name,
                row.labels,
                self.draws if row.random else 1,
                self.from_scratch(row),
                self.seed,
                seed,
                sorted(cards.items()),
                self.attackers,
                self.budget,
            )
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_name(row: Method) -> str:
    """Return the name of a row for files."""
    return f"{row.experiment}-{row.set}".replace(" ", "-").replace(",", "")
