"""What reaches whoever reads an update, when something stands before it: a sum, noise, a mask."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from medpriv_lib.attacks.gradient_inversion.gradients import Gradients

FRACTION_BITS = 24  # of the fixed point in which masked numbers are sent
WORD_BITS = 63  # of a masked word; torch draws its integers from this range


def mean_of(updates: Sequence[Gradients]) -> dict[str, Tensor]:
    """Return the mean of several sites' gradients: what a sum over sites shows.

    Raises `ValueError` for no update, or updates of different networks.
    """
    if not updates or any(one.keys() != updates[0].keys() for one in updates):
        raise ValueError(
            f"a mean needs gradients of one and the same network from each site, not these "
            f"{len(updates)}"
        )
    return {name: torch.stack([one[name] for one in updates]).mean(dim=0) for name in updates[0]}


def clipped(gradients: Gradients, bound: float) -> dict[str, Tensor]:
    """Return the gradients, shortened to length `bound` over all parameters where they are longer.

    Raises `ValueError` for a bound of 0 or less.
    """
    if bound <= 0:
        raise ValueError(f"a bound on the length of a gradient is above 0, not {bound}")
    length = length_of(gradients)
    factor = min(1.0, bound / length) if length > 0 else 1.0
    return {name: found * factor for name, found in gradients.items()}


def noisy(gradients: Gradients, deviation: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Return the gradients under Gaussian noise of this standard deviation on every number."""
    return {
        name: found + deviation * torch.randn(found.shape, generator=generator).to(found)
        for name, found in gradients.items()
    }


def masked(gradients: Gradients, generator: torch.Generator) -> dict[str, Tensor]:
    """Return what a server that reads a masked update by force would take for gradients.

    Each number becomes a word in fixed point, a uniform mask is added modulo 2^63, and the
    word is read back as a signed number. A uniform mask makes the word uniform whatever the
    gradient was, so it says nothing. `generator` draws the masks; what is to hide something is
    drawn by `randomness.fresh()`.
    """
    modulus = 1 << WORD_BITS
    out = {}
    for name, found in gradients.items():
        word = (found.double() * 2**FRACTION_BITS).round().long()
        mask = torch.randint(modulus - 1, found.shape, generator=generator)
        # int64 wraps modulo 2^64; the lowest 63 bits are the sum modulo 2^63
        total = (word + mask) & (modulus - 1)
        signed = torch.where(total >= modulus // 2, total - modulus // 2 - modulus // 2, total)
        out[name] = (signed.double() / 2**FRACTION_BITS).to(found.dtype)
    return out


def length_of(gradients: Gradients) -> float:
    """Return the Euclidean length of all gradients as one vector."""
    return math.sqrt(sum(float(found.double().square().sum()) for found in gradients.values()))
