"""The self-check inside an exercise: does the reader's answer hold, and if not, where to look."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Verdict:
    """What one self-check found: the exercise's `name`, whether it `passed`, and the `error` that
    stopped it, or "".
    """

    name: str
    passed: bool
    error: str = ""


def check(name: str, test: Callable[[], bool], hint: str) -> Verdict:
    """Run `test` on the reader's answer, print what came of it, and return it.

    Prints "Exercise 1: right." or "Exercise 1: not yet. Hint: ...", and "Exercise 1: not answered
    yet." where the answer is still the line `raise NotImplementedError` that the exercise begins
    with. Another exception in `test` counts as not yet, because the reader's code runs in there;
    its message is printed on a second line. The hint must never be the answer. Raises `TypeError`
    where `test` answers with something else than true or false (None, a list, an array of several
    values): that is a fault of the exercise, not of the reader, and a non-empty list would pass as
    true.
    """
    error = ""
    try:
        answer = test()
    except NotImplementedError as stop:  # with a message it is a library's, torch has such
        answer, error = False, f"NotImplementedError: {stop}".removesuffix(": ")
    except Exception as stop:  # the reader's code may raise anything
        answer, error = False, f"{type(stop).__name__}: {stop}"
    passed = _truth(name, answer)
    if error == "NotImplementedError":
        print(f"{name}: not answered yet.")
        return Verdict(name, passed, error)
    print(f"{name}: right." if passed else f"{name}: not yet. Hint: {hint}")
    if error:
        print(f"(It stopped with {error})")
    return Verdict(name, passed, error)


def _truth(name: str, answer: Any) -> bool:
    if not isinstance(answer, bool | np.bool_):
        size, kind = getattr(answer, "ndim", None), str(getattr(answer, "dtype", ""))
        if size != 0 or "bool" not in kind:
            raise TypeError(
                f"the test of exercise {name} answered {answer!r}, not True or False; end it with "
                "a comparison, or with .all() where it compares arrays"
            )
    return bool(answer)
