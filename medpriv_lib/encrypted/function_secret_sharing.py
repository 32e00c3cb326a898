"""Distributed comparison functions: two keys, each alone meaningless, whose values add up to
"beta where x < alpha, else 0".

Boyle, Gilboa, Ishai (2019), *Secure computation with preprocessing via function secret sharing*,
and Boyle et al. (2021), *Function secret sharing for mixed-mode and fixed-point secure
computation*, Figure 1. A key describes a binary tree over the bits of x. Each of its nodes has a
seed of 127 bits and a control bit. Off the path to alpha both parties hold the same seed and the
same bit, so that whatever they add there cancels; on the path their seeds are independent and their
bits differ, so that a correction word, which both hold, is applied by exactly one of them.

The generator is AES-128 with fixed, public keys, in the form of Matyas, Meyer and Oseas: a child is
AES(s) xor s, which cannot be run backwards. A node's left child comes from s, the right one from s
with its last bit flipped; seeds and values have a key of AES each. All comparisons of a batch go
through the tree together, as arrays.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt64

from medpriv_lib.core.extra import ENCRYPTED
from medpriv_lib.encrypted.shares import U, random_ring

Numbers = UInt64[np.ndarray, " n"]
Blocks = UInt64[np.ndarray, "n 2"]
LANES = 2  # numbers modulo 2^64 in a value, as many as a block of AES holds
BATCH = 4096  # comparisons that go through the tree together: their arrays stay in the cache
ONE, ALL = U(1), U(0xFFFFFFFFFFFFFFFF)
SEEDS, VALUES, LAST = b"medpriv: seeds  ", b"medpriv: values ", b"medpriv: leaves "


@dataclass(frozen=True, eq=False)
class Key:
    """One party's key of n comparisons over numbers of `bits` bits.

    `root` (n, 2) differs between the parties. The correction words are the same for both: `seeds`
    (bits, n, 2), `values` (bits, n, 2) and `turns` (bits, n), whose bit 0 belongs to the left child
    and bit 1 to the right one, and `last` (n, 2) for the leaves.
    """

    root: Blocks
    seeds: UInt64[np.ndarray, "bits n 2"]
    values: UInt64[np.ndarray, "bits n 2"]
    turns: UInt8[np.ndarray, "bits n"]
    last: Blocks

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays in the order in which they are sent."""
        return [self.root, self.seeds, self.values, self.turns, self.last]

    @staticmethod
    def shapes(count: int, bits: int) -> list[tuple[tuple[int, ...], type]]:
        """Return shape and type of each array of a key, in the order of `arrays`."""
        words = (bits, count, LANES)
        pair = (count, LANES)
        return [(pair, U), (words, U), (words, U), ((bits, count), np.uint8), (pair, U)]


def deal(alpha: Numbers, beta: Blocks, bits: int, batch: int = BATCH) -> tuple[Key, Key]:
    """Return the two keys of f(x) = beta where x < alpha, else 0, for x and alpha of `bits` bits.

    alpha (n,) lies in 0..2^bits - 1, beta (n, 2) anywhere modulo 2^64; `batch`
    comparisons go through the tree at once. Raises `ValueError` for
    alpha outside of its range, and for bits outside 1..63.
    """
    _refuse(alpha, bits, "alpha")
    if beta.shape != (len(alpha), LANES):
        raise ValueError(f"beta has shape {beta.shape} and must have {(len(alpha), LANES)}")
    count = len(alpha)
    roots = [_without_bit(random_ring(count, LANES)) for _ in range(2)]
    empty: list[np.ndarray] = [np.empty(shape, kind) for shape, kind in Key.shapes(count, bits)[1:]]
    keys = (Key(roots[0], *empty), Key(roots[1], *empty))
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        _deal_part(alpha[part], beta[part], bits, [root[part] for root in roots], keys[0], part)
    return keys


def _deal_part(
    alpha: np.ndarray, beta: np.ndarray, bits: int, roots: list[np.ndarray], key: Key, part: slice
) -> None:
    """Fill the correction words of one part; names as in Figure 1 of Boyle et al. (2021).

    On the path to alpha the parties' control bits t differ, so one is kept. V is what both parties'
    values on the path add up to: with the correction word, in which V goes away, it is again a sum
    of four children's values, and beta where alpha turned right.
    """
    count = len(alpha)
    grow = _Tree(4 * count)
    s = np.stack(roots)
    turned = np.empty((4, count, LANES), U)  # both parties' seeds, to keep and to lose
    t = np.ones(count, U)  # of the second party; the first has the other
    total = np.zeros_like(beta)
    for level in range(bits):
        a = (alpha >> U(bits - 1 - level)) & ONE
        turned[:2] = s
        turned[:2, :, 1] ^= a
        turned[2:] = turned[:2]
        turned[2:, :, 1] ^= ONE
        seed, bit, value = grow.children(turned)
        gain = value[3] - value[2]
        gain += beta & _wide(-a)  # where alpha turns right, all x that turn left are smaller
        np.subtract(gain, total, out=total)
        mine = _wide(-t)  # all ones where the second party applies the correction word
        np.subtract(total ^ mine, mine, out=key.values[level, part])  # negative there
        np.add(gain, value[0] - value[1], out=total)
        word = key.seeds[level, part]
        np.bitwise_xor(seed[2], seed[3], out=word)
        keep, lose = bit[0] ^ bit[1] ^ ONE, bit[2] ^ bit[3]
        key.turns[level, part] = (keep << a) | (lose << (a ^ ONE))
        s = seed[:2]
        s[1] ^= word & mine
        s[0] ^= word & ~mine
        t = bit[1] ^ (t & keep)
    leaf = grow.leaf(s[1]) - grow.leaf(s[0]) - total
    mine = _wide(-t)
    np.subtract(leaf ^ mine, mine, out=key.last[part])


def evaluate(party: int, key: Key, x: Numbers, batch: int = BATCH) -> Blocks:
    """Return this party's share (n, 2) of f(x), for public x (n,) of as many bits as the key has.

    `party` is 0 or 1, as the key; `batch` as of `deal`. Raises `ValueError` for another number of x
    than of comparisons in the key, and for x outside of its range.
    """
    bits = len(key.seeds)
    if party not in (0, 1):
        raise ValueError(f"the parties are 0 and 1, not {party}")
    if x.shape != (len(key.root),):
        raise ValueError(f"the key holds {len(key.root)} comparisons, and x has shape {x.shape}")
    _refuse(x, bits, "x")
    out = np.empty((len(x), LANES), U)
    for start in range(0, len(x), batch):
        part = slice(start, start + batch)
        out[part] = _evaluate_part(party, key, x[part], part, bits)
    return out if party == 0 else -out


def _evaluate_part(party: int, key: Key, x: np.ndarray, part: slice, bits: int) -> np.ndarray:
    s, t = key.root[part], np.full(len(x), party, U)
    total, grow = np.zeros((len(x), LANES), U), _Tree(len(x))
    for level in range(bits):
        turn = (x >> U(bits - 1 - level)) & ONE
        turned = s.copy()
        turned[:, 1] ^= turn
        s, bit, value = grow.children(turned)
        mine = _wide(-t)  # all ones for the party that applies the correction word
        total += value
        total += key.values[level, part] & mine
        s ^= key.seeds[level, part] & mine
        t = bit ^ (t & (key.turns[level, part].astype(U) >> turn))
    total += grow.leaf(s) + (key.last[part] & _wide(-t))
    return total


class _Tree:
    """The generator: from nodes' seeds to their children, for up to `count` nodes at once."""

    def __init__(self, count: int) -> None:
        """Set AES up; its keys are public and the same for everybody."""
        ciphers = ENCRYPTED.need("cryptography.hazmat.primitives.ciphers")
        self.seeds, self.values, self.leaves = (
            ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.ECB()).encryptor()
            for key in (SEEDS, VALUES, LAST)
        )
        self.buffer = bytearray(16 * count + 15)

    def children(
        self, turned: UInt64[np.ndarray, "... 2"]
    ) -> tuple[UInt64[np.ndarray, "... 2"], UInt64[np.ndarray, "..."], UInt64[np.ndarray, "... 2"]]:
        """Return seed (..., 2), control bit (...) and value (..., 2) of a child of each node: of
        the left one for the node's seed, of the right one for that with its last bit flipped.
        """
        seed = self._hash(self.seeds, turned)
        bit = seed[..., 0] & ONE
        seed[..., 0] ^= bit
        return seed, bit, self._hash(self.values, turned)

    def leaf(self, s: Blocks) -> Blocks:
        """Return the value (n, 2) of a leaf."""
        return self._hash(self.leaves, s)

    def _hash(self, cipher: Any, s: np.ndarray) -> np.ndarray:
        size = s.nbytes
        cipher.update_into(np.ascontiguousarray(s).reshape(-1).view(np.uint8), self.buffer)
        return np.frombuffer(self.buffer, U, size // 8).reshape(s.shape) ^ s


def _wide(mask: Numbers) -> Blocks:
    """Return a mask for both lanes; numpy spreads an axis of two far more slowly."""
    wide = np.empty((len(mask), LANES), U)
    wide[:, 0] = wide[:, 1] = mask
    return wide


def _without_bit(s: Blocks) -> Blocks:
    s[:, 0] &= ALL ^ ONE
    return s


def _refuse(x: np.ndarray, bits: int, name: str) -> None:
    if not 1 <= bits <= 63:
        raise ValueError(f"comparisons here are over 1 to 63 bits, not {bits}")
    if x.ndim != 1 or x.dtype != U:
        raise ValueError(f"{name} must be uint64 of shape (n,), not {x.dtype} of shape {x.shape}")
    if len(x) and int(x.max()) >> bits:
        raise ValueError(f"{name} holds {int(x.max())}, and {bits} bits end at {2**bits - 1}")
