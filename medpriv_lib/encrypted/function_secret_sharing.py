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
    alpha: np.ndarray, beta: np.ndarray, bits: int, s: list[np.ndarray], key: Key, part: slice
) -> None:
    """Fill the correction words of one part; names as in Figure 1 of Boyle et al. (2021)."""
    t = [np.zeros(len(alpha), U), np.ones(len(alpha), U)]
    total = np.zeros_like(beta)  # V_alpha: what both parties' values on the path add up to so far
    grow = _Tree(len(alpha))
    for level in range(bits):
        a = (alpha >> U(bits - 1 - level)) & ONE
        keep = [grow.child(x, a) for x in s]
        lose = [grow.child(x, a ^ ONE) for x in s]
        (keep_seed0, keep_bit0, keep_value0), (keep_seed1, keep_bit1, keep_value1) = keep
        (lose_seed0, lose_bit0, lose_value0), (lose_seed1, lose_bit1, lose_value1) = lose
        negative = t[1][:, None] == ONE
        word = lose_value1 - lose_value0 - total
        word += beta * a[:, None]  # where alpha turns right, all x that turn left are smaller
        word = np.where(negative, -word, word)
        total += keep_value0 - keep_value1 + np.where(negative, -word, word)
        seed_word = lose_seed0 ^ lose_seed1
        keep_turn, lose_turn = keep_bit0 ^ keep_bit1 ^ ONE, lose_bit0 ^ lose_bit1
        left = np.where(a == ONE, lose_turn, keep_turn)
        right = np.where(a == ONE, keep_turn, lose_turn)
        key.seeds[level, part], key.values[level, part] = seed_word, word
        key.turns[level, part] = (left | (right << ONE)).astype(np.uint8)
        s = [
            seed ^ (seed_word & -turn[:, None])
            for seed, turn in zip((keep_seed0, keep_seed1), t, strict=True)
        ]
        t = [bit ^ (turn & keep_turn) for bit, turn in zip((keep_bit0, keep_bit1), t, strict=True)]
    leaf = grow.leaf(s[1]) - grow.leaf(s[0]) - total
    key.last[part] = np.where(t[1][:, None] == ONE, -leaf, leaf)


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
        seed, bit, value = grow.child(s, turn)
        mine = -t[:, None]  # all ones for the party that applies the correction word
        total += value
        total += key.values[level, part] & mine
        s = seed
        s ^= key.seeds[level, part] & mine
        t = bit ^ (t & (key.turns[level, part].astype(U) >> turn))
    total += grow.leaf(s) + (key.last[part] & -t[:, None])
    return total


class _Tree:
    """The generator: from a node's seed to one of its children, for up to `count` nodes at once."""

    def __init__(self, count: int) -> None:
        """Set AES up; its keys are public and the same for everybody."""
        ciphers = ENCRYPTED.need("cryptography.hazmat.primitives.ciphers")
        self.seeds, self.values, self.leaves = (
            ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.ECB()).encryptor()
            for key in (SEEDS, VALUES, LAST)
        )
        self.buffer = bytearray(16 * count + 15)

    def child(self, s: Blocks, right: Numbers) -> tuple[Blocks, np.ndarray, Blocks]:
        """Return seed (n, 2), control bit (n,) and value (n, 2) of the left or the right child."""
        turned = s.copy()
        turned[:, 1] ^= right
        seed = self._hash(self.seeds, turned)
        bit = seed[:, 0] & ONE
        seed[:, 0] ^= bit
        return seed, bit, self._hash(self.values, turned)

    def leaf(self, s: Blocks) -> Blocks:
        """Return the value (n, 2) of a leaf."""
        return self._hash(self.leaves, s)

    def _hash(self, cipher: Any, s: Blocks) -> Blocks:
        size = s.nbytes
        cipher.update_into(np.ascontiguousarray(s).reshape(-1).view(np.uint8), self.buffer)
        return np.frombuffer(self.buffer, U, size // 8).reshape(s.shape) ^ s


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
