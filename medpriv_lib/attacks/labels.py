"""What an attack reaches on images without and with the disease, apart.

A method may hide the healthy and expose those whose signs it keeps: one mean over both hides that.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import mean_interval

LABELS = ("healthy", "diseased")
Outcomes = tuple[Float[np.ndarray, " h"], Int64[np.ndarray, " h"]]


def by_label(
    outcomes: Mapping[str, Outcomes], cohort: Cohort
) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return label -> measure -> (mean, low, high) with the 95 % interval over patients.

    `outcomes` are, for each measure, values in 0..1 and the row of `cohort` that each belongs to; a
    label without any is left out.
    """
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for measure, (values, rows) in outcomes.items():
        for number, label in enumerate(LABELS):
            mine = cohort.diseased[rows] == bool(number)
            if mine.any():
                some = np.asarray(values, dtype=np.float64)[mine]
                ends = mean_interval(some, cohort.patient[rows[mine]])
                found.setdefault(label, {})[measure] = (float(some.mean()), *ends)
    return found
