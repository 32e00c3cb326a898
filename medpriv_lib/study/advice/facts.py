"""What the results files say about each method: lines of the verdict, and attackers' figures."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from medpriv_lib.attacks.best import most_found
from medpriv_lib.data.packaged import KINDS
from medpriv_lib.study.advice.rules import FROM_SOURCE, HIDDEN, MEMBERS, Method
from medpriv_lib.study.attacks import FILE, read_attacks
from medpriv_lib.study.gradient_inversion.summary import summarised
from medpriv_lib.study.table import Row, read_table
from medpriv_lib.study.verdict import (
    GUESSING,
    LINKED,
    LINKED_HIGH,
    TIMES,
    Line,
    verdicts,
)

BETTER = "a better search"  # begins the names of its rows
WHOSE = {"all": "", "healthy": " of the healthy", "diseased": " of the ill"}  # as said
Name = tuple[str, str]
Three = tuple[float, float | None, float | None]  # a number and the ends of its interval


@dataclass(frozen=True)
class Attacked:
    """What the best attackers reached on one method's releases of one cohort, in percent.

    `linked` and `source` are areas under the curve with the ends of their 95 % intervals over
    patients, to other photographs and to the very picture; `named` the share named, with `chance`;
    None where there is no number. Where ill and healthy images were told apart, each is the figure
    of those of which the attackers reach more, since a mean over both would hide the few; `whose`
    says which, "" for all: of `linked`, `named` and `source`.
    """

    cohort: str
    linked: Three | None
    named: Three | None
    source: Three | None
    chance: float
    n: int
    patients: int
    whose: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True)
class Facts:
    """All that the guide reads: `lines`, `attacked` and, as sentences, what weak attackers reached
    (`judged`: the identity judge, comparisons without training) by the row's name, and the files of
    training, membership and encryption as they are.
    """

    lines: Mapping[Name, dict[str, list[Line]]]
    attacked: Mapping[Name, list[Attacked]]
    judged: Mapping[Name, list[str]]
    inversion: Mapping[str, dict[str, float]]
    private: Mapping[str, Any]
    encrypted: Mapping[str, Any]

    def line(self, method: Method, requirement: str) -> Line:
        """Return one requirement's line for a method: it holds where it holds on every cohort on
        which it was measured.
        """
        if requirement == MEMBERS:
            return self._members(method)
        if requirement in (HIDDEN, FROM_SOURCE):
            if method.apart:
                return Line(requirement, True, "drawn without the source")
            found = self._attacked(method, requirement)
        else:
            found = self.lines.get(method.row, {}).get(requirement, [])
        held = [one.holds for one in found]
        holds = False if False in held else None if None in held or not held else True
        return Line(requirement, holds, "; ".join(one.numbers for one in found) or "not measured")

    def _attacked(self, method: Method, requirement: str) -> list[Line]:
        """Return a line for each cohort that was attacked, and for one that should have been.

        What hides where disease and person are independent may give them away where they are not,
        so a method attacked on one cohort needs the figure of the other.
        """
        attacked = self.attacked.get(method.row, [])
        there = {one.cohort for one in attacked}
        missing = [kind for kind in KINDS if there and kind not in there]
        return [_hidden(one, requirement) for one in attacked] + [
            Line(requirement, None, f"{kind}: not attacked yet") for kind in missing
        ]

    def _members(self, method: Method) -> Line:
        finding = self.private[method.row[0]]["finding"]
        value, (low, high) = finding["measures"]["auc"], finding["intervals"]["auc"]
        return _area(MEMBERS, (100 * value, 100 * low, 100 * high), "membership")


def read_facts(results: str | os.PathLike) -> Facts:
    """Read the results files of a folder, once. Raises `FileNotFoundError` naming what is missing
    and how it is made.
    """
    return _read(Path(results).resolve())


@cache
def _read(folder: Path) -> Facts:
    attacked = _attacks(folder)
    lines: dict[Name, dict[str, list[Line]]] = {}
    judged: dict[Name, list[str]] = {}
    for kind in KINDS:
        rows = read_table(folder / kind / "table.csv")
        for row in rows:
            if row["identity_accuracy"] is not None:
                judged.setdefault((row["experiment"], row["set"]), []).append(_judged(kind, row))
        for name, one in verdicts(rows).items():
            for line in one.lines:
                if line.requirement != HIDDEN:  # from the attacks, which know more
                    said = line._replace(numbers=f"{kind}: {line.numbers}")
                    lines.setdefault(name, {}).setdefault(line.requirement, []).append(said)
    return Facts(
        lines,
        attacked,
        judged,
        _inversion(folder),
        _json(folder / "private.json")["parts"],
        _json(folder / "encrypted.json"),
    )


def _inversion(folder: Path) -> dict[str, dict[str, float]]:
    """Return the rows of gradient inversion, and those of the better search on its third set."""
    third = summarised(_json(folder / "gradient-inversion-sets.json")["third"])
    better = {f"{BETTER}, {name}": line for name, line in third.items()}
    return summarised(_json(folder / "gradient-inversion.json")) | better


def _attacks(folder: Path) -> dict[Name, list[Attacked]]:
    """Return what attackers reached of every row, on each cohort that it was attacked on."""
    attacked: dict[Name, list[Attacked]] = {}
    for kind in KINDS:
        if (content := read_attacks(folder / kind)) is None:
            raise FileNotFoundError(
                f"{folder / kind / FILE}: no such results; name the folder chapters/results, or "
                f"make it with `medpriv study --cohort {kind} --attacks`"
            )
        made = content["provenance"]
        for row in (one for one in content["methods"] if one["figures"]):
            found = _reached(kind, row["figures"], made["n"], made["patients"])
            attacked.setdefault((row["experiment"], row["set"]), []).append(found)
    return attacked


def _judged(kind: str, row: Row) -> str:
    three = [row[f"identity_accuracy{end}"] for end in ("", "_low", "_high")]
    return (
        f"{kind}: the identity judge names {shown(three)} % (guessing "
        f"{row['chance_identity']:.1f}); {row['n']} images of {row['test_patients']} patients."
    )


def _reached(kind: str, figures: dict[str, dict[str, Any]], n: int, patients: int) -> Attacked:
    found = [most_found(figures, what) for what in ("others", "named", "source")]
    linked, named, source = (None if one is None else one[:3] for one in found)
    a, b, c = ("" if one is None else WHOSE[one.label] for one in found)
    chance = figures["all"].get("named", {}).get("chance") or 1 / patients
    return Attacked(kind, linked, named, source, 100 * chance, n, patients, (a, b, c))


def _hidden(one: Attacked, requirement: str) -> Line:
    a, _, c = one.whose
    if requirement == FROM_SOURCE:
        return _area(requirement, one.source, f"{one.cohort}: linked to the very picture{c}")
    line = _area(requirement, one.linked, f"{one.cohort}: linked to other photographs{a}")
    if line.holds and one.named is not None:  # as in the verdict: named from, not above twice
        low = one.named[1]
        return line._replace(holds=None if low is None else low <= TIMES * one.chance)
    return line


def _area(requirement: str, area: Three | None, what: str) -> Line:
    if area is None:
        return Line(requirement, None, f"{what}: not measured")
    value, _, high = area
    holds: bool | None = value <= GUESSING + LINKED
    if holds:  # a value whose interval is not known is a missing number
        holds = None if high is None else high <= GUESSING + LINKED_HIGH
    return Line(requirement, holds, f"{what} {shown(area)}")


def shown(three: Sequence[float | None]) -> str:
    """Return a number with its interval, where there is one, in percent."""
    value, low, high = three
    return f"{value:.1f}" if low is None or high is None else f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
