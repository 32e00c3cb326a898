"""The one protocol that every method fits."""

from typing import Protocol, runtime_checkable

import torch

from medpriv_lib.core.cohort import Cohort, Release


@runtime_checkable
class Privatizer(Protocol):
    """Learns what it needs from training images, then turns any cohort into a release."""

    name: str

    def fit(self, train: Cohort) -> "Privatizer":
        """Take from the training images what the method needs and return the method itself."""
        ...

    def privatize(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return one privatised image per image of `cohort`; every random choice is drawn from
        `generator`."""
        ...
