"""Changes a line of the library in a chapter's kernel, for as long as a cell is run again: so a
test sees that the chapter's stored numbers notice.
"""

import gc
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

_Key = tuple[str, int]
_before: list[tuple[FunctionType, CodeType]] = []


class Change(NamedTuple):
    """In `file` of the library, `old` (which stands there once) becomes `new`. `chapter` must
    notice: the cells that hold `cells` (each is found once) are run again after the last of them,
    and what that last one says is different.
    """

    chapter: str
    file: str
    old: str
    new: str
    cells: tuple[str, ...]

    def places(self, sources: list[str]) -> list[int]:
        """Return which of a notebook's cells are run again. Raises `ValueError` where a piece of
        `cells` stands in none of them, or in several.
        """
        found = []
        for piece in self.cells:
            there = [i for i, source in enumerate(sources) if piece in source]
            if len(there) != 1:
                raise ValueError(
                    f"{self.chapter} holds {piece!r} in {len(there)} cells, not in one"
                )
            found += there
        if not found or found != sorted(found):
            raise ValueError(f"the change of {self.file} names {found} as cells to run again")
        return found


def changed(text: str, change: Change) -> str:
    """Return the changed source. Raises `ValueError` where `old` does not stand there once: the
    library has changed, and the change must follow.
    """
    if text.count(change.old) != 1 or change.old.count("\n") != change.new.count("\n"):
        raise ValueError(
            f"{change.file} holds {change.old!r} {text.count(change.old)} times, not once; change "
            "the line in tests/book/mutate.py with the library, and keep the number of lines"
        )
    return text.replace(change.old, change.new)


def begin(given: str) -> None:
    """Let the library's functions do what the changed file says; `given` is a change as JSON.

    Only functions are changed. Raises `ValueError` where none of those that live is another one.
    """
    change = Change(**json.loads(given))
    spec = importlib.util.find_spec("medpriv_lib")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / change.file
    text = path.read_text(encoding="utf-8")
    old, new = (dict(_codes(text, str(path))) for text in (text, changed(text, change)))
    other = {key: code for key, code in new.items() if code != old.get(key)}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename == str(path):
            code = other.get(_key(one.__code__))
            if code is not None:
                _before.append((one, one.__code__))
    if not _before:
        raise ValueError(f"no function that is in use holds {change.old!r} of {change.file}")
    for one, _ in _before:
        one.__code__ = other[_key(one.__code__)]


def end() -> None:
    """Let them do again what they did."""
    while _before:
        one, code = _before.pop()
        one.__code__ = code


def _key(code: CodeType) -> _Key:
    return code.co_qualname, code.co_firstlineno


def _codes(text: str, name: str) -> Iterator[tuple[_Key, CodeType]]:
    left = [compile(text, name, "exec", dont_inherit=True)]
    while left:
        code = left.pop()
        yield _key(code), code
        left += [one for one in code.co_consts if isinstance(one, CodeType)]
