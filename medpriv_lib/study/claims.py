"""What the study concludes from its table, as conditions that any such table can be held against.

Each claim is asked of the paper's own Table 1, where it must hold, and of ours, where it may not. A
sentence of a page that is made from the answer cannot become false when the table is computed
again.
"""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medpriv_lib.study.conditions import NONE, Answer, Ask, Table, both, clearly, falling
from medpriv_lib.study.paired import Pairs
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


@dataclass(frozen=True)
class Claim:
    """One conclusion: `text` in our words, `where` in the paper it stands, `ask` how a table
    answers it.

    Where the answer hangs on what we take "very low", "high" or "hidden" to mean, `threshold` is
    that number in percent, and `at` returns the same question with another.
    """

    text: str
    where: str
    ask: Ask
    threshold: float | None = None
    at: Callable[[float], Ask] | None = None


def depending(text: str, where: str, threshold: float, at: Callable[[float], Ask]) -> Claim:
    """Return the claim that asks at a threshold, which stands for the {} in `text`."""
    return Claim(text.format(f"{threshold:.0f}"), where, at(threshold), threshold, at)


def stays(claim: Claim, table: Table, pairs: Pairs = NONE) -> tuple[float, float] | None:
    """Return from which to which threshold, in percent, the answer stays as it is at the claim's
    own; None for a claim without one.

    From the claim's own on, every tenth of a percent is tried, down to 0 and up to 100.
    """
    if claim.at is None or claim.threshold is None:
        return None
    same, own, ends = claim.ask(table, pairs).holds, round(10 * claim.threshold), []
    for tenths in (range(own - 1, -1, -1), range(own + 1, 1001)):
        end = own
        for tenth in tenths:
            if claim.at(tenth / 10)(table, pairs).holds is not same:
                break
            end = tenth
        ends.append(end / 10)
    return ends[0], ends[1]


def best_of_hidden(limit: float) -> Ask:
    """Return the condition that averaged sets read glaucoma best among the methods that name source
    and contributors in at most `limit` percent.

    It is clear where the best of them is better than each hidden method of the other kind.
    """

    def ask(table: Table, pairs: Pairs = NONE) -> Answer:
        hidden = {
            name: float(row[DISEASE])
            for name, row in table.items()
            if name in (*GROUPS, RANDOM, SAME, DIFFERENT, *AVERAGED)
            and all(row[rate] is not None for rate in (DISEASE, IDENTITY, REPLACEMENT))
            and all(row[rate] <= limit for rate in (IDENTITY, REPLACEMENT))
        }
        if not hidden:
            return Answer(None, f"no method names under {limit:.0f} %")
        best = max(hidden, key=lambda name: hidden[name])
        holds = best in AVERAGED
        rivals = [name for name in hidden if (name in AVERAGED) is not holds]
        numbers = f"best: {best[0]}, {best[1]} ({hidden[best]:.1f})"
        if not rivals:
            return Answer(holds, f"{numbers}, and no other kind is hidden")
        clear = clearly(True, [pairs.get((best, rival, DISEASE)) for rival in rivals])
        if clear is not None:
            return Answer(holds, numbers, clear, True)
        low = table[best].get(f"{DISEASE}_low")
        ends = [table[rival].get(f"{DISEASE}_high") for rival in rivals]
        highs = [float(end) for end in ends if end is not None]
        if low is None or len(highs) < len(ends):
            return Answer(holds, numbers)
        return Answer(holds, numbers, low > max(highs))

    return ask


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
    depending(
        "PPRL-VGAN hides the source: named in under {} %.",
        "section 3",
        FEW,
        lambda limit: falling(IDENTITY, limit, (RANDOM, SAME, DIFFERENT)),
    ),
    depending(
        "PPRL-VGAN exposes the replacement: named in over {} %.",
        "section 3",
        MOST,
        lambda limit: falling(REPLACEMENT, (RANDOM, SAME, DIFFERENT), limit),
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
    depending(
        "Averaged sets are the best trade-off: of all methods that name source and contributors in "
        "at most {} %, they keep glaucoma best.",
        "section 3",
        HIDDEN,
        best_of_hidden,
    ),
)


def as_table(rows: Sequence[Row]) -> Table:
    """Return rows by their names."""
    return {(str(row["experiment"]), str(row["set"])): row for row in rows}


def weigh(rows: Sequence[Row], pairs: Pairs = NONE) -> list[tuple[Claim, Answer, Answer]]:
    """Return each claim with the answer of the paper's own table and that of `rows`; `pairs` are
    differences of those image by image (`paired.read_pairs`).
    """
    theirs, ours = as_table(paper_table()), as_table(rows)
    return [(claim, claim.ask(theirs), claim.ask(ours, pairs)) for claim in CLAIMS]


def verdict(answer: Answer) -> str:
    """Say in words what an answer amounts to."""
    if answer.holds is None:
        return "cannot be said"
    said = "holds" if answer.holds else "does not hold"
    if answer.clear is False and answer.paired:
        return f"{said}, though not clearly"
    return f"{said}, within the intervals" if answer.clear is False and answer.holds else said


def render_claims(rows: Sequence[Row], pairs: Pairs = NONE) -> str:
    """Return the claims as an HTML table: the sentence, the numbers of both tables, the verdict on
    ours, and below it how rows were compared. Arguments as of `weigh`.
    """
    table = as_table(rows)
    body = "".join(
        f'<tr><th scope="row">{html.escape(claim.text)}</th>'
        + "".join(
            f'<td class="{kind}" style="white-space:normal;text-align:left">'
            f"{html.escape(text)}</td>"
            for kind, text in (
                ("theirs", theirs.numbers),
                ("ours", ours.numbers),
                ("", verdict(ours) + _same_for(stays(claim, table, pairs))),
            )
        )
        + "</tr>"
        for claim, theirs, ours in weigh(rows, pairs)
    )
    how = (
        "Rows are compared image by image: &#8220;not clearly&#8221; says that the 95 % interval "
        "of a difference includes no difference."
        if pairs
        else "Rows are not compared image by image, since this table holds no such differences: "
        "&#8220;within the intervals&#8221; says that neighbouring 95 % intervals overlap."
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="claims">'
        '<table class="numbers claims"><thead>'
        '<tr><th scope="col">The study concludes</th><th scope="col">its numbers</th>'
        '<th scope="col">ours</th><th scope="col">on our cohort it</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div><p>{how}</p>"
    )


def _same_for(ends: tuple[float, float] | None) -> str:
    """Say over which thresholds an answer stays the same; "" for a claim without one."""
    return "" if ends is None else f" (the same for any limit from {ends[0]:g} to {ends[1]:g} %)"
