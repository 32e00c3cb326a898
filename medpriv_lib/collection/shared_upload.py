"""Upload in shares: collectors add up records, by group, of which none of them can read one.

Hides: each record from every collector, and from all of them but one together; small groups' sums
from everybody.
Trusted: one collector not to work together with all others, and all of them to add correctly; the
sender to send what is true.
Does not protect against: all collectors together, who read every record; what a sum says about few
people; senders who send nonsense, which nobody can see; counts of small groups.

A record is a row of whole numbers, or of numbers in fixed point. The sender lays it out in a vector
with a place for each group and column (`Layout`), in which all places but those of its group are
zero, and splits the vector into shares: numbers that are uniform modulo 2^64 alone, and add up to
the vector. Sums over records are then sums of shares. Groups, counts and sums are all hidden in the
same vector, so that a collector sees no group either.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt64

U = np.uint64
ID = 16  # bytes of a record's number
LARGEST = 2.0**62


@dataclass(frozen=True)
class Layout:
    """What a record holds: the `groups`, the number of `columns`, bits after the point, and how
    many records are summed at `most` (a bound on sums follows from it).
    """

    groups: tuple[str, ...]
    columns: int
    fraction: int = 0
    most: int = 1_000_000

    def __post_init__(self) -> None:
        """Refuse a layout in which nothing can lie."""
        if not self.groups or len(set(self.groups)) < len(self.groups) or self.columns < 1:
            raise ValueError("a layout needs groups with different names and a column at least")
        if self.fraction < 0 or self.most < 1:
            raise ValueError("bits after the point are 0 or more, records 1 or more")

    @property
    def width(self) -> int:
        """How many numbers a record has: for each group a count, and a sum for each column."""
        return len(self.groups) * (1 + self.columns)

    def lay_out(self, group: str, values: Sequence[float]) -> UInt64[np.ndarray, " width"]:
        """Return a record as a vector.

        Raises `ValueError` for an unknown group, another number of values, and values that are NaN,
        infinite or so large that a sum over `most` records could wrap.
        """
        if group not in self.groups:
            raise ValueError(f"{group!r} is none of the groups {list(self.groups)}")
        row = np.asarray(values, dtype=np.float64).reshape(-1)
        if len(row) != self.columns:
            raise ValueError(f"a record has {self.columns} values, not {len(row)}")
        scaled = np.rint(row * 2.0**self.fraction)
        if not (np.abs(scaled) < LARGEST / self.most).all():
            raise ValueError(
                f"values that are NaN or of magnitude {LARGEST / self.most / 2**self.fraction:.3g} "
                f"and more could wrap a sum of {self.most} records; nothing was sent"
            )
        vector: np.ndarray = np.zeros((len(self.groups), 1 + self.columns), U)
        vector[self.groups.index(group)] = [U(1), *scaled.astype(np.int64).view(U)]
        return vector.reshape(-1)


@dataclass(frozen=True)
class Share:
    """What one collector gets of one record: the record's number, whose share it is, the values."""

    record: bytes
    collector: int
    collectors: int
    values: UInt64[np.ndarray, " width"] = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes on the way."""
        return len(self.record) + 2 + self.values.nbytes


def split(vector: UInt64[np.ndarray, " width"], collectors: int = 2) -> list[Share]:
    """Return the shares of a record, one for each collector, all of them from the operating
    system's entropy but the last, which is the rest. Raises `ValueError` for fewer than two.
    """
    if not 2 <= collectors <= 255:
        raise ValueError(f"{collectors} collectors: two at least, or one reads the records")
    record, rest, shares = secrets.token_bytes(ID), vector.copy(), []
    for number in range(1, collectors):
        drawn = np.frombuffer(secrets.token_bytes(vector.nbytes), U)
        rest -= drawn
        shares.append(Share(record, number, collectors, drawn))
    return [*shares, Share(record, collectors, collectors, rest)]


def recover(shares: Iterable[Share]) -> UInt64[np.ndarray, " width"]:
    """Return the record that colluding collectors read when they hold all of its shares.

    Raises `ValueError` where a share is missing, comes twice or belongs to another record: the sum
    of the others is then a random vector.
    """
    shares = list(shares)
    numbers = sorted(share.collector for share in shares)
    if not shares or numbers != list(range(1, shares[0].collectors + 1)):
        raise ValueError(f"shares of collectors {numbers}: each collector's is needed once")
    if len({share.record for share in shares}) > 1:
        raise ValueError("shares of different records do not add up to one")
    return np.sum([share.values for share in shares], axis=0, dtype=U)


@dataclass
class Collector:
    """One of the parties that add. It answers about at least `least` records, and about each record
    once: two sums that differ in one record would show that record. Records are counted, not
    patients, of whom a collector knows nothing: send one record for each.
    """

    number: int
    collectors: int
    layout: Layout
    least: int = 10
    _held: dict[bytes, np.ndarray] = field(default_factory=dict, repr=False)
    _summed: np.ndarray | None = field(default=None, repr=False)

    def receive(self, share: Share) -> None:
        """Keep a share. Raises `ValueError` for one that is not for this collector, has another
        length, or comes a second time.
        """
        if (share.collector, share.collectors) != (self.number, self.collectors):
            raise ValueError(
                f"collector {self.number} of {self.collectors} got the share of "
                f"{share.collector} of {share.collectors}"
            )
        if share.values.dtype != U or share.values.shape != (self.layout.width,):
            raise ValueError(
                f"a share has {self.layout.width} numbers of 64 bits, not {share.values.shape} of "
                f"{share.values.dtype}: it was cut, or follows another layout"
            )
        if share.record in self._held:
            raise ValueError("this record came before; a record is counted once")
        self._held[share.record] = share.values

    @property
    def records(self) -> frozenset[bytes]:
        """The numbers of the records that are held and not yet summed."""
        return frozenset(self._held)

    def counts(self, records: Iterable[bytes]) -> UInt64[np.ndarray, " groups"]:
        """Sum these records for good, and return this collector's shares of the groups' counts.

        Raises `ValueError` for records that are not held or were summed before, for fewer than
        `least`, and for more than the layout allows.
        """
        wanted = set(records)
        if not wanted <= self._held.keys():
            raise ValueError(
                f"{len(wanted - self._held.keys())} records are not here, or were summed before: a "
                "second sum over the same records could show one of them"
            )
        if not self.least <= len(wanted) <= self.layout.most:
            raise ValueError(
                f"a sum over {len(wanted)} records; {self.least} to {self.layout.most} are allowed"
            )
        total: np.ndarray = np.zeros(self.layout.width, U)
        for record in wanted:
            total += self._held.pop(record)
        self._summed = total.reshape(len(self.layout.groups), -1)
        return self._summed[:, 0].copy()

    def sums(self, counted: Sequence[int]) -> UInt64[np.ndarray, "groups columns"]:
        """Return this collector's shares of the sums, once; zero for groups of fewer than `least`.

        `counted` are the groups' counts that all collectors opened together.
        """
        if self._summed is None or len(counted) != len(self.layout.groups):
            raise ValueError("first count the groups; then their sums can be asked for, once")
        kept, self._summed = self._summed, None
        return np.where(np.asarray(counted)[:, None] >= self.least, kept[:, 1:], U(0))


@dataclass(frozen=True)
class Totals:
    """What is published: records and sums of each group; sums of small groups are nan."""

    counts: dict[str, int]
    sums: dict[str, Float[np.ndarray, " columns"]] = field(repr=False)


def open_totals(collectors: Sequence[Collector], records: Iterable[bytes]) -> Totals:
    """Have all collectors sum the same records, and add their shares up.

    Raises what `Collector.counts` raises, and `ValueError` where a collector is missing, or counts
    do not add up to the number of records: shares were spoilt, or a sender counted itself twice.
    """
    layout, wanted = collectors[0].layout, frozenset(records)
    if sorted(one.number for one in collectors) != list(range(1, collectors[0].collectors + 1)):
        raise ValueError("a sum opens when every collector takes part, each once")
    for one in collectors:
        if not wanted <= one.records:
            raise ValueError(
                f"collector {one.number} does not hold all {len(wanted)} records, or summed them "
                "before; nothing was opened"
            )
    counts = np.sum([one.counts(wanted) for one in collectors], axis=0, dtype=U).view(np.int64)
    if counts.min() < 0 or counts.sum() != len(wanted):
        raise ValueError(
            f"the groups' counts do not add up to {len(wanted)} records: a share was changed on "
            "the way, or a record counts in no group or in several"
        )
    shares = [one.sums(counts.tolist()) for one in collectors]
    opened = np.sum(shares, axis=0, dtype=U).view(np.int64) / 2.0**layout.fraction
    least = max(one.least for one in collectors)
    opened[counts < least] = np.nan
    named = list(zip(layout.groups, counts.tolist(), opened, strict=True))
    return Totals({g: c for g, c, _ in named}, {g: row for g, _, row in named})
