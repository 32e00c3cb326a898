"""From files to cohorts: a source with its table, or a folder of images without one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.rectangle import Rectangle
from medpriv_lib.core.salt import fresh_salt
from medpriv_lib.data import prepare as data
from medpriv_lib.data.dicom.folder import list_dicom
from medpriv_lib.data.doubts import doubts
from medpriv_lib.data.folder import list_folder
from medpriv_lib.data.left_out import LeftOut
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.people import shared_pictures
from medpriv_lib.data.synthetic.writer import is_unfinished
from medpriv_lib.data.warsaw import read_warsaw
from medpriv_lib.pipeline import Note, silent

KINDS = ("synthetic", "warsaw", "manifest", "dicom")
FEWER = ("manifest", "dicom")  # kinds whose patients with one image are refused


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
    source: str | os.PathLike,
    kind: str = "manifest",
    *,
    size: int = 64,
    localize: bool = True,
    split_by: str = "image",
    keep_single: bool = False,
    doubles: str = "refuse",
    least_kept: float = 0.9,
    seed: int = 0,
    colour: bool = False,
    labels: str | os.PathLike | None = None,
    salt: bytes | None = None,
    masks: Sequence[Rectangle] = (),
    allow_burned_in: bool = False,
    note: Note = silent,
    progress: bool | None = False,
) -> tuple[Cohort, dict[str, Any]]:
    """Return the cohort that a source makes, and a report; see `data.prepare.prepare`.

    `kind` "manifest" (a CSV with file,patient,label[,eye], or a folder with one), "warsaw" (the
    licensed set), "synthetic" (drawn into `source` where nothing is there) or "dicom" (a folder of
    DICOM files with the table `labels`, by PatientID, file or SOPInstanceUID; patients get neutral
    names by `salt`, or by a fresh one that nobody keeps, and images with text burned in are left
    out unless `masks` cover it or `allow_burned_in` accepts it). `colour` keeps colours; eyes are
    looked for in grey. `masks` are painted black in every image of any kind. `keep_single`
    accepts patients with one image, who cannot be in training and in test; `doubles` "report"
    accepts what seems to be one person under two names; `least_kept` is the share of images that
    must not be lost. `progress` shows a bar: None on a terminal only. Raises `ValueError` and
    `FileNotFoundError` for what cannot be read, `DoubledPeople` and `TooManyLost`.
    """
    listing = listing_of(
        source,
        kind,
        seed=seed,
        labels=labels,
        salt=salt,
        masks=masks,
        allow_burned_in=allow_burned_in,
        note=note,
    )
    return data.prepare(
        listing,
        name="dicom" if kind == "dicom" else None,  # a folder may be called by a patient
        colour=colour,
        size=size,
        localize=localize,
        split_by=split_by,
        seed=seed,
        keep_single=keep_single or kind not in FEWER,
        doubles=doubles,
        least_kept=least_kept,
        progress=progress,
    )


def listing_of(
    source: str | os.PathLike,
    kind: str,
    *,
    seed: int = 0,
    labels: str | os.PathLike | None = None,
    salt: bytes | None = None,
    masks: Sequence[Rectangle] = (),
    allow_burned_in: bool = False,
    note: Note = silent,
) -> Listing:
    """Return the files of a source and what is known of them; arguments and errors of `prepare`."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; choose from {', '.join(KINDS)}")
    if kind == "dicom":
        if labels is None:
            raise ValueError("DICOM files need a table of labels; name it by labels (--labels)")
        return list_dicom(
            source, labels, salt or fresh_salt(), masks=masks, allow_burned_in=allow_burned_in
        )
    if labels is not None or allow_burned_in:
        raise ValueError(f"labels and allow_burned_in belong to the kind dicom, not to {kind}")
    return replace(_listing(Path(source), kind, seed, note), covered=tuple(masks))


def read_images(
    source: str | os.PathLike,
    *,
    size: int = 64,
    localize: bool = True,
    doubles: str = "refuse",
    least_kept: float = 0.9,
    colour: bool = False,
    progress: bool | None = False,
) -> Images:
    """Return the images of a cohort file, a CSV, or a folder with or without a CSV.

    Without a table every image is a patient of its own, named by its file, and no label is known.
    Hidden files are not read, and no link that leads out of the folder is followed; they are among
    those left out. `doubles` and `least_kept` as in `prepare`.
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
        colour=colour,
        size=size,
        localize=localize,
        doubles=doubles,
        least_kept=least_kept,
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


def _listing(source: Path, kind: str, seed: int, note: Note) -> Listing:
    if kind == "manifest":
        return read_manifest(source)
    if kind == "synthetic" and (not source.exists() or is_unfinished(source)):
        from medpriv_lib.data.synthetic import SEED, write_synthetic

        if not source.absolute().parent.is_dir():
            raise FileNotFoundError(f"the folder {source.parent} does not exist; create it first")
        note(f"drawing synthetic eyes into {source}")
        write_synthetic(source, seed=SEED + seed)
    return read_warsaw(source)
