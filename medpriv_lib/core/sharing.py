"""A release on disk: `share/` to give away, `keep/` to keep, and nothing in the first that leads to
the second.
"""

import contextlib
import csv
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from PIL import Image

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release

IMAGE_NAME = re.compile(r"\d{4,}\.png")
KEPT = ("README.txt", "order.csv", "release.npz")
ONE_TIME = (
    946_684_800  # every file says 2000-01-01 00:00 UTC: the time of writing would tell the order
)
WARNING = """This folder is the linkage key of the release beside it. Never share it.

release.npz   which image each released one stands for, and the patients that went into it
order.csv     which released image each file in ../share is

Whoever has this folder can name the patients. Keep it apart from ../share, or delete it: the release does
not need it, only `medpriv evaluate` does.
"""


def write_release(
    release: Release, cohort: Cohort, folder: str | os.PathLike, rng: np.random.Generator
) -> None:
    """Write `folder`/share, the images in random order, and `folder`/keep, the linkage key.

    share/0001.png, 0002.png, ... are 8-bit grey PNGs without metadata, their order drawn from
    `rng`, their times all the same. keep/ holds release.npz, order.csv (file, released row, row of
    `cohort`, patient) and a warning; only its owner can enter it. A former release in `folder` is
    replaced as a whole, once the new one is complete. Raises `FileNotFoundError` where the parent
    of `folder` does not exist, and `ValueError` where `folder` holds anything but a release or
    where the release does not fit `cohort`; nothing is written or removed then.
    """
    folder = Path(os.path.abspath(folder))
    if len(release) == 0:
        raise ValueError("the release holds no image; there is nothing to share")
    if release.source.min() < 0 or release.source.max() >= len(cohort):
        raise ValueError(
            f"the release stands for images up to row {release.source.max()}, but the cohort has "
            f"{len(cohort)}; pass the cohort that was privatised"
        )
    if not folder.parent.is_dir():
        raise FileNotFoundError(f"the folder {folder.parent} does not exist; create it first")
    _recover(folder)
    _require_replaceable(folder)
    order = rng.permutation(len(release))
    with _replacing(folder) as new:
        _write_share(release, order, new / "share")
        _write_keep(release, cohort, order, new / "keep")


def read_release(folder: str | os.PathLike) -> tuple[Release, Int64[np.ndarray, " n"]]:
    """Return a release written by `write_release` and its order: share/0001.png is the row
    order[0], and so on.

    Raises `FileNotFoundError` where `folder` or its key is missing and `ValueError` where the
    shared images are not those of the key: what was given away must be what is evaluated.
    """
    folder = Path(os.path.abspath(folder))
    _recover(folder)
    if not (folder / "keep" / "release.npz").is_file():
        raise FileNotFoundError(
            f"{folder}: no release with its key is here (keep/release.npz is missing); "
            "make one with `medpriv privatize`"
        )
    release = Release.load(folder / "keep" / "release.npz")
    order = _read_order(folder / "keep" / "order.csv", len(release))
    names = _names(len(release))
    found = (
        sorted(path.name for path in (folder / "share").glob("*"))
        if (folder / "share").is_dir()
        else []
    )
    if found != names:
        odd = sorted(set(found) ^ set(names))[0]
        raise ValueError(
            f"{folder / 'share' / odd}: {'missing' if odd in names else 'not of this release'}; "
            "make the release again with `medpriv privatize`"
        )
    for name, row in zip(names, order, strict=True):
        if not np.array_equal(_read_image(folder / "share" / name), release.images[row]):
            raise ValueError(
                f"{folder / 'share' / name}: differs from the image in keep/release.npz; "
                "make the release again with `medpriv privatize`"
            )
    return release, order


def _names(count: int) -> list[str]:
    width = max(4, len(str(count)))
    return [f"{number:0{width}d}.png" for number in range(1, count + 1)]


def _write_share(release: Release, order: np.ndarray, share: Path) -> None:
    share.mkdir()
    for name, row in zip(_names(len(release)), order, strict=True):
        Image.fromarray(release.images[row]).save(
            share / name, format="PNG"
        )  # an image from an array has no metadata
        os.utime(share / name, (ONE_TIME, ONE_TIME))
    os.utime(share, (ONE_TIME, ONE_TIME))


def _write_keep(release: Release, cohort: Cohort, order: np.ndarray, keep: Path) -> None:
    keep.mkdir(mode=0o700)
    keep.chmod(0o700)
    release.save(keep / "release.npz")
    (keep / "README.txt").write_text(WARNING, encoding="utf-8")
    with open(keep / "order.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "released_row", "source_row", "patient"])
        for name, row in zip(_names(len(release)), order.tolist(), strict=True):
            source = int(release.source[row])
            table.writerow([name, row, source, cohort.patient_names[cohort.patient[source]]])
    for name in KEPT:
        (keep / name).chmod(0o600)


def _read_order(path: Path, count: int) -> np.ndarray:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            order = np.array(
                [int(line["released_row"]) for line in csv.DictReader(file)], dtype=np.int64
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not a readable order of a release ({error}); "
            "make the release again with `medpriv privatize`"
        ) from error
    if not np.array_equal(np.sort(order), np.arange(count)):
        raise ValueError(
            f"{path}: does not list each of the {count} released rows once; "
            "make the release again with `medpriv privatize`"
        )
    return order


def _read_image(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except OSError as error:
        raise ValueError(
            f"{path}: not a readable image ({error}); "
            "make the release again with `medpriv privatize`"
        ) from error


def _require_replaceable(folder: Path) -> None:
    """Raise unless `folder` is absent, empty or holds a release and nothing else."""
    if not os.path.lexists(folder):
        return
    advice = "nothing was written; choose an empty folder or a new name"
    if folder.is_symlink() or not folder.is_dir():
        raise ValueError(f"{folder}: not a folder; {advice}")
    inside = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    if not inside:
        return
    ours = {"share", "keep"} | {f"keep/{name}" for name in KEPT}
    strange = sorted(
        path
        for path in inside - ours
        if not (path.startswith("share/") and IMAGE_NAME.fullmatch(path.removeprefix("share/")))
    )
    if strange:
        raise ValueError(f"{folder}: holds {strange[0]}, which is not part of a release; {advice}")
    if "keep/release.npz" not in inside:
        raise ValueError(
            f"{folder}: not empty and no complete release (keep/release.npz is missing); {advice}"
        )


def _former(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}-former")


def _recover(folder: Path) -> None:
    """Put back a former release that a kill between the two renames of `_replacing` left under its
    hidden name.
    """
    if _former(folder).is_dir() and not folder.exists():
        os.rename(_former(folder), folder)


@contextlib.contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `folder`; it takes that name when the block ends without an
    error.
    """
    former, prefix = _former(folder), f".{folder.name}-new-"
    for (
        left
    ) in folder.parent.iterdir():  # a killed process leaves half a release, which may hold a key
        if left.name.startswith(prefix):
            shutil.rmtree(left, ignore_errors=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=prefix))
    try:
        yield new
        umask = os.umask(0)
        os.umask(umask)
        new.chmod(0o777 & ~umask)  # mkdtemp closes it to everyone else, but share/ is to be read
        if former.exists():  # a kill after the second rename left it
            shutil.rmtree(former)
        if folder.exists():
            os.rename(folder, former)
        try:
            os.rename(new, folder)
        except OSError:
            _recover(folder)
            raise
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
