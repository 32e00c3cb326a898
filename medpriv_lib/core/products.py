"""Exact products of images as numbers of eight bits, on processors that add these up in 32.

A grey level less 128 is a whole number from -128 to 127. Processors with VNNI (Intel from 2019, AMD
from 2022) multiply such numbers four times as fast as float32; older ones lose what exceeds 16 bits
on the way. So one product of extreme numbers is tried before any other is trusted.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Int8, Int32, UInt8

LEAST_PIXELS = 2  # torch 2.14 takes a matrix of one row for its transpose
MOST_PIXELS = (2**31 - 1) // 128**2  # sums of so many products fit in 32 bits


def signed(images: UInt8[np.ndarray, "n ..."]) -> Int8[np.ndarray, "n p"]:
    """Return the images as rows of pixel values less 128."""
    return (images.reshape(len(images), -1) ^ 128).view(np.int8)


def whole_products(
    a: Int8[np.ndarray, "m p"], b: Int8[np.ndarray, "n p"]
) -> Int32[np.ndarray, "m n"]:
    """Return the products of all rows of two sets of `signed` images; exact where `are_exact`."""
    return torch._int_mm(torch.from_numpy(a), torch.from_numpy(b).T).numpy()


def are_exact(pixels: int) -> bool:
    """Tell whether this machine's products of images of so many pixels are exact."""
    return LEAST_PIXELS <= pixels <= MOST_PIXELS and _tried()


@cache
def _tried() -> bool:
    """Multiply extreme numbers, and tell whether that was possible and the result is exact."""
    generator = np.random.default_rng(0)
    for m, p, n in ((7, LEAST_PIXELS, 9), (33, 257, 40), (64, 4096, 80), (1, 1024, 5)):
        a, b = (
            generator.choice(np.array([-128, -127, 127], np.int8), (rows, p)) for rows in (m, n)
        )
        a[0], b[0], b[1] = 127, 127, -128
        try:
            found = whole_products(a, b)
        except (AttributeError, RuntimeError):
            return False
        if not np.array_equal(found, a.astype(np.float64) @ b.astype(np.float64).T):
            return False
    return True
