"""Pictures: images side by side as a figure, and figures as small PNG files."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.palette import INK, PAPER


def grid(
    columns: Sequence[UInt8[np.ndarray, "n h w"]],
    titles: Sequence[str],
    rows: Sequence[str] = (),
    points: float = 9,
) -> Figure:
    """Draw images (N, H, W) as an N-row grid with one column per entry of `columns`; grey levels
    0..255 as they are.

    `rows` are the names of the rows, `points` the size of all letters.
    Raises `ValueError` where the columns differ in length or do not match their titles.
    """
    if len(columns) != len(titles) or len({len(column) for column in columns}) != 1:
        raise ValueError("a grid needs one title per column and the same number of images in each")
    height = len(columns[0])
    figure = Figure(
        figsize=(1.45 * len(columns) + 0.6, 1.45 * height + 0.5),
        layout="constrained",
        facecolor=PAPER,
    )
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


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG at 150 dots per inch, in as few colours as it needs, without metadata,
    atomically.
    """
    drawn = io.BytesIO()
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(drawn, dpi=150, format="png")
    with Image.open(drawn) as image, atomic_write(path) as temporary:
        fewer_colours(image.convert("RGB")).save(temporary, "PNG", compress_level=7)


def fewer_colours(image: Image.Image) -> Image.Image:
    """Return an RGB image as grey levels where it has no colours, else with a palette of 256 where
    that is not seen.

    A palette is not seen where one pixel in a hundred at most is off by more than 6 of 255.
    Coloured heat over grey eyes needs more colours than that and stays as it is.
    """
    levels = np.asarray(image).astype(np.int16)
    if (levels == levels[..., :1]).all():
        return image.convert("L")
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    off = np.abs(np.asarray(few.convert("RGB")) - levels).max(axis=-1)
    return few if (off > 6).mean() <= 0.01 else image
