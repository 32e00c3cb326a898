"""What each technology of this room hides, what it costs, and how to measure that anew.

A map of technologies reads `DESCRIBED` and calls `cost`; both are the same for each of them.
"""

import importlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medpriv_lib.collection.anonymous_tables import anonymise
from medpriv_lib.collection.intersection import Answerer, Asker
from medpriv_lib.collection.pseudonyms import Pseudonyms
from medpriv_lib.collection.register import numbers, register
from medpriv_lib.collection.shared_upload import Collector, Layout, open_totals, split
from medpriv_lib.core.salt import fresh_salt

SEED = 14  # of the invented registers; what hides has none
QUASI = {"age": "number", "sex": "name", "postcode": "code", "visit": "date"}
K, COLLECTORS = 5, 2
PARTS = ("Hides", "Trusted", "Does not protect against")


@dataclass(frozen=True)
class Description:
    """What a technology `hides` from whom, what must be `trusted`, and what it leaves `open`."""

    hides: str
    trusted: str
    open: str


@dataclass(frozen=True)
class Cost:
    """CPU `seconds` of all parties together, on one core, `bytes` sent between them, for `n` rows.

    `bytes` counts what goes out beyond the plain table's own text: messages, names, shares.
    """

    n: int
    seconds: float
    bytes: int


def described(module: str) -> Description:
    """Return what a module's docstring states after "Hides:", "Trusted:" and "Does not protect
    against:". Raises `ValueError` where one of the three is missing.
    """
    text = importlib.import_module(module).__doc__ or ""
    found = []
    for part in PARTS:
        match = re.search(
            rf"^{part}: (.+?)(?=\n\n|\n(?:{'|'.join(PARTS)}): |\Z)", text, re.M | re.S
        )
        if not match:
            raise ValueError(f"{module}: its docstring has no line that begins with '{part}:'")
        found.append(" ".join(match[1].split()))
    return Description(*found)


def _pseudonyms(n: int) -> Callable[[], int]:
    mine, _ = numbers(np.random.default_rng(SEED), n, 0)
    names = Pseudonyms(fresh_salt(), "the cost of pseudonyms")
    return lambda: sum(map(len, names.column(mine)))


def _intersection(n: int) -> Callable[[], int]:
    mine, theirs = numbers(np.random.default_rng(SEED), n, n // 10)

    def run() -> int:
        asker = Asker(mine, "the cost of an intersection")
        question = asker.ask()
        answer = Answerer(theirs, "the cost of an intersection", n).answer(question)
        if sorted(asker.read(answer)) != sorted(set(mine) & set(theirs)):  # type: ignore[arg-type]
            raise RuntimeError("the intersection is not the plain one; look at the library")
        return len(question) + len(answer)

    return run


def _anonymous_tables(n: int) -> Callable[[], int]:
    table = register(np.random.default_rng(SEED), n, 1)

    def run() -> int:
        released = anonymise(table, QUASI, K, table["number"], "diagnosis")
        return sum(len(text) for column in released.columns.values() for text in column)

    return run


def _shared_upload(n: int) -> Callable[[], int]:
    table = register(np.random.default_rng(SEED), n, 1)
    layout = Layout(tuple(sorted(set(table["diagnosis"]))), 1)

    def run() -> int:
        parties = [Collector(i + 1, COLLECTORS, layout, least=1) for i in range(COLLECTORS)]
        sent = 0
        for group, age in zip(table["diagnosis"], table["age"], strict=True):
            for party, share in zip(
                parties, split(layout.lay_out(group, [age]), COLLECTORS), strict=True
            ):
                party.receive(share)
                sent += share.size
        open_totals(parties, parties[0].records)
        return sent

    return run


TECHNOLOGIES: dict[str, tuple[str, Callable[[int], Callable[[], int]]]] = {
    "keyed pseudonyms": ("medpriv_lib.collection.pseudonyms", _pseudonyms),
    "private set intersection": ("medpriv_lib.collection.intersection", _intersection),
    "k-anonymous tables": ("medpriv_lib.collection.anonymous_tables", _anonymous_tables),
    "secret-shared upload": ("medpriv_lib.collection.shared_upload", _shared_upload),
}
DESCRIBED = {name: described(module) for name, (module, _) in TECHNOLOGIES.items()}


def cost(technology: str, n: int) -> Cost:
    """Run a technology of `TECHNOLOGIES` on `n` invented patients and return what that took.

    Making the patients is not counted. Raises `ValueError` for an unknown name and for n below K.
    """
    if technology not in TECHNOLOGIES or n < K:
        raise ValueError(
            f"{technology!r} with {n} patients: choose one of {sorted(TECHNOLOGIES)} and at least "
            f"{K} patients"
        )
    work = TECHNOLOGIES[technology][1](n)
    start = time.process_time()
    sent = work()
    return Cost(n, time.process_time() - start, sent)
