"""Numbers too small for the processor's fast path, rounded to zero while a network is trained."""

import contextlib
import sys
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def denormals_are_zero() -> Iterator[None]:
    """Let the processor round denormal numbers to zero inside the block, and leave its setting as it
    was.

    Late in a training activations and moments fall below 1e-38, and a processor takes many times as
    long for such numbers.
    """
    before = _rounded_to_zero()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _rounded_to_zero() -> bool:
    # torch sets the processor's flag and does not tell it: half of the smallest normal number does
    return sys.float_info.min / 2 == 0
