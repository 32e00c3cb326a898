"""What a dishonest hospital learns from a set intersection whose rules it keeps."""

import secrets
from collections.abc import Iterable, Sequence

from medpriv_lib.collection.curve import Blinding, point_of
from medpriv_lib.collection.identifiers import canonical
from medpriv_lib.collection.intersection import Answerer, Asker, Message, agreement


def whole_list(
    answerer: Answerer, roster: Sequence[str], purpose: str, at_once: int
) -> tuple[list[str], int]:
    """Ask about a roster, `at_once` names a question, until refused; return the patients found and
    how many names were answered.

    Knowledge: a roster of people who may be patients of the other hospital.
    """
    found: list[str] = []
    asked = 0
    for start in range(0, len(roster), at_once):
        part = roster[start : start + at_once]
        asker = Asker(part, purpose)
        try:
            answer = answerer.answer(asker.ask())
        except ValueError:  # the limit
            break
        shared = asker.read(answer)
        assert isinstance(shared, list)
        found += shared
        asked += len(part)
    return found, asked


def single_out(answerer: Answerer, target: str, purpose: str, size: int) -> bool:
    """Say whether one person is a patient of the other hospital, from a size alone.

    Knowledge: the person's identifier. The list holds the person and `size` - 1 names that nobody
    has, so that its length looks like that of an honest one: the size of the intersection is then
    0 or 1.
    """
    nobody = [f"nobody{secrets.token_hex(16)}" for _ in range(size - 1)]
    asker = Asker([target, *nobody], purpose, only_size=True)
    return asker.read(answerer.answer(asker.ask())) == 1


def overheard(
    question: bytes,
    roster: Iterable[str],
    purpose: str,
    only_size: bool = False,
    stolen: Blinding | None = None,
) -> list[str]:
    """Return who of a roster is in an overheard question.

    Knowledge: the message, a roster, the purpose, and with `stolen` the asker's secret, the
    positive control: without it a secret of the attacker's own is tried, and finds nobody.
    """
    agreed = agreement(purpose, only_size)
    seen = set(Message.decode(question, agreed, 1).lists[0])
    blinding = stolen or Blinding()
    return [
        name
        for name in roster
        if blinding.of(point_of(b"patient\0" + canonical(name), agreed)) in seen
    ]
