"""All attacks by their names: an attack is here as soon as its function is defined.

A new attack is one file in this folder: a function `(setting: Setting) -> Finding` under the
decorator `attack`, with a docstring that says what its attacker knows, and a test. The study, the
report and the command read this list.
"""

import importlib
import pkgutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal

import medpriv_lib.attacks as room
from medpriv_lib.attacks.draws import averaged
from medpriv_lib.attacks.finding import Finding, Kind, Target, knowledge_of, missing
from medpriv_lib.attacks.labels import by_label
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.suspicion import below_guessing
from medpriv_lib.core.not_applicable import NotApplicable

Find = Callable[[Setting], Finding]
Asked = Literal["draw", "release", "cohort"]


@dataclass(frozen=True)
class Attack:
    """One attack: its `name`, what it does to whom (`kind`, `target`), and its `place` in the list.

    `knowledge` says what its attacker knows; `asked` how often it is run: for every random "draw"
    of a release, once per "release", or once per "cohort" (its answer is the same for all releases
    that were made by networks of that cohort); `find` runs it.
    """

    name: str
    kind: Kind
    target: Target
    place: float
    asked: Asked
    knowledge: str
    find: Find


_KNOWN: dict[str, Attack] = {}


def attack(
    *,
    name: str,
    kind: Kind,
    target: Target,
    place: float,
    asked: Asked = "release",
    knows: Callable | None = None,
) -> Callable[[Find], Find]:
    """Register the decorated function as an attack; arguments as in `Attack`.

    The sentence "Knowledge: …" is read from the function, or from `knows` where the attack is a
    function of arrays that is used by itself, too. Raises `ValueError` where there is no such
    sentence, and for a name that another function has.
    """

    def register(find: Find) -> Find:
        known = _KNOWN.get(name)
        if known is not None and known.find.__qualname__ != find.__qualname__:
            raise ValueError(
                f"two attacks are called {name!r}: {known.find.__qualname__} and "
                f"{find.__qualname__}; rename one"
            )
        _KNOWN[name] = Attack(name, kind, target, place, asked, knowledge_of(knows or find), find)
        return find

    return register


def attacks() -> list[Attack]:
    """Return all attacks in the order of their places: those of this folder and all defined
    elsewhere.
    """
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        importlib.import_module(module.name)
    return sorted(_KNOWN.values(), key=lambda one: (one.place, one.name))


def run(setting: Setting, names: Collection[str] | None = None) -> list[Finding]:
    """Run all attacks, or those of these names, on one release.

    An attack that the images do not allow (`NotApplicable`, no other error) is a finding without
    measures whose note says why. Raises `ValueError` for a name that no attack has.
    """
    listed = attacks()
    unknown = set(names or ()) - {one.name for one in listed}
    if unknown:
        raise ValueError(
            f"no attack is called {sorted(unknown)[0]!r}; there are: "
            f"{', '.join(one.name for one in listed)}"
        )
    return [_found(one, setting) for one in listed if names is None or one.name in names]


def _found(one: Attack, setting: Setting) -> Finding:
    """Return what one attack finds; the only place where `NotApplicable` is caught."""
    draws = range(len(setting.scenes)) if one.asked == "draw" else range(1)
    try:
        each = [_labelled(one, setting.of_draw(draw)) for draw in draws]
    except NotApplicable as reason:
        return missing(one.name, one.knowledge, one.kind, one.target, reason)
    found = averaged(each) if one.asked == "draw" else each[0]
    return below_guessing(found)


def _labelled(one: Attack, setting: Setting) -> Finding:
    """Return the finding of one draw under the attack's name, with the rows of its outcomes."""
    found = one.find(setting)
    if found.rows is None and found.probe is not None:
        found = replace(found, rows=setting.scene.source[found.probe])
    if found.hits is not None and found.rows is not None and "rank1" in found.measures:
        told = by_label({"rank1": (found.hits, found.rows)}, setting.cohort)
        told = {label: found.by_label.get(label, {}) | each for label, each in told.items()}
        found = replace(found, by_label=found.by_label | told)
    return replace(
        found, attack=one.name, knowledge=one.knowledge, kind=one.kind, target=one.target
    )
