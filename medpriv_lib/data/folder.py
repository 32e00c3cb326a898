"""A folder of images without a table: nobody says who is on them, so each stands for itself."""

import os
from pathlib import Path

import numpy as np

from medpriv_lib.core.printable import printable
from medpriv_lib.core.workplace import MARKER
from medpriv_lib.data.below import Below
from medpriv_lib.data.images import SUFFIXES
from medpriv_lib.data.left_out import LeftOut
from medpriv_lib.data.listing import Listing

# Files that are images to somebody, and that cannot be read here. A file without an ending counts,
# too: scanners write DICOM so.
OTHER_IMAGES = {
    "", ".dcm", ".dicom", ".ima", ".nii", ".gz", ".mha", ".mhd", ".nrrd", ".gif", ".webp", ".heic",
    ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".jpe", ".jfif", ".pgm", ".ppm", ".pnm", ".psd",
    ".dng", ".raw",
}  # fmt: skip


def list_folder(root: str | os.PathLike) -> Listing:
    """List the images below a folder, sorted by path; patient is the file's name, label "no".

    A release below the folder is left out by its name, and a workplace of ours is passed over.
    Left out are hidden files and folders, links, and what is no PNG, JPEG, BMP or TIFF by its
    ending. What a link inside the folder leads to is listed by its own name; by a second name it
    would be a second patient. All are in `left_out` with the reason; images of another format and
    what lies behind a link that leads out of the folder count as lost. Raises `FileNotFoundError`
    where there is no such folder and `ValueError` where it holds no image that can be read.
    """
    root = Path(root)
    shown = printable(root, 1000)
    if not root.is_dir():
        raise FileNotFoundError(f"{shown}: no such folder; give one that holds images")
    if is_release(root):
        raise ValueError(
            f"{shown}: a release, made by `medpriv privatize`, and no originals; give the folder "
            "of the originals"
        )
    files, left_out = _sorted_out(root)
    if not files:
        others = [item for item in left_out if item.lost]
        if others:
            raise ValueError(
                f"{shown}: none of its {len(left_out)} files can be read as an image (the first: "
                f"{printable(others[0].file)}, {others[0].reason})"
            )
        raise ValueError(f"{shown}: empty folder, no image in it; check the path")
    names = [file.relative_to(root).as_posix() for file in files]
    return Listing(
        files=tuple(files),
        patient=np.array(names),
        eye=np.full(len(files), ""),
        diseased=np.zeros(len(files), dtype=bool),
        root=root,
        left_out=tuple(left_out),
        named=False,
    )


def is_release(folder: Path) -> bool:
    """Say whether a folder is a release with its key."""
    try:
        return (folder / "keep" / "release.npz").is_file()
    except PermissionError:  # whoever may not enter has no key
        return False


def _sorted_out(root: Path) -> tuple[list[Path], list[LeftOut]]:
    below, files, left_out = Below(root), [], []
    everything = sorted(root.rglob("*"))
    releases = {folder for folder in everything if is_release(folder)}
    ours = releases | {file.parent for file in everything if file.name == MARKER}
    for file in everything:
        name = file.relative_to(root).as_posix()
        suffix = file.suffix.lower()
        above = set(file.parents)
        if above & ours:
            continue
        if file in releases:
            reason = "a release made by `medpriv privatize`, no originals; none of it was read"
            left_out.append(LeftOut(name, "", reason, lost=False))
        elif file.is_symlink() and not below.holds(file):
            left_out.append(
                LeftOut(name, "", "a link that leads out of the folder; copy the image into it")
            )
        elif file.is_symlink() and file.is_file():
            reason = "a link to an image of this folder, which is listed by its own name"
            left_out.append(LeftOut(name, "", reason, lost=False))
        elif not file.is_file() or not below.holds(file):
            left_out.extend(_no_file(file, name))
        elif any(part.startswith(".") for part in file.relative_to(root).parts):
            left_out.append(
                LeftOut(name, "", "a hidden file; rename it if it is wanted", lost=False)
            )
        elif suffix in SUFFIXES:
            files.append(file)
        elif suffix in OTHER_IMAGES:
            remedy = (
                "prepare the folder with `medpriv prepare --kind dicom`"
                if suffix in ("", ".dcm", ".dicom", ".ima")
                else "save it as PNG or TIFF"
            )
            left_out.append(LeftOut(name, "", f"of a format that is not read here; {remedy}"))
        else:
            left_out.append(LeftOut(name, "", "no image by its ending", lost=False))
    return files, left_out


def _no_file(place: Path, name: str) -> list[LeftOut]:
    """Return what is no file as what is left out; nothing for a folder that may be read.

    A pipe, a device or a link that leads nowhere is lost where its ending is that of an image.
    """
    if place.is_dir():
        if os.access(place, os.R_OK | os.X_OK):
            return []
        return [LeftOut(name, "", "a folder that may not be read; check its permissions")]
    link = place.is_symlink()
    reason = "a link that leads nowhere" if link else "a pipe or a device, no file"
    lost = place.suffix.lower() in {*SUFFIXES, *OTHER_IMAGES}
    return [LeftOut(name, "", f"{reason}; copy the image into the folder", lost=lost)]
