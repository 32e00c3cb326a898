"""The paper's Figures 2, 3 and 4 as image grids, and the trade-off of the table as a plot."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

from medpriv_lib.cohort import Cohort
from medpriv_lib.evaluation.table import Row
from medpriv_lib.files import atomic_write
from medpriv_lib.study_decoded import seeded
from medpriv_lib.study_methods import GROUPS, KERNELS, methods

INK, PAPER = "#333333", "#ffffff"  # a figure brings its own white page, so that it reads on a dark one too
EXAMPLES = 4


def examples(cohort: Cohort, count: int = EXAMPLES) -> np.ndarray:
    """Return `count` rows of `cohort`: the first image of different patients, diseased and healthy in turn."""
    _, first = np.unique(cohort.patient, return_index=True)
    first = np.sort(first)
    groups = [list(first[cohort.diseased[first] == label]) for label in (True, False)]
    chosen = []
    while len(chosen) < count and any(groups):
        group = groups[len(chosen) % 2] or groups[(len(chosen) + 1) % 2]
        chosen.append(group.pop(0))
    return np.array(chosen, dtype=np.int64)


def grid(columns: Sequence[UInt8[np.ndarray, "n h w"]], titles: Sequence[str], rows: Sequence[str] = (),
         points: float = 9) -> Figure:
    """Draw images (N, H, W) as an N-row grid with one column per entry of `columns`; grey levels 0..255 as they are.

    `rows` are the names of the rows, `points` the size of all letters.
    Raises `ValueError` where the columns differ in length or do not match their titles.
    """
    if len(columns) != len(titles) or len({len(column) for column in columns}) != 1:
        raise ValueError("a grid needs one title per column and the same number of images in each")
    height = len(columns[0])
    figure = Figure(figsize=(1.45 * len(columns) + 0.6, 1.45 * height + 0.5), layout="constrained", facecolor=PAPER)
    axes = figure.subplots(height, len(columns), squeeze=False)
    for j, (column, title) in enumerate(zip(columns, titles, strict=True)):
        axes[0, j].set_title(title, fontsize=points, color=INK)
        for i, image in enumerate(column):
            axes[i, j].imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes[i, j].set(xticks=[], yticks=[])
            axes[i, j].spines[:].set_visible(False)
    for i, label in enumerate(rows):
        axes[i, 0].set_ylabel(label, fontsize=points, color=INK)
    return figure


def trade_off(rows: Sequence[Row]) -> Figure:
    """Plot glaucoma accuracy against identity accuracy, one mark per row of the table that has both, in percent."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained", facecolor=PAPER)
    axis = figure.subplots()
    marks = dict(zip(("baseline", "pprl-vgan", "blur", "k-same-select", "control"), "*osD^", strict=True))
    shown = [row for row in rows if row["identity_accuracy"] is not None and row["labels"] != "predicted"]
    for experiment, mark in marks.items():
        points = [row for row in shown if row["experiment"] == experiment]
        axis.plot([row["identity_accuracy"] for row in points], [row["glaucoma_accuracy"] for row in points],
                  linestyle="none", marker=mark, markersize=8, alpha=0.85, label=experiment)
    if shown:
        axis.axhline(shown[0]["majority_rate"], color=INK, linewidth=1, linestyle="--", label="always the same label")
    axis.set_xlabel("identity named (%), lower hides better; stretched near 0", color=INK)
    axis.set_ylabel("glaucoma accuracy (%)", color=INK)
    axis.set_xscale("symlog", linthresh=2)  # most methods name under 5 %: a plain axis would pile them up
    axis.set_xticks([0, 1, 2, 5, 10, 20, 50, 100], labels=["0", "1", "2", "5", "10", "20", "50", "100"])
    axis.set_xlim(-0.3, 130)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def write_figures(cohort: Cohort, vgan, rows: Sequence[Row], folder: Path, seed: int) -> None:
    """Write the paper's figures as `figure-2-blur.png`, `figure-3-k-same-select.png`, `figure-4-pprl-vgan.png` and
    `trade-off.png` into an existing folder, without metadata. Columns of methods that this cohort does not allow are
    left out.
    """
    test = cohort.of("test")
    test = test.take(examples(test))
    labels = ["diseased" if sick else "healthy" for sick in test.diseased]
    train, made = cohort.of("train"), {}
    for method in methods(vgan):
        if method.experiment in ("blur", "k-same-select", "pprl-vgan"):
            with contextlib.suppress(ValueError):  # not possible on this cohort: the table's note says why
                made[method.set] = method.release(train, test, seeded(seed, "figure", method.set)).images
    figures = {
        "figure-2-blur": {f"kernel {kernel}": f"kernel {kernel}" for kernel in KERNELS},
        "figure-3-k-same-select": {f"{k} identities": f"K = {k}" for k in GROUPS},
        "figure-4-pprl-vgan": {
            "identities with the same pathology": "same\npathology",
            "identities with a different pathology": "different\npathology",
            "average of 6 with random identities": "average of 6,\nrandom",
            "average of 6 with the same pathology": "average of 6,\nsame pathology"},
    }
    for name, sets in figures.items():
        there = {title: made[key] for key, title in sets.items() if key in made}
        save(grid([test.images, *there.values()], ["original", *there], labels, points=12), folder / f"{name}.png")
    save(trade_off(rows), folder / "trade-off.png")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG at 150 dots per inch, in as few colours as it needs, without metadata, atomically."""
    drawn = io.BytesIO()
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(drawn, dpi=150, format="png")
    with Image.open(drawn) as image, atomic_write(path) as temporary:
        fewer_colours(image.convert("RGB")).save(temporary, "PNG", compress_level=7)


def fewer_colours(image: Image.Image) -> Image.Image:
    """Return an RGB image as grey levels where it has no colours, else with a palette of 256 where that is not seen.

    A palette is not seen where one pixel in a hundred at most is off by more than 6 of 255. Coloured heat over grey
    eyes needs more colours than that and stays as it is.
    """
    levels = np.asarray(image).astype(np.int16)
    if (levels == levels[..., :1]).all():
        return image.convert("L")
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    off = np.abs(np.asarray(few.convert("RGB")) - levels).max(axis=-1)
    return few if (off > 6).mean() <= 0.01 else image
