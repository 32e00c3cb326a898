"""All measures by their names: a measure is here as soon as its class is defined."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType

from medpriv_lib.measures.measure import Column, Measure, Place

# the order of those that ship; what is not named here follows by name
FIRST = ("verdicts", "evidence", "relevance", "intelligibility", "retrieval")


def measures(*rooms: ModuleType) -> dict[str, type[Measure]]:
    """Return every measure by name, in a fixed order: of these rooms and all defined elsewhere.

    Raises `ValueError` where two classes share a name or two measures a column.
    """
    for room in rooms:
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)
    found: dict[str, type[Measure]] = {}
    for one in _below(Measure):  # type: ignore[type-abstract]
        if inspect.isabstract(one) or "name" not in one.__dict__:  # what others derive from
            continue
        if found.setdefault(one.name, one) is not one:
            raise ValueError(f"two measures are called {one.name!r}: {found[one.name]} and {one}")
    order = {name: place for place, name in enumerate(FIRST)}
    names = sorted(found, key=lambda name: (order.get(name, len(order)), name))
    _check([column for name in names for column in found[name].columns])
    return {name: found[name] for name in names}


def names_of(columns: Iterable[Column]) -> list[str]:
    """Return the names of columns and of their spreads in the order of the table.

    Rates of verdicts stand first and their spreads after the counts; any other column is followed
    by its own spread.
    """
    placed: list[tuple[Place, str]] = []
    for column in columns:
        apart = column.place <= Place.COUNT
        placed.append((column.place, column.name))
        placed += [(Place.SPREAD if apart else column.place, name) for name in column.spreads]
    return [name for _, name in sorted(placed, key=lambda pair: pair[0])]


def _check(columns: list[Column]) -> None:
    names = names_of(columns)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two measures declare the column {', '.join(twice)}; rename one")


def _below(cls: type[Measure]) -> Iterator[type[Measure]]:
    for one in cls.__subclasses__():
        yield one
        yield from _below(one)
