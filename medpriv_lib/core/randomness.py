"""Random numbers that can be drawn again: one generator for each named part of a computation."""

import hashlib

import torch


def seeded(seed: int, *names: str | int) -> torch.Generator:
    """Return a generator for one named part of the study, so that parts can run alone or in any
    order."""
    text = "/".join(map(str, (seed, *names)))
    return torch.Generator().manual_seed(
        int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
    )
