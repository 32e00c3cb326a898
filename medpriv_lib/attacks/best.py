"""The attackers' columns of the study's table, in percent like all others."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from medpriv_lib.attacks.finding import Finding, Kind, Target
from medpriv_lib.attacks.labels import LABELS

BEST, RANK1, AUC = "best_attack", "best_attack_rank1", "best_attack_linkage_auc"
OWN = "best_attack_source_auc"
# a contributor: named, with what guessing one of them scores there, and linked
LENT, LENT_AUC = "best_attack_contributor_rank1", "best_attack_contributor_auc"
COLUMNS = (
    *(BEST, RANK1, f"{RANK1}_low", f"{RANK1}_high", AUC, f"{AUC}_low", f"{AUC}_high", OWN),
    *(LENT, f"{LENT}_low", f"{LENT}_high", f"{LENT}_guess"),
    *(LENT_AUC, f"{LENT_AUC}_low", f"{LENT_AUC}_high"),
)
# One image of one patient, named or linked: what is compared across methods. Attacks that need more
# (several releases of a case, K - 1 known members) or look for somebody else (contributors) are
# reported, but not here. By "own_auc" the attacker holds the very source of the released image.
KINDS: dict[str, tuple[Kind, ...]] = {
    "rank1": ("naming",),
    "linkage_auc": ("linking",),
    "tar_1": ("linking",),
    "own_auc": ("linking", "matching"),
    "own_tar_1": ("linking", "matching"),
}
# several releases of one case; who went in besides the source
SEVERAL: tuple[Kind, ...] = ("intersection",)
LENDERS: tuple[Kind, ...] = ("contributors",)
ALL = "all"  # images with and without the disease together


@dataclass(frozen=True)
class Figure:
    """What the best attacker reaches: `attack` its name, `value` with its 95 % interval over
    patients (`low`, `high`, None where there is none), `chance` what guessing scores or None.
    """

    attack: str
    value: float
    low: float | None
    high: float | None
    chance: float | None


def best(found: Sequence[Finding], measure: str) -> Finding | None:
    """Return the attack that did best by "rank1", "linkage_auc" or "own_auc", or None where none
    was possible.

    The largest of several estimates is a little too large: of several attackers who all guess, one
    is the luckiest.
    """
    able = [
        one
        for one in found
        if one.kind in KINDS[measure] and one.target == "source" and measure in one.measures
    ]
    return max(able, key=lambda one: one.measures[measure], default=None)


def figure(
    found: Sequence[Finding],
    measure: str,
    label: str = ALL,
    kinds: Sequence[Kind] | None = None,
    target: Target = "source",
    relative: bool = False,
) -> Figure | None:
    """Return what the attack that did best by a measure reaches, on all images or on those of one
    label ("healthy", "diseased").

    Attacks of these `kinds` on this `target` are looked at; None takes those of `KINDS`. None where
    no attack has the measure for the label. The best attacker for one label need not be the best
    for the other. `relative` takes the attack that reaches most beside its own guess, in place of
    the largest value: where guesses differ, the larger value may be the poorer attack.
    """
    kinds = KINDS[measure] if kinds is None else kinds
    listed = []
    for one in found:
        if one.kind not in kinds or one.target != target:
            continue
        chance = one.chance.get(measure)
        if label == ALL and measure in one.measures:
            low, high = one.intervals.get(measure, (None, None))
            listed.append(Figure(one.attack, one.measures[measure], low, high, chance))
        elif measure in one.by_label.get(label, {}):
            chance = one.label_chance.get(label, {}).get(measure, chance)
            listed.append(Figure(one.attack, *one.by_label[label][measure], chance))
    return max(listed, key=_times if relative else lambda one: one.value, default=None)


def _times(one: Figure) -> float:
    """Return how many times its own guess an attack reaches."""
    return one.value / max(one.chance or 0.0, 1e-6)


def best_figures(found: Sequence[Finding]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return label -> what -> the best attacker's figure as plain values; what nobody found out is
    left out.

    Labels: "all", "healthy", "diseased". What: "named" (rank 1 of one release), "others" and
    "others_tar_1" (linkage to other originals of the eye), "source" and "source_tar_1" (linkage to
    the source itself, which the attacker holds), "several_others" and "several_source" (the same
    from several releases of one case), "contributors" (linkage to who went in besides the source)
    and "contributors_named" (one of them named, by the attack that does so most beside guessing).
    "Named" is what a verdict has to use: the best attacker's figure and never one attacker's.
    """
    asked: dict[str, tuple[str, tuple[Kind, ...] | None, Target]] = {
        "named": ("rank1", None, "source"),
        "others": ("linkage_auc", None, "source"),
        "others_tar_1": ("tar_1", None, "source"),
        "source": ("own_auc", None, "source"),
        "source_tar_1": ("own_tar_1", None, "source"),
        "several_others": ("linkage_auc", SEVERAL, "source"),
        "several_source": ("own_auc", SEVERAL, "source"),
        "contributors": ("linkage_auc", LENDERS, "contributor"),
    }
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for label in (ALL, *LABELS):
        each = {key: figure(found, m, label, k, t) for key, (m, k, t) in asked.items()}
        each["contributors_named"] = figure(
            found, "rank1", label, LENDERS, "contributor", relative=True
        )
        result[label] = {key: asdict(one) for key, one in each.items() if one is not None}
    return result


class Reached(NamedTuple):
    """The best attacker's figure in percent, with the ends of its 95 % interval over patients, the
    `label` of the images ("all", "healthy", "diseased") and the attack's name.
    """

    value: float
    low: float | None
    high: float | None
    label: str
    attack: str


def most_found(figures: Mapping[str, Mapping[str, Any]], what: str) -> Reached | None:
    """Return the largest of a row's figures of one kind over the labels, None where there is none:
    a mean over all images would hide the few who are ill.

    `figures` are those of `best_figures`, `what` one of its kinds ("named", "others", "source", …).
    """
    there = {label: one[what] for label, one in figures.items() if what in one}
    if not there:
        return None
    label = max(there, key=lambda key: there[key]["value"])
    value, low, high = (
        None if there[label][key] is None else 100 * there[label][key]
        for key in ("value", "low", "high")
    )
    return Reached(float(value or 0), low, high, label, str(there[label].get("attack", "")))


class Lent(NamedTuple):
    """How often the best attacker names a contributor, in percent, with the ends of its 95 %
    interval over contributors and the `guess` of one of them; `label` and `attack` as of `Reached`.
    """

    value: float
    low: float | None
    high: float | None
    guess: float
    label: str
    attack: str


def most_lent(figures: Mapping[str, Mapping[str, Any]]) -> Lent | None:
    """Return the figure of naming a contributor, of the label where most is found beside guessing.

    By label the guess knows which label the contributors have; over all images it does not, and is
    looked at only where no label was told apart. None where nobody was looked for.
    """
    there = {
        label: one["contributors_named"]
        for label, one in figures.items()
        if one.get("contributors_named", {}).get("chance") is not None
    }
    if set(there) & set(LABELS):
        there.pop(ALL, None)
    if not there:
        return None
    label = max(there, key=lambda key: _times(Figure(**there[key])))
    one = Figure(**there[label])
    low, high = (None if end is None else 100 * end for end in (one.low, one.high))
    return Lent(100 * one.value, low, high, 100 * (one.chance or 0.0), label, one.attack)


def columns(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, str | float | None]:
    """Return the table's cells for the figures of one method, each of the label of which attackers
    reach more.
    """
    row: dict[str, str | float | None] = dict.fromkeys(COLUMNS) | {BEST: ""}
    for what, column in (("named", RANK1), ("others", AUC)):
        one = most_found(figures, what)
        if one is not None:
            row |= {column: one.value, f"{column}_low": one.low, f"{column}_high": one.high}
            if what == "named":
                row[BEST] = one.attack
    if (own := most_found(figures, "source")) is not None:
        row[OWN] = own.value
    if (lent := most_lent(figures)) is not None:
        row |= {LENT: lent.value, f"{LENT}_low": lent.low, f"{LENT}_high": lent.high}
        row[f"{LENT}_guess"] = lent.guess
    if (linked := most_found(figures, "contributors")) is not None:
        row |= {LENT_AUC: linked.value, f"{LENT_AUC}_low": linked.low}
        row[f"{LENT_AUC}_high"] = linked.high
    return row


def render_attacks(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the naive and the adaptive attackers side by side as text for a terminal; nothing
    where none was run.
    """
    rows = [row for row in rows if row["labels"] != "predicted" and row.get(RANK1) is not None]
    if not rows:
        return ""
    width = max(len(str(row["set"])) for row in rows) + 3
    lines = [
        "attackers".ljust(width)
        + f"{'naive':>8}{'best':>8}{'95 %':>16}  {'attack':<12}{'linkage':>8}"
        f"{'95 %':>16}{'source':>8}{'lent':>8}{'guess':>8}"
    ]
    for row in rows:
        naive = "-" if row["identity_accuracy"] is None else f"{row['identity_accuracy']:.1f}"
        lines.append(
            f"  {row['set']}".ljust(width)
            + f"{naive:>8}{row[RANK1]:>8.1f}{_range(row, RANK1):>16}  "
            f"{row[BEST]:<12}"
            + (" " * 24 if row[AUC] is None else f"{row[AUC]:>8.1f}{_range(row, AUC):>16}")
            + "".join(
                " " * 8 if row.get(key) is None else f"{row[key]:>8.1f}"
                for key in (OWN, LENT, f"{LENT}_guess")
            )
        )
    return "\n".join(
        [
            *(line.rstrip() for line in lines),
            "",
            "naive: the identity judge names the source; best: the attack that names most; "
            "linkage: area under the curve, 50 is guessing; source: the same by who holds the "
            "source itself; lent: a contributor is named, and what guessing one would reach",
        ]
    )


def _range(row: Mapping[str, Any], column: str) -> str:
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    return "-" if low is None or high is None else f"{low:.1f} to {high:.1f}"
