"""Masks: streams of uniform numbers modulo 2^64 that a short key determines.

AES-256 in counter mode. Each key is used for one mask of one round, so the counter may start at
0. Who lacks the key cannot tell the stream from uniform numbers, as far as anybody knows of AES.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from jaxtyping import UInt64

CHUNK = 1 << 16  # numbers at a time, half a megabyte, so that a chunk stays in the cache
BLOCK = 16  # bytes of AES


def apply(numbers: UInt64[np.ndarray, " n"], key: bytes, sign: int) -> None:
    """Add (`sign` 1) or subtract (-1) the key's mask, in place, modulo 2^64.

    Raises `ValueError` for another sign.
    """
    if sign not in (1, -1):
        raise ValueError(f"a mask is added (1) or subtracted (-1), not taken {sign} times")
    stream = Cipher(algorithms.AES(key), modes.CTR(bytes(BLOCK))).encryptor()
    size = min(CHUNK, len(numbers))
    zeros, drawn = memoryview(bytes(8 * size)), bytearray(8 * size + BLOCK)
    mask = np.frombuffer(drawn, "<u8", size)
    change = np.add if sign == 1 else np.subtract
    for start in range(0, len(numbers), CHUNK):
        part = numbers[start : start + CHUNK]
        stream.update_into(zeros[: 8 * len(part)], drawn)
        change(part, mask[: len(part)], out=part)


def sign_between(site: int, peer: int) -> int:
    """Return whether `site` adds (1) or subtracts (-1) the mask that it shares with `peer`."""
    return 1 if site < peer else -1
