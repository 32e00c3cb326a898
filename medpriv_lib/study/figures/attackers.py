"""Privacy against evidence: the paper's own axis and ours side by side, and the rank curves of the
attackers.
"""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from medpriv_lib.attacks.best import AUC, RANK1
from medpriv_lib.core.drawing import save
from medpriv_lib.core.palette import CYCLE, INK, PAPER
from medpriv_lib.study.figures.requirements import requirements
from medpriv_lib.study.rows import headings
from medpriv_lib.study.table import Row

PANELS = (
    ("identity_accuracy", "the paper's axis: named by a recogniser\nthat saw originals only (%)"),
    (RANK1, "ours: named by the best attacker (%)"),
    (AUC, "ours: linked by the best verifier\n(area under the curve, %)"),
)


def privacy_and_evidence(rows: Sequence[Row]) -> Figure:
    """Plot how much of the disease's signs each method keeps against how often three attackers find
    the patient.

    One mark per row of the table that was attacked; the arrow in the middle panel begins where the
    paper's axis has the method. Left is better for privacy, up for the case. Without evidence masks
    the disease judge's accuracy is shown.
    """
    shown = [row for row in rows if row.get(RANK1) is not None and row["labels"] != "predicted"]
    known = any(row["evidence_kept"] is not None for row in shown)
    kept = "evidence_kept" if known else "disease_accuracy"
    shown = [row for row in shown if row[kept] is not None]
    figure = Figure(figsize=(11, 4.4), layout="constrained", facecolor=PAPER)
    axes = figure.subplots(1, len(PANELS), sharey=True)
    drawn = headings(str(row["experiment"]) for row in shown)
    for axis, (column, title) in zip(axes, PANELS, strict=True):
        axis.set_prop_cycle(color=CYCLE)
        for experiment, heading in drawn.items():
            points = [
                row for row in shown if row["experiment"] == experiment and row[column] is not None
            ]
            axis.plot(
                [row[column] for row in points],
                [row[kept] for row in points],
                linestyle="none",
                marker=heading.marker,
                markersize=8,
                alpha=0.85,
                label=experiment,
            )
        axis.set_xlabel(title, color=INK)
        axis.grid(alpha=0.25)
        axis.set_xlim(*((48, 101) if column == AUC else (-2, 102)))
    for row in shown:
        if row["identity_accuracy"] is not None:
            axes[1].annotate(
                "",
                (row[RANK1], row[kept]),
                (row["identity_accuracy"], row[kept]),
                arrowprops={"arrowstyle": "->", "color": INK, "alpha": 0.35},
            )
    chance = next(
        (row["chance_identity"] for row in shown if row["chance_identity"] is not None), None
    )
    for axis, guess in zip(axes, (chance, chance, 50), strict=True):
        if guess is not None:
            axis.axvline(guess, color=INK, linewidth=1, linestyle="--", label="guessing")
    axes[0].set_ylabel(
        "signs of the disease kept (%)" if known else "disease judge right (%)", color=INK
    )
    axes[-1].legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def rank_curves(content: dict, names: Sequence[tuple[str, str]]) -> Figure:
    """Plot the CMC curves of the naive, reverse and parrot attackers for some methods, one panel
    each.

    `content` is that of `attacks.json`. Raises `ValueError` where none of the methods was attacked.
    """
    there = {(one["experiment"], one["set"]): one for one in content["methods"] if one["findings"]}
    names = [name for name in names if name in there]
    if not names:
        raise ValueError("none of these methods was attacked; run `medpriv study --attacks`")
    figure = Figure(figsize=(3.1 * len(names) + 0.4, 3.2), layout="constrained", facecolor=PAPER)
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        last = 2
        axis.set_prop_cycle(color=CYCLE)
        for one in there[name]["findings"]:
            if cmc := one["curves"].get("cmc"):
                last = max(last, len(cmc))
                axis.plot(
                    range(1, len(cmc) + 1),
                    [100 * value for value in cmc],
                    label=one["attack"],
                    linestyle={"naive": "-", "reverse": "--"}.get(one["attack"], "-."),
                )
        ranks = range(1, last + 1)  # a straight line, but not on this axis
        axis.plot(
            ranks,
            [100 * rank / last for rank in ranks],
            color=INK,
            linewidth=1,
            linestyle=":",
            label="guessing",
        )
        axis.set_title("\n".join(name), fontsize=9, color=INK)
        axis.set(xscale="log", xlabel="rank", ylim=(0, 101))
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("patient among the first (%)", color=INK)
    axes[-1].legend(frameon=False, fontsize=9)
    return figure


def write_attack_figures(rows: Sequence[Row], content: dict, folder: Path) -> None:
    """Write `privacy-and-evidence.png` and `rank-curves.png` into an existing folder, and
    `requirements.png` anew: some of them are about attackers.
    """
    save(requirements(rows), folder / "requirements.png")
    save(privacy_and_evidence(rows), folder / "privacy-and-evidence.png")
    named = [(one["experiment"], one["set"]) for one in content["methods"] if one["findings"]]
    preferred = [
        ("blur", "kernel 9"),
        ("k-same-select", "6 identities"),
        ("pprl-vgan", "random identities"),
        ("pprl-vgan", "average of 6 with random identities"),
    ]
    if named:
        save(
            rank_curves(content, [name for name in preferred if name in named] or named[:4]),
            folder / "rank-curves.png",
        )
