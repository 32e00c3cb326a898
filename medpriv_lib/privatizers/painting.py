"""What a method that paints on public strangers gives to whoever can run it: its layers.

A release of such a method is, before rounding,

    (1 - alpha) s + ink

with s a stranger of a public bank; alpha and ink depend on the source alone (Porter, Duff 1984: ink
is a colour v that is multiplied by its opacity already, alpha v). Whoever has the bank can find s,
subtract it, and ask whose layer is left. A method offers that by having the verb `painting`;
nothing has to be registered.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.privatizers.strangers import Strangers


@dataclass(frozen=True, eq=False)
class Painting:
    """What would be laid over a stranger for each of N images, and over whom.

    `bank` the strangers; `alpha` in 0..1 and `ink` in grey levels, (N, S, S); `ratio` (N,) pupil
    over iris of the stranger as far as it follows the image, None where it never does. Raises
    `ValueError` for parts that do not fit together.
    """

    bank: Strangers
    alpha: Float[np.ndarray, "n s s"]
    ink: Float[np.ndarray, "n s s"]
    ratio: Float[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        shape = (len(self.alpha), self.bank.size, self.bank.size)
        if self.alpha.shape != shape or self.ink.shape != shape:
            raise ValueError(
                f"alpha and ink on strangers of {self.bank.size} px must be {shape}, not "
                f"{self.alpha.shape} and {self.ink.shape}"
            )
        if self.ratio is not None and self.ratio.shape != shape[:1]:
            raise ValueError(f"`ratio` must be ({shape[0]},): one for each image")

    def over(self, strangers: Float[np.ndarray, "n s s"]) -> Float[np.ndarray, "n s s"]:
        """Return the layers over one stranger each, in grey levels, not rounded."""
        return (1 - self.alpha) * strangers + self.ink


@runtime_checkable
class Painter(Protocol):
    """A method that paints on public strangers."""

    def painting(self, cohort: Cohort) -> Painting:
        """Return what the method lays over a stranger for each image of `cohort`, with its present
        settings, as far as the images alone tell.

        A twin without the disease is not looked at: nobody has one of a real eye. Raises
        `NotApplicable` for images that the method does not take.
        """
