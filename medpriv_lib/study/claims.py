"""What the study concludes from its table, as conditions that any such table can be held against.

Each claim is asked of the paper's own Table 1, where it must hold, and of ours, where it may not. A
sentence of a page that is made from the answer cannot become false when the table is computed
again.
"""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from medpriv_lib.study.table import Row, paper_table

IDENTITY, REPLACEMENT, DISEASE, F1 = (
    "identity_accuracy",
    "replacement_identity_accuracy",
    "disease_accuracy",
    "disease_f1",
)
BLUR = tuple(("blur", f"kernel {kernel}") for kernel in (3, 9, 15, 21))
GROUPS = tuple(("k-same-select", f"{k} identities") for k in (3, 6, 9, 12))
RANDOM, SAME, DIFFERENT = (
    ("pprl-vgan", name)
    for name in (
        "random identities",
        "identities with the same pathology",
        "identities with a different pathology",
    )
)
AVERAGED = tuple(
    ("pprl-vgan", f"average of 6 with {which}")
    for which in ("random identities", "the same pathology")
)
FEW, MOST, HIDDEN = (
    5.0,
    50.0,
    20.0,
)  # %, what we take "very low", "high" and a hidden patient to mean

Name = tuple[str, str]
Table = dict[Name, Row]


class Answer(NamedTuple):
    """What a table says to a claim: `holds`, or None where a number is missing; the `numbers` it
    was read from.

    `clear` says whether no two neighbouring 95 % intervals overlap, None where the table has none.
    """

    holds: bool | None
    numbers: str
    clear: bool | None = None


@dataclass(frozen=True)
class Claim:
    """One conclusion: `text` in our words, `where` in the paper it stands, `ask` how a table
    answers it.
    """

    text: str
    where: str
    ask: Callable[[Table], Answer]


def falling(column: str, *groups: Name | Sequence[Name] | float) -> Callable[[Table], Answer]:
    """Return the condition that every value of a group exceeds every value of the next; a number
    stands for itself.
    """

    def ask(table: Table) -> Answer:
        found = [_range(table, column, group) for group in groups]
        ranges = [part for part in found if part is not None]
        if len(ranges) < len(found):
            return Answer(None, "not in the table")
        pairs = list(pairwise(ranges))
        ends = [
            (high.low, low.high)
            for high, low in pairs
            if high.low is not None and low.high is not None
        ]
        clear = None if len(ends) < len(pairs) else all(high > low for high, low in ends)
        return Answer(
            all(high.least > low.most for high, low in pairs), " | ".join(map(str, ranges)), clear
        )

    return ask


def both(*conditions: Callable[[Table], Answer]) -> Callable[[Table], Answer]:
    """Return the condition that all of these hold."""

    def ask(table: Table) -> Answer:
        answers = [condition(table) for condition in conditions]
        holds = None if any(a.holds is None for a in answers) else all(a.holds for a in answers)
        clear = None if any(a.clear is None for a in answers) else all(a.clear for a in answers)
        return Answer(holds, "; ".join(a.numbers for a in answers), clear)

    return ask


def best_of_hidden(table: Table) -> Answer:
    """Ask whether averaged sets read glaucoma best among the methods that name source and
    contributors rarely.
    """
    hidden = {
        name: row[DISEASE]
        for name, row in table.items()
        if name in (*GROUPS, RANDOM, SAME, DIFFERENT, *AVERAGED)
        and row[DISEASE] is not None
        and row[IDENTITY] <= HIDDEN
        and row[REPLACEMENT] <= HIDDEN
    }
    if not hidden:
        return Answer(None, f"no method names under {HIDDEN:.0f} %")
    best = max(hidden, key=lambda name: hidden[name])
    return Answer(best in AVERAGED, f"best: {best[0]}, {best[1]} ({hidden[best]:.1f})")


CLAIMS = (
    Claim(
        "The stronger the blur, the less often the patient is named.",
        "section 3",
        falling(IDENTITY, *BLUR),
    ),
    Claim(
        "The strongest blur still names the patient more often than any other method.",
        "section 3",
        falling(IDENTITY, BLUR[-1], (*GROUPS, RANDOM, SAME, DIFFERENT, *AVERAGED)),
    ),
    Claim(
        "Stronger blur loses the evidence: F1 falls from kernel to kernel.",
        "section 3",
        falling(F1, *BLUR),
    ),
    Claim(
        "The larger K, the less often the patient is named.",
        "section 3",
        falling(IDENTITY, *GROUPS),
    ),
    Claim(
        "The larger K, the worse glaucoma is recognised.", "section 3", falling(DISEASE, *GROUPS)
    ),
    Claim(
        f"PPRL-VGAN hides the source: named in under {FEW:.0f} %.",
        "section 3",
        falling(IDENTITY, FEW, (RANDOM, SAME, DIFFERENT)),
    ),
    Claim(
        f"PPRL-VGAN exposes the replacement: named in over {MOST:.0f} %.",
        "section 3",
        falling(REPLACEMENT, (RANDOM, SAME, DIFFERENT), MOST),
    ),
    Claim(
        "An identity with the same pathology keeps glaucoma best, one with a different pathology "
        "worst.",
        "section 3",
        both(falling(DISEASE, SAME, RANDOM, DIFFERENT), falling(F1, SAME, RANDOM, DIFFERENT)),
    ),
    Claim(
        "Averaging six images protects the replacement.",
        "section 3",
        both(falling(REPLACEMENT, RANDOM, AVERAGED[0]), falling(REPLACEMENT, SAME, AVERAGED[1])),
    ),
    Claim(
        "Averages over the same pathology keep glaucoma better than averages over anybody.",
        "section 3",
        both(falling(DISEASE, AVERAGED[1], AVERAGED[0]), falling(F1, AVERAGED[1], AVERAGED[0])),
    ),
    Claim(
        "Averaged sets are the best trade-off: of all methods that name source and contributors in "
        f"at most {HIDDEN:.0f} %, they keep glaucoma best.",
        "section 3",
        best_of_hidden,
    ),
)


def as_table(rows: Sequence[Row]) -> Table:
    """Return rows by their names."""
    return {(str(row["experiment"]), str(row["set"])): row for row in rows}


def weigh(rows: Sequence[Row]) -> list[tuple[Claim, Answer, Answer]]:
    """Return each claim with the answer of the paper's own table and that of `rows`."""
    theirs, ours = as_table(paper_table()), as_table(rows)
    return [(claim, claim.ask(theirs), claim.ask(ours)) for claim in CLAIMS]


def verdict(answer: Answer) -> str:
    """Say in words what an answer amounts to."""
    if answer.holds is None:
        return "cannot be said"
    if not answer.holds:
        return "does not hold"
    return "holds, within the intervals" if answer.clear is False else "holds"


def render_claims(rows: Sequence[Row]) -> str:
    """Return the claims as an HTML table: the sentence, the numbers of both tables, the verdict on
    ours.
    """
    body = "".join(
        f'<tr><th scope="row">{html.escape(claim.text)}</th>'
        + "".join(
            f'<td class="{kind}" style="white-space:normal;text-align:left">'
            f"{html.escape(text)}</td>"
            for kind, text in (
                ("theirs", theirs.numbers),
                ("ours", ours.numbers),
                ("", verdict(ours)),
            )
        )
        + "</tr>"
        for claim, theirs, ours in weigh(rows)
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="claims">'
        '<table class="numbers claims"><thead>'
        '<tr><th scope="col">The study concludes</th><th scope="col">its numbers</th>'
        '<th scope="col">ours</th><th scope="col">on our cohort it</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


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
    several: Sequence[Any] = [group] if isinstance(group[0], str) else group
    rows = [table.get(name, {}) for name in several]
    if any(row.get(column) is None for row in rows):
        return None
    values, ends = [row[column] for row in rows], {}
    for end, worst in (("low", min), ("high", max)):
        each = [row[f"{column}_{end}"] for row in rows if row.get(f"{column}_{end}") is not None]
        ends[end] = worst(each) if len(each) == len(rows) else None
    return _Range(min(values), max(values), ends["low"], ends["high"])
