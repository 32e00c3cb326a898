"""Is one row better than another? Asked image by image, so that what both share cancels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core.intervals import paired

Name = tuple[str, str]
Values = Mapping[Name, Mapping[str, np.ndarray]]

# what every row is held against: the paper's method, a release that holds nothing of the patient's
# own, and the ceiling
AGAINST: tuple[Name, ...] = (
    ("pprl-vgan", "random identities"),
    ("control", "mean sign on a stranger"),
    ("control", "true signs on a stranger, same pupil"),
)


def compared(
    values: Values, patient: Int64[np.ndarray, " n"], against: tuple[Name, ...] = AGAINST
) -> list[dict[str, Any]]:
    """Return by how much each row exceeds each of `against`, in points, with the 95 % interval.

    `values` are those of each test image by row and column (`Exam.values`), `patient` (N,) whose it
    is. A column that one of two rows lacks is left out. `clear` says whether the interval leaves
    out 0.
    """
    found = []
    for other in against:
        for name, columns in values.items():
            for column, one in columns.items():
                two = values.get(other, {}).get(column)
                if name == other or two is None:
                    continue
                mean, low, high = paired(one, two, patient)
                if np.isnan([mean, low, high]).any():
                    continue
                found.append(
                    {
                        "row": "/".join(name),
                        "against": "/".join(other),
                        "column": column,
                        "difference": round(100 * mean, 2),
                        "low": round(100 * low, 2),
                        "high": round(100 * high, 2),
                        "clear": bool(low > 0 or high < 0),
                    }
                )
    return found
