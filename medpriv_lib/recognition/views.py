"""The iris alone and its surroundings alone: two views of a prepared eye, and who is in it.

Preparation puts the iris in the middle of a square of `CROP_DIAMETERS` iris diameters, so the
circle is known without looking for it; it is a little larger than the true iris (.7 to 2.8 %, as
the localiser's). The lids that lie over the circle belong to the iris' view.
"""

from enum import StrEnum

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.frame import CROP_DIAMETERS


class View(StrEnum):
    """What of the image is shown; the rest is grey (0 of [-1, 1])."""

    WHOLE = "whole"
    IRIS = "iris"
    SURROUNDINGS = "surroundings"


def iris_disc(size: int, share: float = 1.0) -> Bool[np.ndarray, "s s"]:
    """Return the pixels of a prepared image (size, size) inside the iris' circle.

    `share` scales its radius of size / (2 * 1.4) px.
    """
    along = np.arange(size) - (size - 1) / 2
    away = np.hypot(along[:, None], along[None])
    return np.asarray(away <= share * size / (2 * CROP_DIAMETERS))


def seen(x: Float[Tensor, "n c s s"], view: View) -> Float[Tensor, "n c s s"]:
    """Return images in [-1, 1] as this view shows them."""
    if view is View.WHOLE:
        return x
    disc = torch.from_numpy(iris_disc(x.shape[-1])).to(x.device)
    return x * (disc if view is View.IRIS else ~disc)


def some_view(x: Float[Tensor, "n c s s"], generator: torch.Generator) -> Float[Tensor, "n c s s"]:
    """Return each image in a view drawn for it: half of them whole, a quarter in each other.

    Drawn from a CPU generator, the same on every device.
    """
    drawn = torch.rand(len(x), 1, 1, 1, generator=generator).to(x.device, non_blocking=True)
    disc = torch.from_numpy(iris_disc(x.shape[-1])).to(x.device, non_blocking=True)
    shown = (drawn < 0.5) | ((drawn < 0.75) & disc) | ((drawn >= 0.75) & ~disc)
    return x * shown


def eye_numbers(cohort: Cohort) -> Int64[np.ndarray, " n"]:
    """Return the number of each image's eye: twice the patient's, one more for a right eye.

    Raises `NotApplicable` where the cohort does not say which eye an image shows.
    """
    if (cohort.eye == "").any():
        raise NotApplicable("the cohort does not say which eye its images show")
    return 2 * cohort.patient + (cohort.eye == "R")
