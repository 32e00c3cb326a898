"""The paper's Figures 2, 3 and 4 as image grids, and the trade-off of the table as a plot."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.drawing import INK, PAPER, grid, save
from medpriv_lib.core.randomness import seeded
from medpriv_lib.study.rows import GROUPS, KERNELS, methods
from medpriv_lib.study.table import Row

EXAMPLES = 4


def examples(cohort: Cohort, count: int = EXAMPLES) -> np.ndarray:
    """Return `count` rows of `cohort`: the first image of different patients, diseased and healthy
    in turn.
    """
    _, first = np.unique(cohort.patient, return_index=True)
    first = np.sort(first)
    groups = [list(first[cohort.diseased[first] == label]) for label in (True, False)]
    chosen = []
    while len(chosen) < count and any(groups):
        group = groups[len(chosen) % 2] or groups[(len(chosen) + 1) % 2]
        chosen.append(group.pop(0))
    return np.array(chosen, dtype=np.int64)


def trade_off(rows: Sequence[Row]) -> Figure:
    """Plot glaucoma accuracy against identity accuracy, one mark per row of the table that has
    both, in percent.
    """
    figure = Figure(figsize=(7.2, 4.6), layout="constrained", facecolor=PAPER)
    axis = figure.subplots()
    marks = dict(
        zip(("baseline", "pprl-vgan", "blur", "k-same-select", "control"), "*osD^", strict=True)
    )
    shown = [
        row for row in rows if row["identity_accuracy"] is not None and row["labels"] != "predicted"
    ]
    for experiment, mark in marks.items():
        points = [row for row in shown if row["experiment"] == experiment]
        axis.plot(
            [row["identity_accuracy"] for row in points],
            [row["disease_accuracy"] for row in points],
            linestyle="none",
            marker=mark,
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
    axis.set_ylabel("glaucoma accuracy (%)", color=INK)
    axis.set_xscale(
        "symlog", linthresh=2
    )  # most methods name under 5 %: a plain axis would pile them up
    axis.set_xticks(
        [0, 1, 2, 5, 10, 20, 50, 100], labels=["0", "1", "2", "5", "10", "20", "50", "100"]
    )
    axis.set_xlim(-0.3, 130)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def write_figures(cohort: Cohort, vgan, rows: Sequence[Row], folder: Path, seed: int) -> None:
    """Write the paper's figures as `figure-2-blur.png`, `figure-3-k-same-select.png`,
    `figure-4-pprl-vgan.png` and `trade-off.png` into an existing folder, without metadata. Columns
    of methods that this cohort does not allow are left out.
    """
    test = cohort.of("test")
    test = test.take(examples(test))
    labels = ["diseased" if sick else "healthy" for sick in test.diseased]
    train, made = cohort.of("train"), {}
    for method in methods(vgan):
        if method.experiment in ("blur", "k-same-select", "pprl-vgan"):
            with contextlib.suppress(
                ValueError
            ):  # not possible on this cohort: the table's note says why
                made[method.set] = method.release(
                    train, test, seeded(seed, "figure", method.set)
                ).images
    figures = {
        "figure-2-blur": {f"kernel {kernel}": f"kernel {kernel}" for kernel in KERNELS},
        "figure-3-k-same-select": {f"{k} identities": f"K = {k}" for k in GROUPS},
        "figure-4-pprl-vgan": {
            "identities with the same pathology": "same\npathology",
            "identities with a different pathology": "different\npathology",
            "average of 6 with random identities": "average of 6,\nrandom",
            "average of 6 with the same pathology": "average of 6,\nsame pathology",
        },
    }
    for name, sets in figures.items():
        there = {title: made[key] for key, title in sets.items() if key in made}
        save(
            grid([test.images, *there.values()], ["original", *there], labels, points=12),
            folder / f"{name}.png",
        )
    save(trade_off(rows), folder / "trade-off.png")
