"""The averaged network, which a training keeps beside the one that it trains: each step a little of
the new weights.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


def follow(
    average: Mapping[str, Tensor], state: Mapping[str, Tensor], done: int, ema: float, start: int
) -> None:
    """Move the averaged tensors towards those of the trained network, in place.

    After `done` steps the share that stays is `ema`, but done / (done + `start`) where that is
    smaller, so that the first weights, which were drawn, are soon forgotten. Counters, which are no
    floating-point numbers, stay as they are.
    """
    keys = [key for key in state if state[key].is_floating_point()]
    torch._foreach_lerp_(
        [average[key] for key in keys],
        [state[key] for key in keys],
        1 - min(ema, done / (done + start)),
    )
