"""The cohort that ships with the package."""

from functools import cache
from pathlib import Path

from medpriv_lib.core.cohort import Cohort

DISEASE = "glaucoma"  # what `diseased` means in the default cohort
DEFAULT_COHORT = Path(__file__).with_name("default_cohort.npz")


@cache
def default_cohort() -> Cohort:
    """Return the synthetic default cohort: 1,795 images of 64x64 of 115 invented patients, with
    evidence and twins.

    It is read once and shared between callers: do not write into its arrays. Raises
    `FileNotFoundError` or `ValueError` where the packaged file is missing or damaged.
    """
    return Cohort.load(DEFAULT_COHORT)
