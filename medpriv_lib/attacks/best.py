"""The attackers' columns of the study's table, in percent like all others."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medpriv_lib.attacks.finding import Finding, Kind, Target
from medpriv_lib.attacks.labels import LABELS

BEST, RANK1, AUC = "best_attack", "best_attack_rank1", "best_attack_linkage_auc"
OWN = "best_attack_source_auc"
COLUMNS = (BEST, RANK1, f"{RANK1}_low", f"{RANK1}_high", AUC, f"{AUC}_low", f"{AUC}_high", OWN)
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
) -> Figure | None:
    """Return what the attack that did best by a measure reaches, on all images or on those of one
    label ("healthy", "diseased").

    Attacks of these `kinds` on this `target` are looked at; None takes those of `KINDS`. None where
    no attack has the measure for the label. The best attacker for one label need not be the best
    for the other.
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
            listed.append(Figure(one.attack, *one.by_label[label][measure], chance))
    return max(listed, key=lambda one: one.value, default=None)


def best_figures(found: Sequence[Finding]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return label -> what -> the best attacker's figure as plain values; what nobody found out is
    left out.

    Labels: "all", "healthy", "diseased". What: "named" (rank 1 of one release), "others" and
    "others_tar_1" (linkage to other originals of the eye), "source" and "source_tar_1" (linkage to
    the source itself, which the attacker holds), "several_others" and "several_source" (the same
    from several releases of one case), "contributors" (linkage to who went in besides the source).
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
        result[label] = {key: asdict(one) for key, one in each.items() if one is not None}
    return result


def columns(found: Sequence[Finding]) -> dict[str, str | float | None]:
    """Return the table's cells for the findings of one method."""
    row: dict[str, str | float | None] = dict.fromkeys(COLUMNS) | {BEST: ""}
    for measure, column in (("rank1", RANK1), ("linkage_auc", AUC)):
        winner = best(found, measure)
        if winner is None:
            continue
        low, high = winner.intervals.get(measure, (None, None))
        row |= {
            column: 100 * winner.measures[measure],
            f"{column}_low": None if low is None else 100 * low,
            f"{column}_high": None if high is None else 100 * high,
        }
        if measure == "rank1":
            row[BEST] = winner.attack
    if (winner := best(found, "own_auc")) is not None:
        row[OWN] = 100 * winner.measures["own_auc"]
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
        f"{'95 %':>16}{'source':>8}"
    ]
    for row in rows:
        naive = "-" if row["identity_accuracy"] is None else f"{row['identity_accuracy']:.1f}"
        lines.append(
            f"  {row['set']}".ljust(width)
            + f"{naive:>8}{row[RANK1]:>8.1f}{_range(row, RANK1):>16}  "
            f"{row[BEST]:<12}"
            + ("" if row[AUC] is None else f"{row[AUC]:>8.1f}{_range(row, AUC):>16}")
            + ("" if row[OWN] is None else f"{row[OWN]:>8.1f}")
        )
    return "\n".join(
        [
            *lines,
            "",
            "naive: the identity judge names the source; best: the attack that names most; "
            "linkage: area under the curve, 50 is guessing; source: the same by who holds the "
            "source itself",
        ]
    )


def _range(row: Mapping[str, Any], column: str) -> str:
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    return "-" if low is None or high is None else f"{low:.1f} to {high:.1f}"
