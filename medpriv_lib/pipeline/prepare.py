"""From files to cohorts: a source with its table, or a folder of images without one."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data import prepare as data
from medpriv_lib.data.choices import STRICT, USUAL_CUT, USUAL_SPLIT, Care, Cut, Split
from medpriv_lib.data.doubts import doubts
from medpriv_lib.data.folder import list_folder
from medpriv_lib.data.left_out import LeftOut
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.people import shared_pictures
from medpriv_lib.data.source import FEWER, Source, source_of
from medpriv_lib.pipeline import Note, silent


@dataclass(frozen=True, eq=False)
class Images:
    """Images of somebody's own to privatise: the `cohort` they make, whether its labels are known
    (`labelled`), the files that were left out, with the reason (`left_out`), pairs of files with
    one picture, or nearly one, that stand for two patients (`shared`), places where all images have
    the same lines (`marks`), and sentences on images that show less than they seem to (`doubts`).
    """

    cohort: Cohort
    labelled: bool
    left_out: tuple[LeftOut, ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    marks: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def prepare(
    source: str | os.PathLike | Source,
    cut: Cut = USUAL_CUT,
    split: Split = USUAL_SPLIT,
    care: Care = STRICT,
    *,
    note: Note = silent,
    progress: bool | None = False,
) -> tuple[Cohort, dict[str, Any]]:
    """Return the cohort that a source makes, and a report; see `data.prepare.prepare`.

    `source` is the path of a manifest, or a `Source` of any kind. `split.seed` is that of synthetic
    eyes, too. Patients with one image are accepted in the published sets whatever `care` says.
    `progress` shows a bar: None on a terminal only. Raises `ValueError` and `FileNotFoundError` for
    what cannot be read, `DoubledPeople` and `TooManyLost`.
    """
    source = source_of(source)
    return data.prepare(
        source.listing(split.seed, note),
        cut,
        split,
        care_for(source, care),
        name=source.name,
        progress=progress,
    )


def care_for(source: Source, care: Care) -> Care:
    """Return what is refused of this kind: its patients with one image, or not even they."""
    return care if source.kind in FEWER else replace(care, keep_single=True)


def read_images(
    source: str | os.PathLike,
    cut: Cut = USUAL_CUT,
    care: Care = STRICT,
    *,
    progress: bool | None = False,
) -> Images:
    """Return the images of a cohort file, a CSV, or a folder with or without a CSV.

    Without a table every image is a patient of its own, named by its file, and no label is known.
    Hidden files are not read, and no link that leads out of the folder is followed; they are among
    those left out. Patients with one image are accepted.
    """
    path = Path(source)
    if path.suffix == ".npz":
        cohort = Cohort.load(path)
        pairs, _ = shared_pictures(cohort.images, cohort.patient)
        equal = tuple((f"image {a} of the cohort", f"image {b}") for a, b in pairs)
        return Images(cohort, True, shared=equal)
    labelled = not path.is_dir() or any(file.suffix.lower() == ".csv" for file in path.iterdir())
    cohort, report = data.prepare(
        read_manifest(path) if labelled else list_folder(path),
        cut,
        care=replace(care, keep_single=True),
        progress=progress,
    )
    shared = (*report["shared_pictures"], *report["alike_pictures"])
    marks = tuple(report["common_marks"])
    weak = tuple(doubts(report))
    return Images(cohort, labelled, tuple(report["left_out"]), shared, marks, weak)


def as_strangers(images: Images) -> Images:
    """Return images whose patients are nobody else's, whatever they are called.

    The package's patients are invented: an equal name is no equal person.
    """
    names = np.array([f"input/{name}" for name in images.cohort.patient_names])
    return replace(images, cohort=replace(images.cohort, patient_names=names))
