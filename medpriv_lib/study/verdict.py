"""Does a method meet every requirement at once? One line for each, from its row of the table.

No line is a fixed number below chance, and no line trusts a judge that a trivial release fools:

- *hidden*: the best adaptive attacker, not the naive judge, links the release to other originals of
  the eye hardly better than by guessing (50), and names it no more than twice as often as guessing;
- *lends nobody*: no patient's image or identity went in, or the best attacker names those no more
  than twice as often as by guessing one of them, which is easier the more there are, and links them
  hardly better than by guessing;
- *evidence*: the release fits the case's own signs better than others' (`own_signs_auc`), by most
  of what lies between guessing and the ceiling, which is the true signs laid on a stranger;
- *disease*: the expert, who met none of the patients, tells ill from healthy, by most of what lies
  between guessing and that ceiling;
- *no signs added*: the expert calls hardly more healthy eyes ill than among the originals;
- *intelligible*: an eye is found nearly as often as in the originals.

Where signs identify, nobody can keep them and be hidden as well; `at_ceiling` says whether a method
is linked no better than the true signs alone are, which is the most that can then be asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from medpriv_lib.attacks.best import AUC, LENT, LENT_AUC, RANK1
from medpriv_lib.study.table import Row

CEILING = ("control", "true signs on a stranger, same pupil")
ORIGINAL = ("baseline", "original test set")
GUESSING = 50.0  # %, of an area under a curve
LINKED, LINKED_HIGH = 5.0, 8.0  # points above guessing: the area, and the upper end of its interval
TIMES = 2.0  # as often as guessing: naming
MOST_OF = 0.8  # of the way from guessing to the ceiling
ABOVE_CEILING, ADDED, FOUND = 2.0, 1.0, 2.0  # points: linked, healthy called ill, eyes not found


class Line(NamedTuple):
    """One requirement: whether it `holds`, None where a number is missing, and the `numbers`."""

    requirement: str
    holds: bool | None
    numbers: str


@dataclass(frozen=True)
class Verdict:
    """The lines of one row; `at_ceiling` is the weaker form of the first."""

    lines: tuple[Line, ...]
    at_ceiling: Line

    @property
    def meets_all(self) -> bool | None:
        """Whether every requirement holds; None where none fails but a number is missing."""
        return _all(self.lines)

    @property
    def meets_what_can_be(self) -> bool | None:
        """Whether every requirement holds, hiding no better than the signs themselves allow."""
        return _all((*self.lines[1:], self.at_ceiling))

    def line(self, requirement: str) -> Line:
        """Return the line of one requirement. Raises `KeyError` for one that there is not."""
        for one in (*self.lines, self.at_ceiling):
            if one.requirement == requirement:
                return one
        raise KeyError(requirement)


def verdict(row: Row, ceiling: Row, original: Row) -> Verdict:
    """Return the verdict on a row, beside the ceiling's and the originals' row of its table."""
    return Verdict(
        (
            _hidden(row),
            _lends_nobody(row),
            _most_of("evidence", "own_signs_auc", row, ceiling),
            _most_of("disease", "expert_auc", row, ceiling),
            _at_most("no signs added", "expert_healthy_ill", row, original, ADDED),
            _at_least("intelligible", "intelligibility_found", row, original, FOUND),
        ),
        _at_most("at the ceiling", AUC, row, ceiling, ABOVE_CEILING),
    )


def verdicts(rows: Sequence[Row]) -> dict[tuple[str, str], Verdict]:
    """Return the verdict on every row with numbers; {} where ceiling or originals are missing."""
    table = {(str(row["experiment"]), str(row["set"])): row for row in rows}
    if CEILING not in table or ORIGINAL not in table:
        return {}
    return {
        name: verdict(row, table[CEILING], table[ORIGINAL])
        for name, row in table.items()
        if row.get("n") is not None
    }


def render_verdicts(rows: Sequence[Row]) -> str:
    """Return the verdicts as text for a terminal; "" where the table has no ceiling."""
    shown = {(row["experiment"], row["set"]) for row in rows if row["labels"] != "predicted"}
    found = {name: one for name, one in verdicts(rows).items() if name in shown}
    if not found:
        return ""
    width = max(len(name) for _, name in found) + 3
    titles = [*(line.requirement for line in next(iter(found.values())).lines), "at the ceiling"]
    lines = ["requirements".ljust(width) + "".join(f"{title:>16}" for title in titles)]
    for (_, name), one in found.items():
        marks = [_mark(line) for line in (*one.lines, one.at_ceiling)]
        lines.append(f"  {name}".ljust(width) + "".join(f"{mark:>16}" for mark in marks))
    return "\n".join([*lines, "", "-: a number is missing, such as that of an attack"])


def _hidden(row: Row) -> Line:
    linked, high, rank1 = row.get(AUC), row.get(f"{AUC}_high"), row.get(f"{RANK1}_low")
    chance = row.get("chance_identity")
    numbers = f"linked {_shown(linked)} (to {_shown(high)}), named from {_shown(rank1)}"
    if linked is None and rank1 is None:
        return Line("hidden", None, "not attacked")
    return Line("hidden", _every([*_linking(linked, high), _naming(rank1, chance)]), numbers)


def _lends_nobody(row: Row) -> Line:
    """Ask who went in besides the source; where everybody of the label did, nobody can be linked,
    and the naming alone is looked at.
    """
    named, low, guess = row.get(LENT), row.get(f"{LENT}_low"), row.get(f"{LENT}_guess")
    linked, high = row.get(LENT_AUC), row.get(f"{LENT_AUC}_high")
    if named is None and linked is None:
        if row.get("replacement_identity_accuracy") is None:  # no contributors
            return Line("lends nobody", True, "nobody's image or identity went in")
        return Line("lends nobody", None, "not attacked")
    numbers = (
        f"a contributor is named in {_shown(named)} (from {_shown(low)}), guessing "
        f"{_shown(guess)}; linked {_shown(linked)} (to {_shown(high)})"
    )
    tests = [_naming(low, guess), *(() if linked is None else _linking(linked, high))]
    return Line("lends nobody", _every(tests), numbers)


def _linking(linked: float | None, high: float | None) -> list[bool | None]:
    """Ask whether a linkage and the upper end of its interval are hardly better than guessing."""
    return [
        None if linked is None else linked <= GUESSING + LINKED,
        None if high is None else high <= GUESSING + LINKED_HIGH,
    ]


def _naming(low: float | None, chance: float | None) -> bool | None:
    """Ask whether naming, by the lower end of its interval, is at most twice as good as a guess."""
    return None if low is None or chance is None else low <= TIMES * chance


def _most_of(requirement: str, column: str, row: Row, ceiling: Row) -> Line:
    value, top = row.get(column), ceiling.get(column)
    if value is None or top is None:
        return Line(requirement, None, "not measured")
    limit = GUESSING + MOST_OF * (top - GUESSING)
    low = row.get(f"{column}_low")
    above = low is None or low > GUESSING
    return Line(requirement, value >= limit and above, f"{value:.1f}, to reach {limit:.1f}")


def _at_most(requirement: str, column: str, row: Row, other: Row, more: float) -> Line:
    value, top = row.get(column), other.get(column)
    if value is None or top is None:
        return Line(requirement, None, "not measured")
    return Line(requirement, value <= top + more, f"{value:.1f}, at most {top + more:.1f}")


def _at_least(requirement: str, column: str, row: Row, other: Row, less: float) -> Line:
    value, top = row.get(column), other.get(column)
    if value is None or top is None:
        return Line(requirement, None, "not measured")
    return Line(requirement, value >= top - less, f"{value:.1f}, at least {top - less:.1f}")


def _all(lines: Sequence[Line]) -> bool | None:
    return _every([line.holds for line in lines])


def _every(held: Sequence[bool | None]) -> bool | None:
    """Return whether all hold; None where none fails but one cannot be said."""
    if False in held:
        return False
    return None if None in held else True


def _mark(line: Line) -> str:
    return "-" if line.holds is None else "holds" if line.holds else "fails"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
