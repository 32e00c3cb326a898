"""The synthetic cohorts that ship with the package: visits, and one of two designs."""

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
DISEASE = "glaucoma"  # what the label of both says
FOLDER = Path(__file__).with_name("cohorts")


@cache
def packaged_cohort(kind: Kind) -> Cohort:
    """Return a synthetic cohort: 115 invented patients, 1,795 images of 64x64 with visits,
    evidence and twins.

    "confounded": most patients have one label, as in the paper's data. "crossed": most have images
    with and without the disease, on different visits with different findings. It is read once and
    shared between callers: do not write into its arrays. Raises `ValueError` for another kind, and
    `FileNotFoundError` or `ValueError` where the packaged file is missing or damaged.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown cohort {kind!r}; choose from {', '.join(KINDS)}")
    return Cohort.load(FOLDER / f"{kind}.npz")


def default_cohort() -> Cohort:
    """Return the packaged cohort "confounded": what is used where no other one is named."""
    return packaged_cohort("confounded")


def disease_of(name: str) -> str:
    """Return what the label of a cohort of this name says, in a word for tables and figures.

    Glaucoma for the package's own cohorts; what others label nobody has told: "disease".
    """
    return DISEASE if name in NAMES.values() else "disease"
