"""Conclusions as questions to a table: is it so, and is it clearly so?

Two rows are compared image by image where such differences are at hand, else by their intervals.
"""

from collections.abc import Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from medpriv_lib.study.paired import Difference, Name, Pairs
from medpriv_lib.study.table import Row

Table = dict[Name, Row]
NONE: Pairs = MappingProxyType({})  # rows that were not compared image by image


class Answer(NamedTuple):
    """What a table says to a claim: `holds`, or None where a number is missing; the `numbers` it
    was read from.

    `paired` says whether rows were compared image by image. Then `clear` says of a claim that holds
    whether each difference has its whole 95 % interval above 0, of one that does not whether some
    difference has it below. Else `clear` says whether no two neighbouring intervals overlap, None
    where the table has none.
    """

    holds: bool | None
    numbers: str
    clear: bool | None = None
    paired: bool = False


class Ask(Protocol):
    """A question to a table, and to differences of its rows image by image where there are some."""

    def __call__(self, table: Table, pairs: Pairs = ...) -> Answer:
        """Return the answer."""


def falling(column: str, *groups: Name | Sequence[Name] | float) -> Ask:
    """Return the condition that every value of a group exceeds every value of the next; a number
    stands for itself.
    """

    def ask(table: Table, pairs: Pairs = NONE) -> Answer:
        found = [_range(table, column, group) for group in groups]
        ranges = [part for part in found if part is not None]
        if len(ranges) < len(found):
            return Answer(None, "not in the table")
        steps = list(pairwise(ranges))
        holds = all(high.least > low.most for high, low in steps)
        numbers = " | ".join(map(str, ranges))
        differences = [
            pairs.get((one, two, column))
            for higher, lower in pairwise(map(_names, groups))
            for one in higher
            for two in lower
        ]
        if (clear := clearly(holds, differences)) is not None:
            return Answer(holds, numbers, clear, True)
        ends = [
            (high.low, low.high)
            for high, low in steps
            if high.low is not None and low.high is not None
        ]
        clear = None if len(ends) < len(steps) else all(high > low for high, low in ends)
        return Answer(holds, numbers, clear)

    return ask


def both(*conditions: Ask) -> Ask:
    """Return the condition that all of these hold."""

    def ask(table: Table, pairs: Pairs = NONE) -> Answer:
        answers = [condition(table, pairs) for condition in conditions]
        holds = None if any(a.holds is None for a in answers) else all(a.holds for a in answers)
        clear = None if any(a.clear is None for a in answers) else all(a.clear for a in answers)
        together = all(a.paired for a in answers)
        if together and holds is False:  # it is enough that one is contradicted clearly
            clear = any(a.clear for a in answers if a.holds is False)
        return Answer(holds, "; ".join(a.numbers for a in answers), clear, together)

    return ask


def _names(group: Name | Sequence[Name] | float) -> list[Name]:
    """Return the rows of a group; a number is none."""
    if isinstance(group, float):
        return []
    several: Sequence[Any] = [group] if isinstance(group[0], str) else group
    return list(several)


def clearly(holds: bool, differences: Sequence[Difference | None]) -> bool | None:
    """Say whether differences that should be above 0 are so clearly, or clearly not; None where
    there is none, or one is missing.
    """
    there = [one for one in differences if one is not None]
    if not there or len(there) < len(differences):
        return None
    return all(one.low > 0 for one in there) if holds else any(one.high < 0 for one in there)


class _Range(NamedTuple):
    """The values of a group: `least` and `most`, and the ends of their intervals or None."""

    least: float
    most: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        ends = [f"{value:.1f}" for value in (self.least, self.most)]
        return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _range(table: Table, column: str, group: Name | Sequence[Name] | float) -> _Range | None:
    if isinstance(group, float):
        return _Range(group, group, group, group)
    rows = [table.get(name, {}) for name in _names(group)]
    if any(row.get(column) is None for row in rows):
        return None
    values, ends = [row[column] for row in rows], {}
    for end, worst in (("low", min), ("high", max)):
        each = [row[f"{column}_{end}"] for row in rows if row.get(f"{column}_{end}") is not None]
        ends[end] = worst(each) if len(each) == len(rows) else None
    return _Range(min(values), max(values), ends["low"], ends["high"])
