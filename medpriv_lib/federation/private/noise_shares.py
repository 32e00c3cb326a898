"""Noise in shares: each site adds a part, and the sum that the server sees has the whole.

Under secure aggregation nobody sees one site's sum, so no site needs noise for itself alone. n
sites that each add normal noise of variance 1/n of the whole protect as one trusted curator would
(Dwork et al. 2006, Our data, ourselves). Two things take noise away: a site that drops out took its
share with it, and sites that collude know their own shares and subtract them.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def share_scale(noise: float, clip: float, sites: int, lost: int = 0) -> float:
    """Return the standard deviation of one site's share.

    `noise` is the noise multiplier that the sum must have, `clip` a patient's bound, `lost` how
    many of the `sites` may drop out or collude: each of the others adds 1 / (sites - lost) of the
    variance, so that the sum has enough even then, and too much where all are there. Raises
    `ValueError` where nobody is left.
    """
    _refuse(sites, lost)
    return noise * clip / math.sqrt(sites - lost)


def noise_left(noise: float, sites: int, lost: int, planned: int = 0) -> float:
    """Return the noise multiplier of the sum after `lost` of the sites dropped out or collude.

    `planned` is how many such the shares were made for.

    This is the number that the ledger must charge: what was left, never what was planned.
    """
    _refuse(sites, lost)
    _refuse(sites, planned)
    return noise * math.sqrt((sites - lost) / (sites - planned))


def add_share(
    total: Float[Tensor, "*shape"],
    noise: float,
    clip: float,
    sites: int,
    generator: torch.Generator,
    lost: int = 0,
) -> Float[Tensor, "*shape"]:
    """Return a site's clipped sum with its share of the noise; arguments as of `share_scale`.

    `generator` is `core.randomness.fresh()` where the noise shall protect: sites with a common seed
    would add the same share.
    """
    scale = share_scale(noise, clip, sites, lost)
    return total + scale * torch.randn(total.shape, generator=generator, dtype=total.dtype)


def _refuse(sites: int, lost: int) -> None:
    if sites < 1 or not 0 <= lost < sites:
        raise ValueError(
            f"{lost} of {sites} sites lost: at least one honest site must remain; stop the round"
        )
