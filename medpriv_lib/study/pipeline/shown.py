"""The map as a reader sees it: rows of a table, and one picture for each arrow of the pipeline."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from medpriv_lib.core.palette import ACCENT, MISSED
from medpriv_lib.study.pipeline.claims import strongest

ARROWS = {
    "collect": "collecting",
    "release": "vectors to training",
    "train": "training",
    "infer": "decision",
    "explain": "explanation by a case",
}
BOXES = ("acquire", "describe", "send", "train", "decide", "explain")
COLUMNS = (
    *("place", "technology", "hides", "from whom", "must be trusted", "does not protect against"),
    *("AUC", "CPU s", "bytes", "attack", "attacker gets", "guessing", "chapter"),
)
COMMAND = "`medpriv study --pipeline`"
MASKED = "none: what is seen are numbers that a fresh mask hides, each value as likely as any"
USEFUL, LEAKING = ACCENT, MISSED
Content = Mapping[str, Any]


def read_map(path: str | Path) -> dict[str, Any]:
    """Return the results that `medpriv study --pipeline` wrote.

    Raises `FileNotFoundError` with the command where there are none.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path}: no such file; `medpriv study --pipeline --out …` makes it"
        )
    return json.loads(Path(path).read_text(encoding="utf-8"))


def title(cell: Content) -> str:
    """Return a cell's technology, with its epsilon and its features where they are not plain."""
    name = str(cell["technology"])
    if cell["epsilon"] is not None:
        name += f", epsilon {cell['epsilon']:g}"
    return name + (", deep features" if cell["features"] == "deep" else "")


def rows(content: Content) -> list[list[object]]:
    """Return one row of `COLUMNS` for every measured place of the map."""
    found: list[list[object]] = []
    order = list(ARROWS)
    for cell in sorted(content["cells"].values(), key=lambda one: order.index(one["stage"])):
        value, low, high = cell["auc"]
        best = strongest(cell)
        found.append(
            [
                ARROWS[cell["stage"]],
                title(cell),
                *(cell[name] for name in ("hides", "whom", "trusts", "not_against")),
                (value, f"{value:.2f} [{low:.2f}, {high:.2f}]"),
                (cell["cpu_seconds"], f"{cell['cpu_seconds']:.2f}"),
                (cell["bytes"], _bytes(cell["bytes"])),
                MASKED if best is None else best["attack"],
                None if best is None else (best["value"], _rate(best)),
                None if best is None else (best["chance"], f"{best['chance']:.3f}"),
                cell["chapter"],
            ]
        )
    return found


def empty(content: Content) -> list[list[object]]:
    """Return one row (made for, asked at, why there is no number) for every other place."""
    pairs = (key.split("/") for key in content["empty"])
    found: list[list[object]] = [
        [ARROWS[made], ARROWS[stage], content["empty"][f"{stage}/{made}"]] for stage, made in pairs
    ]
    for key in content["to_do"]:
        stage, name, features, epsilon = key.split("/")
        what = f"{name}, {features}, epsilon {epsilon}: not measured yet; {COMMAND} goes on with it"
        found.append([ARROWS[stage], ARROWS[stage], what])
    return found


def cells_of(content: Content, stage: str) -> list[Content]:
    """Return the measured cells of a stage, the most useful first."""
    some = [cell for cell in content["cells"].values() if cell["stage"] == stage]
    return sorted(some, key=lambda cell: -cell["auc"][0])


def draw(content: Content, stage: str) -> Figure:
    """Return the pipeline with one arrow lit, and below it what each technology there leaves to the
    decision (AUC, with its interval) and to the attacker (share of what there is to gain).
    """
    figure = Figure(figsize=(7.2, 5.6), dpi=80, layout="constrained", facecolor="white")
    top, axis = figure.subplots(2, 1, height_ratios=(1, 5))
    _pipeline(top, stage)
    some = cells_of(content, stage)
    for place, cell in enumerate(some):
        value, low, high = cell["auc"]
        axis.plot([low, high], [place, place], color=USEFUL, lw=2)
        axis.plot(value, place, "o", color=USEFUL, label="AUC of the decision" if not place else "")
        best = strongest(cell)
        if best is not None:
            low, gain, high = (
                max((best[name] - best["chance"]) / (1 - best["chance"]), 0)
                for name in ("low", "value", "high")
            )
            axis.plot([low, high], [place, place], color=LEAKING, lw=1)
            axis.plot(gain, place, "D", color=LEAKING, ms=7,
                      label="attacker: of what there is to gain" if not place else "")  # fmt: skip
    axis.set_yticks(range(len(some)), [textwrap.fill(title(cell), 30) for cell in some], fontsize=8)
    axis.set_ylim(max(len(some), 1) - 0.5, -0.5)
    axis.set_xlim(-0.03, 1.03)
    axis.axvline(0.5, color="0.7", lw=1, ls=":")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    if some:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2, frameon=False)
    else:
        axis.set_axis_off()
        axis.text(0.5, 0, "nothing measured here; see the tables", ha="center")
    return figure


def _pipeline(axis: Any, stage: str) -> None:
    lit = list(ARROWS).index(stage)
    axis.set_xlim(-0.6, len(BOXES) - 0.4)
    axis.set_ylim(-0.6, 0.6)
    axis.set_axis_off()
    for place, name in enumerate(BOXES):
        axis.text(place, 0, name, ha="center", va="center", fontsize=9,
                  bbox={"boxstyle": "round", "fc": "white", "ec": "0.4"})  # fmt: skip
        if place:
            width, colour = (4.0, USEFUL) if place - 1 == lit else (1.2, "0.6")
            style = {"arrowstyle": "-|>", "lw": width, "color": colour}
            axis.annotate("", (place - 0.36, 0), (place - 0.62, 0), arrowprops=style)


def said(content: Content, stage: str) -> str:
    """Return what the picture of a stage shows, in numbers."""
    some = cells_of(content, stage)
    if not some:
        return f"{ARROWS[stage].capitalize()}: not measured yet; {COMMAND} goes on with it."
    best = some[0]
    told = [(cell, attack) for cell in some if (attack := strongest(cell)) is not None]
    text = (
        f"{ARROWS[stage].capitalize()}: {len(some)} technologies. Most useful: {title(best)}, AUC "
        f"{best['auc'][0]:.2f}."
    )
    if told:
        # an attack whose interval includes guessing exposes nobody
        cell, attack = max(
            told,
            key=lambda one: (one[1]["low"] > one[1]["chance"], one[1]["value"] - one[1]["chance"]),
        )
        text += (
            f" Most exposed: {title(cell)}, {attack['attack']} {attack['value']:.2f}, guessing "
            f"{attack['chance']:.2f}."
        )
    return text


def _bytes(count: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def _rate(best: Content) -> str:
    return f"{best['value']:.2f} [{best['low']:.2f}, {best['high']:.2f}]"
