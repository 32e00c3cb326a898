"""All methods by their names: a method is here as soon as its class is defined."""

import importlib
import pkgutil
from collections.abc import Iterator

import medpriv_lib.privatizers as room
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Privatizer, Resources

# the order of the study's rows and of the command line; what is not named here follows by name
FIRST = (
    *("pprl-vgan", "averaged", "blur", "k-same", "k-same-select", "original"),
    *("real-other", "class-mean", "prior-sample"),
)


def privatizers() -> dict[str, type[Privatizer]]:
    """Return every method by name, in a fixed order: those of this folder and those defined
    elsewhere.

    Raises `ValueError` where two classes share a name.
    """
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        importlib.import_module(module.name)
    found: dict[str, type[Privatizer]] = {}
    for one in _below(Privatizer):  # type: ignore[type-abstract]
        name = one.__dict__.get("name")
        if name is None:  # a half-finished class that others derive from
            continue
        if name in found and found[name] is not one:
            raise ValueError(
                f"two privatizers are called {name!r}: {found[name]} and {one}; rename one"
            )
        found[name] = one
    order = {name: place for place, name in enumerate(FIRST)}
    names = sorted(found, key=lambda name: (found[name].control, order.get(name, len(order)), name))
    return {name: found[name] for name in names}


def privatizer(name: str) -> type[Privatizer]:
    """Return one method. Raises `ValueError` for an unknown name, with all names there are."""
    found = privatizers()
    if name not in found:
        raise ValueError(f"unknown method {name!r}; choose from {', '.join(found)}")
    return found[name]


def again(release: Release, resources: Resources) -> Privatizer:
    """Return the method that made a release, ready to run again.

    Raises `ValueError` for a method that is unknown here and where the resources do not suffice.
    """
    cls = privatizer(release.method)
    names = [one.name for one in cls.parameters]
    missing = [name for name in names if name not in release.parameters]
    if missing:
        raise ValueError(f"the release does not say which {', '.join(missing)} {cls.name} had")
    return cls.ready(resources, **{name: release.parameters[name] for name in names})


def _below(cls: type[Privatizer]) -> Iterator[type[Privatizer]]:
    for one in cls.__subclasses__():
        yield one
        yield from _below(one)
