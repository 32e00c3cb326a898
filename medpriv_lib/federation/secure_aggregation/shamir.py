"""A secret as points on a polynomial (Shamir 1979): t of the points give it back, t - 1 nothing.

The polynomial has degree t - 1 over the integers modulo the prime 2^521 - 1, its value at 0 is the
secret, its other coefficients come from the operating system. A secret has 32 bytes, a share 66.
"""

import secrets
from collections.abc import Iterable, Mapping

PRIME = 2**521 - 1
SECRET, SHARE = 32, 66  # bytes


def split(secret: bytes, threshold: int, holders: Iterable[int]) -> dict[int, bytes]:
    """Return each holder's share, the polynomial's value at the holder's number.

    Raises `ValueError` for a secret that has not 32 bytes, for holders that are no different
    numbers from 1 on, and for a threshold that is no number of holders.
    """
    holders = list(holders)
    if len(secret) != SECRET:
        raise ValueError(f"a secret has {SECRET} bytes, not {len(secret)}")
    if len(set(holders)) < len(holders) or min(holders, default=0) < 1:
        raise ValueError(f"the holders {holders} must be different numbers, from 1 on")
    if not 1 <= threshold <= len(holders):
        raise ValueError(f"a threshold of {threshold} for {len(holders)} holders cannot be")
    # from the highest power down to the secret, for Horner's rule
    above = [secrets.randbelow(PRIME) for _ in range(threshold - 1)]
    coefficients = [*above, int.from_bytes(secret, "big")]
    shares = {}
    for x in holders:
        value = 0
        for coefficient in coefficients:
            value = (value * x + coefficient) % PRIME
        shares[x] = value.to_bytes(SHARE, "big")
    return shares


def weights(holders: Iterable[int]) -> dict[int, int]:
    """Return what each holder's share counts in the polynomial's value at 0 (Lagrange).

    The weights depend on who answers and not on the secret: one set serves for all secrets of a
    round. Raises `ValueError` for holders that are no different numbers from 1 on.
    """
    holders = list(holders)
    if len(set(holders)) < len(holders) or min(holders, default=0) < 1:
        raise ValueError(f"the holders {holders} must be different numbers, from 1 on")
    found = {}
    for x in holders:
        above, below = 1, 1
        for z in holders:
            if z != x:
                above = above * z % PRIME
                below = below * (z - x) % PRIME
        found[x] = above * pow(below, -1, PRIME) % PRIME
    return found


def combine(shares: Mapping[int, bytes], by: Mapping[int, int]) -> bytes | None:
    """Return the secret, from the shares of the holders whose `weights` are given.

    Fewer shares than the threshold, or a wrong one, give some other number without any sign of it;
    None where the number does not have the 32 bytes of a secret. Compare with what is known of the
    secret. Raises `KeyError` for a holder without a share.
    """
    total = sum(weight * int.from_bytes(shares[x], "big") for x, weight in by.items()) % PRIME
    return None if total >> 8 * SECRET else total.to_bytes(SECRET, "big")
