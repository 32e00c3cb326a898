"""Planned images on disk with their truth beside them: written by several processes, completed
after a kill.
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np

from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.processes import in_processes
from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.synthetic.render import Rendering

PLAN_FILE = "synthetic.json"
GEOMETRY = ("file", "pupil_x", "pupil_y", "pupil_r", "iris_x", "iris_y", "iris_r", "pupil_ratio")
SUFFIXES = (".bmp", ".png")


class Planned(Protocol):
    """One planned image, of one patient, in a folder of its own or with others."""

    @property
    def patient(self) -> int:
        """The patient's number."""

    @property
    def glaucoma(self) -> bool:
        """The label; images with it have a twin and a mask beside them."""

    @property
    def folder(self) -> str:
        """The folder below that of all images."""

    @property
    def stem(self) -> str:
        """The file's name without its suffix, of no other image of the plan."""


P = TypeVar("P", bound=Planned)


@dataclass(frozen=True)
class Layout(Generic[P]):
    """Where planned images are written and how they are made.

    `images` the folder of all images, `suffix` one of `SUFFIXES`, `render` what makes an image and
    its truth, a function that a process of its own can be given; `geometry` what an image shows,
    without rendering it.
    """

    images: str
    suffix: str
    render: Callable[[P], Rendering]
    geometry: Callable[[P], Eye]


def is_unfinished(folder: Path) -> bool:
    """Say whether a folder holds a plan, and not yet the table that closes it."""
    return (folder / PLAN_FILE).is_file() and not any(folder.glob("*.csv"))


def write_planned(
    folder: Path,
    card: dict,
    items: Sequence[P],
    layout: Layout[P],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write all images of a plan, `truth/` with the twin and the evidence mask (PNG, 0 or 255) of
    every image with the label, and `truth/geometry.csv` of all (px, as written).

    `card` says what the folder holds: a folder with another one, or with something else, is
    refused by `ValueError`. What is there already is not made again. Whoever calls writes a closing
    table afterwards, so that a folder without it is known as incomplete.
    """
    if layout.suffix not in SUFFIXES:
        raise ValueError(f"suffix {layout.suffix!r}: choose .bmp or .png")
    _claim(folder, card)
    groups = [list(group) for _, group in groupby(items, key=lambda item: item.patient)]
    for place in {item.folder for item in items}:
        (folder / layout.images / place).mkdir(parents=True, exist_ok=True)
    (folder / "truth").mkdir(exist_ok=True)
    for leftover in (
        *folder.glob(f"{layout.images}/*/.*"),
        *folder.glob("truth/.*"),
    ):  # half-written when a run was killed
        leftover.unlink()
    done = 0
    write = partial(_write_patient, folder=folder, layout=layout)
    for count in in_processes(write, groups, workers):
        done += count
        if progress:
            progress(done, len(items))
    rows = []
    for item in items:
        eye = layout.geometry(item)
        numbers = [f"{getattr(eye, key):.3f}" for key in GEOMETRY[1:-1]]
        rows.append([f"{item.stem}{layout.suffix}", *numbers, f"{eye.pupil_ratio:.4f}"])
    write_table(folder / "truth" / "geometry.csv", [GEOMETRY, *rows])


def write_table(path: Path, rows: Iterable[Sequence[object]], delimiter: str = ",") -> None:
    """Write a table atomically."""
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)


def _claim(folder: Path, card: dict) -> None:
    """Mark the folder as this cohort's, or refuse it where it is something else's."""
    marker = folder / PLAN_FILE
    if marker.is_file():
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != card:
            raise ValueError(
                f"{folder} holds a synthetic cohort of other parameters; choose another folder"
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty and holds no synthetic cohort; choose an empty or new folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(marker) as temporary:
        temporary.write_text(json.dumps(card, indent=1), encoding="utf-8")


def _write_patient(group: list[P], folder: Path, layout: Layout[P]) -> int:
    """Write all images of a patient that are not there yet; the truth first, so that an image
    implies its truth.
    """
    for item in group:
        path = folder / layout.images / item.folder / f"{item.stem}{layout.suffix}"
        if path.is_file():
            continue
        rendering = layout.render(item)
        if item.glaucoma:
            _write_image(folder / "truth" / f"{item.stem}_twin.png", rendering.twin)
            mask = rendering.evidence.astype(np.uint8) * 255
            _write_image(folder / "truth" / f"{item.stem}_mask.png", mask)
        _write_image(path, rendering.image)
    return len(group)


def _write_image(path: Path, image: np.ndarray) -> None:
    """Write one grey image atomically."""
    good, data = cv2.imencode(
        path.suffix, image, [cv2.IMWRITE_PNG_COMPRESSION, 1] if path.suffix == ".png" else []
    )
    if not good:
        raise ValueError(f"{path}: OpenCV could not encode the image")
    with atomic_write(path) as temporary:
        temporary.write_bytes(data.tobytes())
