"""Random numbers: named ones that can be drawn again, and fresh ones that nobody can."""

import hashlib
import secrets

import numpy as np
import torch


def seeded(seed: int, *names: str | int) -> torch.Generator:
    """Return a generator for one named part of a computation, so that parts can run alone or in any
    order.
    """
    text = "/".join(map(str, (seed, *names)))
    digest = hashlib.sha256(text.encode()).digest()[:7]
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def fresh() -> torch.Generator:
    """Return a generator that starts from the operating system's entropy (64 bits)."""
    return torch.Generator().manual_seed(secrets.randbits(63))


def secret_order(count: int) -> np.ndarray:
    """Return 0..count-1 in an order drawn from the operating system's entropy: int64 (count,).

    For everything that hides: the order of files, the numbers of patients in a report. No seed
    leads to such an order, and no generator's state could be guessed from what it gave before.
    """
    order = list(range(count))
    secrets.SystemRandom().shuffle(order)
    return np.array(order, dtype=np.int64)
