"""What runs in a chapter's kernel while its exercises are answered: it hears what the self-checks
say, and puts the reader's names back after each attempt, so that no answer helps another.
"""

import json
from typing import Any

import medpriv_lib.lessons.exercises as exercises

_said: list[tuple[str, bool]] = []
_before: dict[str, Any] = {}


def install() -> None:
    """Note every verdict from now on; what a chapter prints stays the same."""
    real = exercises.check

    def listening(*arguments: Any, **named: Any) -> exercises.Verdict:
        verdict = real(*arguments, **named)
        _said.append((verdict.name, verdict.passed))
        return verdict

    exercises.check = listening


def begin(names: dict[str, Any]) -> None:
    """Begin an attempt; `names` are the reader's."""
    _said.clear()
    _before.clear()
    _before.update(names)


def end(names: dict[str, Any], exercise: str, kind: str, forget: bool) -> None:
    """Print what the self-checks said since `begin`, as a line of JSON; forget the answer."""
    print(json.dumps({"exercise": exercise, "kind": kind, "verdicts": _said}))
    if forget:
        restore(names)


def restore(names: dict[str, Any]) -> None:
    """Put the names back as they were at `begin`."""
    names.clear()
    names.update(_before)
