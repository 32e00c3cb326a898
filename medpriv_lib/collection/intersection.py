"""Private set intersection: two hospitals learn which patients they share, and no other name.

Hides: every patient that only one hospital has, from the other one; with `only_size` also the names
of the shared ones.
Trusted: both sides to follow the protocol and to use their true lists (semi-honest parties); nobody
else.
Does not protect against: a side that puts names in which it only wonders about; the sizes of both
lists, up to padding; what being on both lists says about a patient; a result that is false because
the other side lied.

The protocol is that of Meadows (1986) and of Huberman, Franklin and Hogg (1999), on P-256 (see
`medpriv_lib.collection.curve`). The asker sends x(a H(i)) for its identifiers i. The answerer
multiplies each by its own secret b, in the same order, and adds x(b H(j)) for its own j. The asker
multiplies those by a: where x(a b H(j)) meets x(b a H(i)), i is shared. Lists are sorted by the
points that they send, so that their order says nothing which the points do not say. With
`only_size` the first list comes back sorted anew: matches can be counted and not named. Without the
secrets all points look random (the decisional Diffie-Hellman assumption, with SHA-256 as a random
oracle). Secrets are fresh in every run.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from medpriv_lib.collection.curve import BYTES, Blinding, point_at, point_of
from medpriv_lib.collection.identifiers import first_rows

MAGIC = b"medpriv-psi-1\0\0\0"
COUNT = 8  # bytes of a number of points
DUMMY = 32  # random bytes in place of an identifier
SUM = 32  # SHA-256 at the end of a message: against accidents, not against attackers (use TLS)


def agreement(purpose: str, only_size: bool) -> bytes:
    """Return what both sides must agree on as 32 bytes: why they compare, and what is learned."""
    if not purpose.strip():
        raise ValueError("say why the lists are compared; both sides sign this purpose")
    return hashlib.sha256(f"{purpose}\0{'size' if only_size else 'names'}".encode()).digest()


@dataclass(frozen=True)
class Message:
    """Points on their way: what was agreed, and one or two lists of x-coordinates."""

    agreed: bytes
    lists: tuple[tuple[bytes, ...], ...]

    def encode(self) -> bytes:
        """Return the bytes that are sent."""
        parts = [MAGIC, self.agreed, len(self.lists).to_bytes(COUNT, "big")]
        parts += [len(one).to_bytes(COUNT, "big") for one in self.lists]
        content = b"".join(parts) + b"".join(b"".join(one) for one in self.lists)
        return content + hashlib.sha256(content).digest()

    @classmethod
    def decode(cls, sent: bytes, agreed: bytes, lists: int) -> "Message":
        """Return the message in these bytes.

        Raises `ValueError` where it is no such message, was damaged, follows another agreement, has
        another length than it says, or says a point twice (repeated points would tell how often a
        patient was here). Whether each is a point is seen when it is multiplied.
        """
        sent, digest = sent[:-SUM], sent[-SUM:]
        head = len(MAGIC) + len(agreed) + COUNT * (1 + lists)
        if len(sent) < head or not sent.startswith(MAGIC):
            raise ValueError("this is no message of a set intersection; ask the other side again")
        if hashlib.sha256(sent).digest() != digest:
            raise ValueError("the message was damaged on the way; ask for it again")
        if sent[len(MAGIC) : len(MAGIC) + len(agreed)] != agreed:
            raise ValueError(
                "the other side agreed on another purpose, or on another result (names or size); "
                "nothing was computed"
            )
        numbers = sent[len(MAGIC) + len(agreed) : head]
        count, *sizes = (
            int.from_bytes(numbers[i : i + COUNT], "big") for i in range(0, len(numbers), COUNT)
        )
        if count != lists or len(sent) != head + BYTES * sum(sizes):
            raise ValueError(
                f"the message has {len(sent)} bytes, which are not {lists} lists of {sizes} points"
            )
        found, start = [], head
        for size in sizes:
            stop = start + BYTES * size
            found.append(tuple(sent[i : i + BYTES] for i in range(start, stop, BYTES)))
            if len(set(found[-1])) < size:
                raise ValueError("the message says a point twice; a list names each patient once")
            start = stop
        return cls(agreed, tuple(found))


class Asker:
    """The side that learns the result, once.

    `identifiers` may hold a patient twice, and be written in any way (`identifiers.canonical`).
    `pad_to` adds points that belong to nobody, so that the other side sees that size only. Raises
    `ValueError` for an empty list and for a padding below the number of patients.
    """

    def __init__(
        self,
        identifiers: Sequence[str],
        purpose: str,
        only_size: bool = False,
        pad_to: int = 0,
    ) -> None:
        """Keep the list; nothing is computed before `ask`."""
        self.agreed = agreement(purpose, only_size)
        self.only_size = only_size
        self._identifiers = list(identifiers)
        self._rows, self._texts = _texts(identifiers, pad_to)
        self._blinding = Blinding()
        self._asked: list[tuple[bytes, int | None]] = []  # points with the rows behind them

    def ask(self) -> bytes:
        """Return the first message. Raises `RuntimeError` where it was made before."""
        if self._asked:
            raise RuntimeError("this list was asked about already; make a new Asker for a new run")
        points = [self._blinding.of(point_of(text, self.agreed)) for text in self._texts]
        self._asked = sorted(zip(points, self._rows, strict=True), key=lambda one: one[0])
        return Message(self.agreed, (tuple(point for point, _ in self._asked),)).encode()

    def read(self, answer: bytes) -> list[str] | int:
        """Return the shared identifiers as this side writes them, in its order, or their number.

        Raises `RuntimeError` before `ask`, and `ValueError` for an answer that is damaged or does
        not fit the question.
        """
        if not self._asked:
            raise RuntimeError("nothing was asked yet; `ask` makes the first message")
        mine, theirs = Message.decode(answer, self.agreed, 2).lists
        if len(mine) != len(self._asked):
            raise ValueError(
                f"{len(self._asked)} points were asked about and {len(mine)} came back; the answer "
                "belongs to another question"
            )
        both = {self._blinding.of(point_at(x)) for x in theirs}
        if self.only_size:
            return len(both.intersection(mine))
        rows = [row for (_, row), x in zip(self._asked, mine, strict=True) if x in both]
        return [self._identifiers[row] for row in sorted(row for row in rows if row is not None)]


class Answerer:
    """The side that answers and learns only how many points it was asked about.

    `most` is how many points it answers in all, over every question: whoever asks about a whole
    roster learns the whole list, and many small questions are one large one. Secrets are fresh in
    every answer. Raises as `Asker` does, and `ValueError` where `most` is below 1.
    """

    def __init__(
        self,
        identifiers: Sequence[str],
        purpose: str,
        most: int,
        only_size: bool = False,
        pad_to: int = 0,
    ) -> None:
        """Keep the list and the limit."""
        if most < 1:
            raise ValueError(f"a limit of {most} points answers nothing; agree on one of 1 or more")
        self.agreed = agreement(purpose, only_size)
        self.only_size, self.left = only_size, most
        _, self._texts = _texts(identifiers, pad_to)

    def answer(self, question: bytes) -> bytes:
        """Return the answer to a question.

        Raises `ValueError` for a damaged question, before anything is computed for one that holds
        more points than are left, and for a point that is none.
        """
        (asked,) = Message.decode(question, self.agreed, 1).lists
        if len(asked) > self.left:
            raise ValueError(
                f"the question holds {len(asked)} points, and {self.left} are left of what was "
                "agreed; nothing was answered. Agree on a larger limit only with a reason: who "
                "asks about everybody learns the whole list"
            )
        points = [point_at(x) for x in asked]
        self.left -= len(asked)
        blinding = Blinding()
        twice = [blinding.of(point) for point in points]
        if self.only_size:
            twice.sort()
        own = sorted(blinding.of(point_of(text, self.agreed)) for text in self._texts)
        return Message(self.agreed, (tuple(twice), tuple(own))).encode()


def _texts(identifiers: Sequence[str], pad_to: int) -> tuple[list[int | None], list[bytes]]:
    """Return for each patient, and then each dummy, its row and the text that is hashed."""
    rows = first_rows(identifiers)
    if pad_to and pad_to < len(rows):
        raise ValueError(
            f"{len(rows)} patients do not fit a list padded to {pad_to}; agree on a larger one"
        )
    dummies = max(0, pad_to - len(rows))
    texts = [b"patient\0" + text for text in rows]
    texts += [b"nobody\0" + secrets.token_bytes(DUMMY) for _ in range(dummies)]
    return [*rows.values(), *[None] * dummies], texts


def intersect(
    mine: Sequence[str], theirs: Sequence[str], purpose: str, only_size: bool = False
) -> tuple[list[str] | int, int]:
    """Run both sides in one process; return what the asker (`mine`) learns, and the bytes sent."""
    asker = Asker(mine, purpose, only_size)
    question = asker.ask()
    answer = Answerer(theirs, purpose, len(mine), only_size).answer(question)
    return asker.read(answer), len(question) + len(answer)
