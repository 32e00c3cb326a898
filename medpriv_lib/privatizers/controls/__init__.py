"""Controls: methods that no one would release, against which the table's columns must be read.

A method "preserves the disease" only as far as it does better than these, and hides the patient
only as far as it does better than the original. `Original` hides nothing; `RealOther`, `ClassMean`
and `PriorSample` carry the label in by construction or carry nothing of the source at all.

On cohorts whose signs are known there are more. `Stranger` is an invented eye that has nothing to
do with the source. `Stencil` paints the mean sign on it, as strongly as a judge is sure: one number
of the source. `Transplant` lays the source's true signs on it, which nobody could know: as much
evidence, and no more identity than is in the signs, so it is the ceiling of what can be kept.
`IrisTransplant` lays the whole iris on it, and `PlainAutoencoder` only compresses: neither hides.
"""

from medpriv_lib.privatizers.controls.class_mean import ClassMean
from medpriv_lib.privatizers.controls.iris_transplant import IrisTransplant
from medpriv_lib.privatizers.controls.original import Original
from medpriv_lib.privatizers.controls.plain_autoencoder import PlainAutoencoder
from medpriv_lib.privatizers.controls.prior_sample import PriorDecoder, PriorSample
from medpriv_lib.privatizers.controls.real_other import RealOther
from medpriv_lib.privatizers.controls.stencil import Stencil
from medpriv_lib.privatizers.controls.stranger import Stranger
from medpriv_lib.privatizers.controls.transplant import Transplant

__all__ = [
    "ClassMean",
    "IrisTransplant",
    "Original",
    "PlainAutoencoder",
    "PriorDecoder",
    "PriorSample",
    "RealOther",
    "Stencil",
    "Stranger",
    "Transplant",
]
