"""The original: a method that hides nothing."""

import numpy as np
import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Compared, Privatizer


class Original(Privatizer):
    """Release the images as they are: what every other row of the table is compared with.

    `contributors` has shape (N, 0). Nothing is hidden, so nobody may release this.
    """

    name = "original"
    title = "Original"
    marker = "*"
    compared = (Compared("original test set", {}, experiment="baseline"),)
    control = True

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return a copy of every image, in the order given; nothing is drawn."""
        n = len(cohort)
        return Release(
            images=cohort.images.copy(),
            source=np.arange(n, dtype=np.int64),
            contributors=np.empty((n, 0), dtype=np.int64),
            method=self.name,
        )
