"""Do these images show eyes where preparation puts them?

Whoever reads a pupil at the place where `prepare` puts it gets a number from any image, of a chest
or of noise, too. So some images are looked at by the localiser, which knows nothing of that place:
in most of them it must be sure of an iris in the middle, of the size that preparation gives it.
"""

import numpy as np
from jaxtyping import UInt8

from medpriv_lib.data.eyes.examine import examine
from medpriv_lib.data.frame import CROP_DIAMETERS

LOOKED_AT = 20  # images: one takes 8 ms where it is an eye, 80 ms where it is none
MOST = 0.5  # the least share of eyes among them: of three cohorts of eyes it is .97 or more
OFF = 0.07  # of the side: how far the iris may lie from the middle
SIZE = 0.2  # by which share its radius may differ


def show_eyes(images: UInt8[np.ndarray, "n s s"]) -> bool:
    """Say whether square grey images of at least 32 px are of eyes, prepared as a cohort's are.

    Twenty images are looked at, spread evenly over all. Raises what `locate` raises.
    """
    rows = np.unique(np.linspace(0, len(images) - 1, min(len(images), LOOKED_AT)).astype(np.int64))
    found = [_is_prepared(image) for image in images[rows]]
    return float(np.mean(found)) >= MOST


def _is_prepared(image: UInt8[np.ndarray, "s s"]) -> bool:
    side, finding = image.shape[0], examine(image)
    if not finding.sure or finding.eye is None:
        return False
    middle, radius, eye = (side - 1) / 2, side / (2 * CROP_DIAMETERS), finding.eye
    away = np.hypot(eye.iris_x - middle, eye.iris_y - middle)
    return bool(away <= OFF * side and abs(eye.iris_r - radius) <= SIZE * radius)
