"""An invented eye that has nothing to do with the source: what hiding everything looks like."""

import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.controls.on_strangers import OnStrangers
from medpriv_lib.privatizers.protocol import Compared


class Stranger(OnStrangers):
    """Release a healthy invented eye for each source.

    Perfect privacy, up to the pupil's size where that is kept, and nothing else.
    """

    name = "stranger"
    title = "Invented stranger"
    marker = "^"
    compared = (
        Compared("stranger", {"pupil": "freed"}, random=True, needs_visits=True),
        Compared("stranger, same pupil", {"pupil": "kept"}, random=True, needs_visits=True),
    )

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return one stranger per image."""
        return self.released(self.strangers(cohort, generator))
