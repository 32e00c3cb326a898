"""Random numbers: named ones that can be drawn again, and fresh ones that nobody can."""

import hashlib
import re
import secrets

import numpy as np
import torch

# where torch's CPU generator keeps the words of the Mersenne Twister: behind seed, counters, place
STATE, WORDS = 24, 624


def seeded(seed: int, *names: str | int) -> torch.Generator:
    """Return a generator for one named part of a computation, so that parts can run alone or in any
    order.
    """
    text = "/".join(map(str, (seed, *names)))
    digest = hashlib.sha256(text.encode()).digest()[:7]
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def fresh() -> torch.Generator:
    """Return a generator that starts from 256 bits of the operating system's entropy."""
    return begun(fresh_start())


def fresh_start() -> str:
    """Return a start that nobody can guess: 64 hexadecimal digits from the operating system."""
    return secrets.token_hex(32)


def begun(start: str) -> torch.Generator:
    """Return the generator of a start of `fresh_start`; the same start gives the same numbers.

    `manual_seed` uses 32 bits of a seed, which can be tried out in hours. Here the whole state of
    the Mersenne Twister, 624 words, is filled from the start (SHAKE-256). Raises `ValueError` for
    anything but 64 hexadecimal digits.
    """
    if not isinstance(start, str) or not re.fullmatch("[0-9a-f]{64}", start):
        raise ValueError("the start of a generator is written as 64 hexadecimal digits")
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    words = state.numpy()[STATE : STATE + 8 * WORDS].view(np.uint64)  # 32 bits in 64
    stream = hashlib.shake_256(bytes.fromhex(start)).digest(4 * WORDS)
    words[:] = np.frombuffer(stream, dtype="<u4")
    return generator.set_state(state)


def secret_order(count: int) -> np.ndarray:
    """Return 0..count-1 in an order drawn from the operating system's entropy: int64 (count,).

    For everything that hides: the order of files, the numbers of patients in a report. No seed
    leads to such an order, and no generator's state could be guessed from what it gave before.
    """
    order = list(range(count))
    secrets.SystemRandom().shuffle(order)
    return np.array(order, dtype=np.int64)
