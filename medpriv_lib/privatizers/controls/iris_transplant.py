"""The source's own iris in an invented face: it hides from those alone who look at faces."""

import cv2
import numpy as np
import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.controls.on_strangers import OnStrangers
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
    compared = (Compared("own iris in a stranger", {"pupil": "freed"}, random=True, second=True),)

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return the own iris in a stranger for each image."""
        around = self.strangers(cohort, generator)
        size = around.shape[1]
        disc = iris_disc(size, SHARE).astype(np.float32)
        inside = cv2.GaussianBlur(disc, (0, 0), SOFT * size)
        return self.released(around + inside * (cohort.images - around))
