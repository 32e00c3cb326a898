"""The one error of regions that do not allow a feature, which knows the images it is about."""

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core.not_applicable import NotApplicable


class Undefined(NotApplicable):
    """Some images do not allow a feature: `rows` (M,) says which, `why` the reason and remedy."""

    def __init__(self, rows: Int64[np.ndarray, " m"], why: str) -> None:
        """Say the first of the images and how many there are."""
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        super().__init__(f"image {rows[0]}{more}: {why}")
        self.rows, self.why = rows, why


def refuse(undefined: np.ndarray, why: str) -> None:
    """Raise `Undefined` for the images that a bool array (N,) marks; do nothing where none is."""
    if undefined.any():
        raise Undefined(np.flatnonzero(undefined), why)
