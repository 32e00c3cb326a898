"""Real numbers as integers modulo 2^64, so that sums are exact and masks can be uniform.

A value x of a site with w patients becomes round(w x 2^24), negative ones 2^64 minus their
magnitude. The number of patients itself is the last number, so that the sum brings the divisor of
the mean along. The sum over sites is exact as long as its magnitude stays below 2^63, which each
site ensures alone: with n sites none sends more than (2^63 - 1) / n.
"""

import numpy as np
from jaxtyping import Float, UInt64

FRACTION = 24  # bits after the point
MOST_PATIENTS = 2**40  # of all sites; a number that is no sum of counts is above with 1 - 2^-24
HALF = 2**63 - 1  # the largest magnitude that a signed number modulo 2^64 has


def most(sites: int) -> int:
    """Return the largest magnitude that each of `sites` numbers may have, so that no sum wraps."""
    return HALF // sites


def error(sites: int, patients: int) -> float:
    """Return how far a mean over all patients is off at most, from rounding alone.

    Each site's number is off by at most half a step. Holds where w x 2^24 is below 2^53, so that
    float64 itself rounds nothing.
    """
    return sites * 0.5 / 2**FRACTION / patients


def encode(
    values: Float[np.ndarray, " n"], patients: int, sites: int
) -> UInt64[np.ndarray, " n+1"]:
    """Return the values times `patients` in fixed point, and the number of patients behind them.

    Raises `ValueError`, before anything is sent, for NaN and infinite values, for less than one
    patient, and for magnitudes whose sum over `sites` could wrap.
    """
    if patients < 1:
        raise ValueError(f"a site's update counts {patients} patients; it must count at least one")
    scaled = np.rint(np.asarray(values, np.float64) * patients * 2.0**FRACTION)
    if not np.isfinite(scaled).all():
        bad = int((~np.isfinite(scaled)).sum())
        raise ValueError(
            f"{bad} of {scaled.size} values are NaN or infinite, and one of them makes the whole "
            "sum worthless; nothing was sent: look at this site's training"
        )
    largest, bound = int(np.abs(scaled).max(initial=0)), most(sites)
    if largest > bound or patients >= MOST_PATIENTS:
        raise ValueError(
            f"a value of magnitude {largest / 2**FRACTION / patients:.3g} with {patients} patients "
            f"could wrap a sum over {sites} sites, which allows "
            f"{bound / 2**FRACTION / patients:.3g}; nothing was sent: clip the update or look at "
            "the training"
        )
    return np.append(scaled.astype(np.int64), np.int64(patients)).view(np.uint64)


def decode(total: UInt64[np.ndarray, " n+1"], sites: int) -> tuple[Float[np.ndarray, " n"], int]:
    """Return the mean over all patients (float64), and how many patients there are.

    Raises `ValueError` where the last number is no possible count: the masks did not cancel. A sum
    under masks passes this check with a chance below 2^-23.
    """
    signed = np.ascontiguousarray(total).view(np.int64)
    patients = int(signed[-1])
    if not sites <= patients < MOST_PATIENTS:
        raise ValueError(
            f"the sum says {patients} patients at {sites} sites, so the masks did not cancel: the "
            "sites masked for different models or lists, or one of them sent something else"
        )
    return signed[:-1] / (patients * 2.0**FRACTION), patients
