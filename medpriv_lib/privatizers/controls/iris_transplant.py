"""The source's own iris in an invented face: it hides from those alone who look at faces."""

from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.controls.on_strangers import OnStrangers
from medpriv_lib.privatizers.painting import Painting
from medpriv_lib.privatizers.protocol import Compared
from medpriv_lib.recognition.views import iris_disc

SHARE = 0.97  # of the iris' circle, which is a little larger than the iris
SOFT = 0.8 / 64  # of the side: standard deviation of the seam


class IrisTransplant(OnStrangers):
    """Release the unaltered pixels inside the source's iris, and a stranger's around it.

    An iris is what identifies a person best, so this must fail wherever privacy is measured
    properly; judges that look at the surroundings pass it.
    """

    name = "iris-transplant"
    title = "Own iris in a stranger"
    marker = "^"
    compared = (
        Compared("own iris in a stranger", {"pupil": "freed"}, random=True, needs_visits=True),
    )

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return the own iris in a stranger for each image."""
        around = self.strangers(cohort, generator)
        inside = _inside(around.shape[1])
        return self.released(around + inside * (cohort.images - around))

    def painting(self, cohort: Cohort) -> Painting:
        """Return the iris of each image, as it would be laid over a stranger."""
        bare, inside = super().painting(cohort), _inside(self.bank.size)
        alpha = np.broadcast_to(inside, bare.alpha.shape)
        return replace(bare, alpha=alpha, ink=inside * cohort.images)


def _inside(size: int) -> Float[np.ndarray, "s s"]:
    """Return how opaque the source's iris is, in 0..1, float32."""
    disc = iris_disc(size, SHARE).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(disc, (0, 0), SOFT * size))
