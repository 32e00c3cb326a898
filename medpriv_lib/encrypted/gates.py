"""What two parties compute on shares: a linear layer, the larger of zero and x, a truncation.

Each gate has a dealer's half, which makes random numbers that belong together before any input is
known and gives each party its part, and a parties' half. The parties' half is a generator: each
`yield` is one message to the partner, and receives the partner's message in return, so that the
same code runs over a network and within one process. A party sees its shares, its part of the
dealer's numbers, and sums that a uniformly random number of the dealer hides.

Numbers carry FRACTION bits after the point, and twice as many after a product; only `truncate`
takes them back.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from medpriv_lib.encrypted import function_secret_sharing as fss
from medpriv_lib.encrypted.shares import (
    FRACTION,
    LARGEST,
    Ring,
    U,
    matmul,
    matmul_small,
    random_ring,
    share,
)

PRODUCT = 2 * FRACTION  # bits after the point of a product
RESOLUTION = 16  # values nearer than 2^-RESOLUTION count as equal in a comparison
IGNORED = PRODUCT - RESOLUTION  # low bits that a comparison does not look at
BITS = LARGEST + RESOLUTION  # bits below the sign that it looks at
OFFSET = 62  # a truncation adds 2^OFFSET to make numbers positive, and takes it away again
MODEL_OWNER, DATA_OWNER = 0, 1


@dataclass(frozen=True)
class Message:
    """One step of a party: the numbers to send (None: nothing), how many are due in return, what
    for.
    """

    sent: Ring | None
    due: int
    what: str


Talk = Generator[Message, Ring, Ring]
Unroll = Callable[[Ring], Ring]


@dataclass(frozen=True, eq=False)
class ComparisonPart:
    """A party's part for n comparisons: shares of the mask r and of sign and sign times r, and a
    key.
    """

    mask: Ring
    sign: Ring
    key: fss.Key

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays in the order in which they are sent."""
        return [self.mask, self.sign, *self.key.arrays()]

    @staticmethod
    def shapes(count: int) -> list[tuple[tuple[int, ...], type]]:
        """Return shape and type of each array."""
        return [((count,), U), ((count, 2), U), *fss.Key.shapes(count, BITS)]

    @classmethod
    def of(cls, arrays: list[np.ndarray]) -> "ComparisonPart":
        """Put the arrays together again."""
        return cls(arrays[0], arrays[1], fss.Key(*arrays[2:]))


def deal_comparisons(count: int) -> tuple[ComparisonPart, ComparisonPart]:
    """Return both parties' parts for `count` times max(x, 0); the dealer's half of `positive`.

    x is hidden as z = x + r. The bit of z that stands at the sign of x is that sign, plus the same
    bit of r, plus a borrow: whether the bits of z below it are fewer than those of r. The borrow is
    the comparison that a key of function secret sharing evaluates; beta carries it once alone and
    once times r, since max(x, 0) = sign (z - r).
    """
    mask = random_ring(count)
    seen = mask >> U(IGNORED)
    top = (seen >> U(BITS)) & U(1)
    pair = np.stack([np.ones(count, U), mask], axis=1)
    keys = fss.deal(seen & U((1 << BITS) - 1), pair * (U(1) - U(2) * top)[:, None], BITS)
    masks, signs = share(mask), share(pair * top[:, None])
    return (
        ComparisonPart(masks[0], signs[0], keys[0]),
        ComparisonPart(masks[1], signs[1], keys[1]),
    )


def positive(party: int, x: Ring, part: ComparisonPart, what: str) -> Talk:
    """Return this party's share of max(x, 0) for shares of products x, of the shape of x.

    Right for |x| < 2^LARGEST; values between 0 and 2^-RESOLUTION may come out as 0, and those
    between -2^-RESOLUTION and 0 as themselves. One round, 8 bytes a value each way.
    """
    mine = x.ravel() + part.mask
    z = mine + (yield Message(mine, mine.size, what))
    seen = z >> U(IGNORED)
    borrow = fss.evaluate(party, part.key, seen & U((1 << BITS) - 1)) + part.sign
    kept = z * borrow[:, 0] - borrow[:, 1]  # x where the sign of r and the borrow differ, else 0
    whole = (z if party == MODEL_OWNER else U(0)) - part.mask
    flipped = ((seen >> U(BITS)) & U(1)) == U(1)
    return np.where(flipped, kept, whole - kept).reshape(x.shape)


def larger(party: int, x: Ring, y: Ring, part: ComparisonPart, what: str) -> Talk:
    """Return this party's share of the larger of two shared numbers, elementwise."""
    return y + (yield from positive(party, x - y, part, what))


@dataclass(frozen=True, eq=False)
class TruncationPart:
    """A party's shares of the mask r, of r without its FRACTION low bits, and of its highest
    bit.
    """

    mask: Ring
    cut: Ring
    top: Ring

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays in the order in which they are sent."""
        return [self.mask, self.cut, self.top]

    @staticmethod
    def shapes(count: int) -> list[tuple[tuple[int, ...], type]]:
        """Return shape and type of each array."""
        return [((count,), U)] * 3

    @classmethod
    def of(cls, arrays: list[np.ndarray]) -> "TruncationPart":
        """Put the arrays together again."""
        return cls(*arrays)


def deal_truncations(count: int) -> tuple[TruncationPart, TruncationPart]:
    """Return both parties' parts for `count` truncations."""
    mask = random_ring(count)
    three = [share(x) for x in (mask, mask >> U(FRACTION), mask >> U(63))]
    return TruncationPart(*(x[0] for x in three)), TruncationPart(*(x[1] for x in three))


def truncate(party: int, x: Ring, part: TruncationPart, what: str) -> Talk:
    """Return this party's share of x without its FRACTION low bits: floor, or one unit more.

    Each party cutting its own share would be free, and wrong by 2^44 units once in some 2^24
    values. Here x + 2^62 + r is opened. The sum has wrapped exactly where r has its highest bit and
    the sum does not, which is linear in the shared bit: so the wrap is taken back, always. Right
    for |x| < 2^62 units. One round, 8 bytes a value each way.
    """
    mine = x.ravel() + part.mask
    if party == MODEL_OWNER:
        mine = mine + U(1 << OFFSET)
    z = mine + (yield Message(mine, mine.size, what))
    out = (U(1) - (z >> U(63))) * (part.top << U(64 - FRACTION)) - part.cut
    if party == MODEL_OWNER:
        out += (z >> U(FRACTION)) - U(1 << (OFFSET - FRACTION))
    return out.reshape(x.shape)


@dataclass(frozen=True, eq=False)
class LinearPart:
    """A party's shares of a mask a with the shape of the layer's input, and of a times the mask of
    the weights.
    """

    mask: Ring
    product: Ring

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays in the order in which they are sent."""
        return [self.mask, self.product]

    @classmethod
    def of(cls, arrays: list[np.ndarray]) -> "LinearPart":
        """Put the arrays together again."""
        return cls(*arrays)


def deal_linear(
    shape: tuple[int, ...], unrolled: Unroll, weight_mask: Ring, first: bool
) -> tuple[LinearPart, LinearPart]:
    """Return both parties' parts for one linear layer with inputs of `shape`.

    `unrolled` turns an input into the left factor of the product. At the `first` layer the data
    owner holds the whole input, and gets the whole mask.
    """
    mask = random_ring(*shape)
    masks = (np.zeros_like(mask), mask) if first else share(mask)
    products = share(matmul(unrolled(mask), weight_mask))
    return LinearPart(masks[0], products[0]), LinearPart(masks[1], products[1])


def prepared(part: LinearPart, unrolled: Unroll, hidden_weight: Ring) -> Ring:
    """Return this party's share of a times the weights, before the image is there.

    `hidden_weight` is the weights minus their mask, which the model owner tells the data owner once
    a session.
    """
    return matmul(unrolled(part.mask), hidden_weight) + part.product


def linear_of_model_owner(
    x: Ring, part: LinearPart, ready: Ring, weight: Ring, unrolled: Unroll, what: str
) -> Talk:
    """Return the model owner's share of x times the weights; the data owner's share is its
    `prepared`.

    (x - a) is opened to the model owner alone, who multiplies it by the weights he knows.
    """
    theirs = yield Message(None, x.size, what)
    hidden = x - part.mask + theirs.reshape(x.shape)
    return matmul_small(unrolled(hidden), weight) + ready


def linear_of_data_owner(x: Ring, part: LinearPart, ready: Ring, what: str) -> Talk:
    """Send the data owner's share of x - a and return its share of the product."""
    yield Message((x - part.mask).ravel(), 0, what)
    return ready
