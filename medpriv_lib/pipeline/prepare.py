"""From files to cohorts: a source with its table, or a folder of images without one."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data import prepare as data
from medpriv_lib.data.images import SUFFIXES
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.warsaw import read_warsaw
from medpriv_lib.pipeline import Note, silent

KINDS = ("synthetic", "warsaw", "manifest")


@dataclass(frozen=True, eq=False)
class Images:
    """Images of somebody's own to privatise: the `cohort` they make, whether its labels are known
    (`labelled`), and the files that were left out, with the reason (`left_out`).
    """

    cohort: Cohort
    labelled: bool
    left_out: dict[str, str] = field(default_factory=dict)


def prepare(
    source: str | os.PathLike,
    kind: str = "manifest",
    *,
    size: int = 64,
    localize: bool = True,
    split_by: str = "image",
    keep_single: bool = False,
    seed: int = 0,
    note: Note = silent,
    progress: bool | None = False,
) -> tuple[Cohort, dict[str, Any]]:
    """Return the cohort that a source makes, and a report; see `data.prepare.prepare`.

    `kind` "manifest" (a CSV with file,patient,label[,eye], or a folder with one), "warsaw" (the
    licensed set) or "synthetic" (drawn into `source` where nothing is there). `keep_single`
    accepts patients with one image, who cannot be in training and in test. `progress` shows a bar:
    None on a terminal only. Raises `ValueError` and `FileNotFoundError` for what cannot be read.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; choose from {', '.join(KINDS)}")
    listing = _listing(Path(source), kind, seed, note)
    if kind == "manifest" and split_by == "image" and not keep_single:
        _refuse_single(listing)
    return data.prepare(
        listing, size=size, localize=localize, split_by=split_by, seed=seed, progress=progress
    )


def read_images(
    source: str | os.PathLike,
    *,
    size: int = 64,
    localize: bool = True,
    progress: bool | None = False,
) -> Images:
    """Return the images of a cohort file, a CSV, or a folder with or without a CSV.

    Without a table every image is a patient of its own, named by its file, and no label is known.
    Hidden files are not read, and no link that leads out of the folder is followed; they are among
    those left out.
    """
    path = Path(source)
    if path.suffix == ".npz":
        return Images(Cohort.load(path), True)
    labelled = not path.is_dir() or any(file.suffix.lower() == ".csv" for file in path.iterdir())
    listing, left_out = (read_manifest(path), {}) if labelled else list_folder(path)
    cohort, report = data.prepare(listing, size=size, localize=localize, progress=progress)
    left_out |= dict.fromkeys(map(str, report["not_found"]), "no eye was found")
    return Images(cohort, labelled, left_out)


def as_strangers(images: Images) -> Images:
    """Return images whose patients are nobody else's, whatever they are called.

    The package's patients are invented: an equal name is no equal person.
    """
    names = np.array([f"input/{name}" for name in images.cohort.patient_names])
    return replace(images, cohort=replace(images.cohort, patient_names=names))


def list_folder(folder: Path) -> tuple[Listing, dict[str, str]]:
    """Return the image files below a folder, each a patient of its own, and all other files with
    the reason why they are left out.
    """
    inside = folder.resolve()
    chosen: dict[Path, Path] = {}  # the real file -> the name it is listed by
    left_out: dict[str, str] = {}
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names + [one for one in folders if (Path(where) / one).is_symlink()]):
            file = Path(where) / name
            why = _why_not(file, folder, inside)
            if not why and file.resolve() in chosen:
                why = f"the same file as {chosen[file.resolve()].relative_to(folder).as_posix()}"
            if why:
                left_out[file.relative_to(folder).as_posix()] = why
            else:
                chosen[file.resolve()] = file
    files = tuple(sorted(chosen.values()))
    patients = np.array([file.relative_to(folder).as_posix() for file in files])
    count = len(files)
    return Listing(files, patients, np.full(count, ""), np.zeros(count, bool), folder), left_out


def _why_not(file: Path, folder: Path, inside: Path) -> str:
    """Return why a file of the folder is not read, or ""."""
    if any(part.startswith(".") for part in file.relative_to(folder).parts):
        return "a hidden file"
    if file.is_symlink() and file.is_dir():
        return "a link to a folder: links are not followed"
    if not file.resolve().is_relative_to(inside):
        return "a link that leads out of the folder"
    if file.suffix.lower() not in SUFFIXES:
        return "no PNG, JPEG, BMP or TIFF file by its ending"
    return "" if file.is_file() else "no file: a broken link, or a device"


def _listing(source: Path, kind: str, seed: int, note: Note) -> Listing:
    if kind == "manifest":
        return read_manifest(source)
    if kind == "synthetic" and not source.exists():
        from medpriv_lib.data.synthetic import SEED, write_synthetic

        if not source.absolute().parent.is_dir():
            raise FileNotFoundError(f"the folder {source.parent} does not exist; create it first")
        note(f"drawing synthetic eyes into {source}")
        write_synthetic(source, seed=SEED + seed)
    return read_warsaw(source)


def _refuse_single(listing: Listing) -> None:
    """Raise for a patient with one image: the identity judge cannot both learn and be tested on
    them.
    """
    names, first, counts = np.unique(listing.patient, return_index=True, return_counts=True)
    alone = np.flatnonzero(counts == 1)
    if len(alone):
        more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
        raise ValueError(
            f"{listing.name_of(int(first[alone[0]]))}: {str(names[alone[0]])!r}{more} is a patient "
            "with one image, which cannot be in training and in test; add images, remove the row, "
            "use --split-by patient, or accept it with --keep-single"
        )
