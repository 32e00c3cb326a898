"""The second version of the synthetic cohort, as it ships: visits, and one of two designs."""

from functools import cache
from pathlib import Path
from typing import Literal

from medpriv_lib.core.cohort import Cohort

Kind = Literal["confounded", "crossed"]
KINDS: tuple[Kind, ...] = ("confounded", "crossed")
NAMES: dict[Kind, str] = {
    "confounded": "synthetic-iris-visits",
    "crossed": "synthetic-iris-crossed",
}
FOLDER = Path(__file__).with_name("cohorts")


@cache
def second_cohort(kind: Kind = "confounded") -> Cohort:
    """Return a cohort of the second version: 115 invented patients, images of 64x64 with visits,
    evidence and twins.

    "confounded": most patients have one label, as in the paper's data. "crossed": most have images
    with and without the disease, on different visits with different findings. It is read once and
    shared between callers: do not write into its arrays. Raises `ValueError` for another kind, and
    `FileNotFoundError` or `ValueError` where the packaged file is missing or damaged.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown cohort {kind!r}; choose from {', '.join(KINDS)}")
    return Cohort.load(FOLDER / f"{kind}.npz")
