"""How a federated training is conducted: how many rounds, and when one counts."""

from dataclasses import dataclass

ROUNDS = 20


@dataclass(frozen=True)
class Rounds:
    """So many rounds; one counts where at least `fewest` sites answered (None: all but one, and at
    least one). Without `validate` nobody is asked how good the network is on validation images.
    """

    count: int = ROUNDS
    fewest: int | None = None
    validate: bool = True

    def least(self, sites: int) -> int:
        """Return how many of so many sites must answer."""
        return max(1, sites - 1) if self.fewest is None else self.fewest
