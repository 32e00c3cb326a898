"""The paper's Figures 2, 3 and 4 as image grids, and the trade-off of the table as a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.drawing import grid, save
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.palette import CYCLE, INK, PAPER
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import DISEASE, disease_of
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.study.rows import headings, methods
from medpriv_lib.study.table import Row

EXAMPLES = 4
# the paper's figures: the rows that each shows, and the titles of their columns
FIGURES = {
    "figure-2-blur": {("blur", f"kernel {k}"): f"kernel {k}" for k in (3, 9, 15, 21)},
    "figure-3-k-same-select": {
        ("k-same-select", f"{k} identities"): f"K = {k}" for k in (3, 6, 9, 12)
    },
    "figure-4-pprl-vgan": {
        ("pprl-vgan", "identities with the same pathology"): "same\npathology",
        ("pprl-vgan", "identities with a different pathology"): "different\npathology",
        ("pprl-vgan", "average of 6 with random identities"): "average of 6,\nrandom",
        ("pprl-vgan", "average of 6 with the same pathology"): "average of 6,\nsame pathology",
    },
}


def examples(cohort: Cohort, count: int = EXAMPLES) -> np.ndarray:
    """Return `count` rows of `cohort`: the first image of different patients, diseased and healthy
    in turn.
    """
    _, first = np.unique(cohort.patient, return_index=True)
    first = np.sort(first)
    groups = [list(first[cohort.diseased[first] == label]) for label in (True, False)]
    chosen: list[int] = []
    while len(chosen) < count and any(groups):
        group = groups[len(chosen) % 2] or groups[(len(chosen) + 1) % 2]
        chosen.append(group.pop(0))
    return np.array(chosen, dtype=np.int64)


def trade_off(rows: Sequence[Row], disease: str = DISEASE) -> Figure:
    """Plot the accuracy of the disease judge against that of the identity judge, in percent.

    One mark per row of the table that has both; `disease` names what the label says.
    """
    figure = Figure(figsize=(7.2, 4.6), layout="constrained", facecolor=PAPER)
    axis = figure.subplots()
    axis.set_prop_cycle(color=CYCLE)
    shown = [
        row for row in rows if row["identity_accuracy"] is not None and row["labels"] != "predicted"
    ]
    for experiment, heading in headings(str(row["experiment"]) for row in shown).items():
        points = [row for row in shown if row["experiment"] == experiment]
        axis.plot(
            [row["identity_accuracy"] for row in points],
            [row["disease_accuracy"] for row in points],
            linestyle="none",
            marker=heading.marker,
            markersize=8,
            alpha=0.85,
            label=experiment,
        )
    if shown:
        axis.axhline(
            shown[0]["majority_rate"],
            color=INK,
            linewidth=1,
            linestyle="--",
            label="always the same label",
        )
    axis.set_xlabel("identity named (%), lower hides better; stretched near 0", color=INK)
    axis.set_ylabel(f"{disease} accuracy (%)", color=INK)
    axis.set_xscale(
        "symlog", linthresh=2
    )  # most methods name under 5 %: a plain axis would pile them up
    axis.set_xticks(
        [0, 1, 2, 5, 10, 20, 50, 100], labels=["0", "1", "2", "5", "10", "20", "50", "100"]
    )
    axis.set_xlim(-0.3, 130)
    axis.grid(alpha=0.25)
    if shown:
        axis.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def write_figures(
    cohort: Cohort, resources: Resources, rows: Sequence[Row], folder: Path, seed: int
) -> None:
    """Write the paper's figures and the trade-off into an existing folder, without metadata.

    `figure-2-blur.png`, `figure-3-k-same-select.png`, `figure-4-pprl-vgan.png` and `trade-off.png`.
    A method that the examples do not allow has a blank column that says so.
    """
    test = cohort.of("test")
    test = test.take(examples(test))
    labels = ["diseased" if sick else "healthy" for sick in test.diseased]
    for name, columns in FIGURES.items():
        made = columns_of(columns, resources, test, seed)
        shown, titles = [test.images, *made.values()], ["original", *made]
        save(grid(shown, titles, labels, points=12), folder / f"{name}.png")
    save(trade_off(rows, disease_of(cohort.name)), folder / "trade-off.png")


def columns_of(
    columns: Mapping[tuple[str, str], str], resources: Resources, shown: Cohort, seed: int
) -> dict[str, np.ndarray]:
    """Return by title what the methods of these rows make of the images; blank: not possible."""
    there, made = {row.name: row for row in methods(visits=True)}, {}
    for name, title in columns.items():
        row = there[name]
        try:
            release = row.release(resources, shown, seeded(seed, "figure", row.set))
        except NotApplicable:  # the table's note says why
            made[f"{title}\nnot possible here"] = np.full_like(shown.images, 255)
        else:
            made[title] = release.images
    return made
