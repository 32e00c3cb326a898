"""Additive shares modulo 2^64, numbers with a fixed point in them, and exact products.

A number x is held as two shares with x = x0 + x1 modulo 2^64. Each share alone is a uniformly
random number. The ring is numpy's uint64, whose sums and products wrap as the mathematics asks for.
"""

import secrets

import numpy as np
from jaxtyping import Float, UInt64

from medpriv_lib.core.extra import ENCRYPTED

U = np.uint64
Ring = UInt64[np.ndarray, "..."]
FRACTION = 20  # bits after the point of activations and weights; products have twice as many
LARGEST = 10  # activations and logits lie between -2^LARGEST and 2^LARGEST
WEIGHT_BITS = 27  # a weight's magnitude in fixed point is below 2^WEIGHT_BITS, or sums are inexact
INNER = 1 << 10  # terms of one sum of products at most: 16 + 27 + 10 bits fill a float64
LIMB = 16


def random_ring(*shape: int) -> Ring:
    """Return uniformly random numbers: AES-128 in counter mode under a fresh key of the operating
    system.
    """
    ciphers = ENCRYPTED.need("cryptography.hazmat.primitives.ciphers")
    key = ciphers.algorithms.AES(secrets.token_bytes(16))
    stream = ciphers.Cipher(key, ciphers.modes.CTR(bytes(16))).encryptor()
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(bytearray(stream.update(bytes(8 * count))), U).reshape(shape)


def share(x: Ring) -> tuple[Ring, Ring]:
    """Split numbers into two shares, each of them uniformly random alone."""
    first = random_ring(*x.shape)
    return first, x - first


def encode(x: Float[np.ndarray, "..."], fraction: int = FRACTION) -> Ring:
    """Round real numbers to multiples of 2^-fraction, negative ones as 2^64 minus their magnitude.

    Raises `ValueError` for NaN and for magnitudes of 2^(62 - fraction) and more.
    """
    scaled = np.rint(np.asarray(x, np.float64) * 2.0**fraction)
    if not bool((np.abs(scaled) < 2.0**62).all()):
        raise ValueError(
            f"values that are NaN or of magnitude 2^{62 - fraction} and more have no fixed point "
            f"with {fraction} bits; check the network's weights and the image"
        )
    return scaled.astype(np.int64).view(U)


def decode(x: Ring, fraction: int = FRACTION) -> Float[np.ndarray, "..."]:
    """Return the real numbers (float64) that `encode` rounded."""
    return np.ascontiguousarray(x).view(np.int64) / 2.0**fraction


def matmul(a: UInt64[np.ndarray, "n k"], b: UInt64[np.ndarray, "k m"]) -> UInt64[np.ndarray, "n m"]:
    """Return the product modulo 2^64, exactly, through float64 matrix products.

    Integer matrices have no fast product in numpy. Cut into four limbs of 16 bits they have: a sum
    of k products of limbs stays below k 2^32, which a float64 holds exactly. Limbs that meet above
    bit 64 vanish, so ten products are left of sixteen. Raises `ValueError` for k above 2^21.
    """
    if a.shape[1] > 1 << 21:
        raise ValueError(f"{a.shape[1]} terms in one sum; 2^21 are the most that stay exact")
    out = np.zeros((a.shape[0], b.shape[1]), U)
    left, right = _limbs(a), _limbs(b)
    for i in range(4):
        for j in range(4 - i):
            out += (left[i] @ right[j]).astype(U) << U(LIMB * (i + j))
    return out


def matmul_small(
    a: UInt64[np.ndarray, "n k"], b: UInt64[np.ndarray, "k m"]
) -> UInt64[np.ndarray, "n m"]:
    """Return the product as `matmul` does, with four products, where the numbers of b are small.

    b holds signed numbers below 2^27 in magnitude and k is at most 2^10 (`refuse_large` says so).
    """
    small = np.ascontiguousarray(b).view(np.int64).astype(np.float64)
    out = np.zeros((a.shape[0], b.shape[1]), U)
    for i, limb in enumerate(_limbs(a)):
        out += (limb @ small).astype(np.int64).view(U) << U(LIMB * i)
    return out


def refuse_large(b: UInt64[np.ndarray, "k m"]) -> None:
    """Raise `ValueError` where `matmul_small` would be inexact for this right factor."""
    largest = int(np.abs(np.ascontiguousarray(b).view(np.int64)).max(initial=0))
    if largest >= 1 << WEIGHT_BITS or b.shape[0] > INNER:
        raise ValueError(
            f"a layer has {b.shape[0]} inputs and weights up to {largest / 2.0**FRACTION:.3g}; "
            f"exact sums allow {INNER} inputs and weights below {2 ** (WEIGHT_BITS - FRACTION)}"
        )


def windows(x: UInt64[np.ndarray, "c h w"], kernel: int) -> UInt64[np.ndarray, "n k"]:
    """Return every window of a convolution as a row: (c, h, w) to (h w, c kernel kernel).

    Zeros surround the image, so that the output has the size of the input. The convolution is then
    the product with a matrix (c kernel kernel, filters).
    """
    channels, height, width = x.shape
    half = kernel // 2
    padded = np.pad(x, ((0, 0), (half, half), (half, half)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (1, 2))
    rows = view.transpose(1, 2, 0, 3, 4).reshape(height * width, channels * kernel * kernel)
    return np.ascontiguousarray(rows)


def _limbs(x: UInt64[np.ndarray, "n m"]) -> list[Float[np.ndarray, "n m"]]:
    mask = U((1 << LIMB) - 1)
    return [((x >> U(LIMB * i)) & mask).astype(np.float64) for i in range(4)]
