"""The cohort that ships with the package."""

from functools import cache
from pathlib import Path

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.second import NAMES

DEFAULT_COHORT = Path(__file__).with_name("default_cohort.npz")
DEFAULT_NAME, DEFAULT_DISEASE = "synthetic-iris", "glaucoma"


@cache
def default_cohort() -> Cohort:
    """Return the synthetic default cohort: 1,795 images of 64x64 of 115 invented patients, with
    evidence and twins.

    It is read once and shared between callers: do not write into its arrays. Raises
    `FileNotFoundError` or `ValueError` where the packaged file is missing or damaged.
    """
    return Cohort.load(DEFAULT_COHORT)


def disease_of(name: str) -> str:
    """Return what the label of a cohort of this name says, in a word for tables and figures.

    Glaucoma for the package's own cohorts; what others label nobody has told: "disease".
    """
    return DEFAULT_DISEASE if name in (DEFAULT_NAME, *NAMES.values()) else "disease"
