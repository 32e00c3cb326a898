"""A release on disk: `share/` to give away, `keep/` to keep, and nothing in the first that leads to
the second.
"""

import csv
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from PIL import Image

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.exposure import refuse_exposed
from medpriv_lib.core.linkage import require_linked
from medpriv_lib.core.printable import printable
from medpriv_lib.core.randomness import secret_order
from medpriv_lib.core.release import Given, Release
from medpriv_lib.core.secondary_capture import read_capture, write_capture
from medpriv_lib.core.workplace import NEW, publish, recover, reserved

FORMS = ("png", "dicom")
ENDINGS = {"png": ".png", "dicom": ".dcm"}
IMAGE_NAME = re.compile(r"\d{4,}\.(png|dcm)")
KEPT = ("README.txt", "order.csv", "release.npz")
LEFT_OUT = "left_out.csv"
ONE_TIME = (
    946_684_800  # every file says 2000-01-01 00:00 UTC: the time of writing would tell the order
)
AGAIN = "make the release again with `medpriv privatize`"
WARNING = """This folder is the linkage key of the release beside it. Never share it.

release.npz   which image each released one stands for, the patients that went into it, and where
              the random numbers began
order.csv     which released image each file in ../share is
left_out.csv  (where there is one) the files that were not privatised, and why

Whoever has this folder can name the patients. Keep it apart from ../share, or delete it: the
release does not need it, only `medpriv evaluate` and `medpriv attack` do.
"""


def write_release(
    release: Release,
    cohort: Cohort,
    folder: str | os.PathLike,
    *,
    left_out: Mapping[str, str] | None = None,
    place: Path | None = None,
    form: str = "png",
) -> None:
    """Write `folder`/share, the images in secret order, and `folder`/keep, the linkage key.

    share/0001.png, 0002.png, ... are 8-bit PNGs without metadata, their times all the same, their
    order drawn from the operating system's entropy: nobody can draw it again. With `form` "dicom"
    they are 0001.dcm, ..., DICOM objects as `core.secondary_capture` writes them. keep/ holds
    release.npz, order.csv (file, released row, row in the cohort as it was prepared, patient),
    `left_out` (file -> why) where files were, and a warning; only its owner can enter it. `cohort`
    holds the originals, at least those that were privatised. A former release in `folder` is
    replaced as a whole, once the new one is complete. `place` is the workplace where the caller
    has `reserved` the folder already. Raises `FileNotFoundError` where the parent of `folder` does
    not exist, `Busy` where another run writes it, `Exposed` where a released picture is as good as
    an original of `cohort`, and `ValueError` where `folder` holds anything but a release or where
    the release does not fit `cohort`; nothing is written or removed then.
    """
    folder = Path(os.path.abspath(folder))
    if form not in FORMS:
        raise ValueError(f"unknown form {form!r}; choose from {', '.join(FORMS)}")
    release = _given(release, cohort)
    refuse_exposed(release.images, cohort)
    if place is None:
        with reserved(folder) as place:
            _write(release, folder, left_out or {}, place, ENDINGS[form])
    else:
        _write(release, folder, left_out or {}, place, ENDINGS[form])


def read_release(folder: str | os.PathLike) -> tuple[Release, Int64[np.ndarray, " n"]]:
    """Return a release written by `write_release` and its order: share/0001.png is the row
    order[0], and so on.

    Raises `FileNotFoundError` where `folder` or its key is missing and `ValueError` where the
    shared images are not those of the key, or where order.csv and release.npz do not say the same:
    what was given away must be what is evaluated.
    """
    folder = Path(os.path.abspath(folder))
    recover(folder)
    key = folder / "keep" / "release.npz"
    if not key.is_file() and (folder / "keep" / "parts").is_dir():
        raise FileNotFoundError(
            f"{folder}: a release of an archive, which is not read as a whole; "
            "`medpriv attack DIR --cohort ARCHIVE` attacks a sample of it"
        )
    if not key.is_file():
        raise FileNotFoundError(
            f"{folder}: no release with its key is here (keep/release.npz is missing); "
            "make one with `medpriv privatize`"
        )
    release = Release.load(key)
    if len(release) == 0:
        raise ValueError(f"{key}: holds no image; {AGAIN}")
    order = _read_order(folder / "keep" / "order.csv", len(release))
    names = _names(len(release), _ending(folder / "share"))
    _require_shared(folder / "share", names)
    for name, row in zip(names, order, strict=True):
        if not np.array_equal(read_image(folder / "share" / name), release.images[row]):
            raise ValueError(_differing(folder / "share", release, name))
    shared = sorted(path.name for path in (folder / "share").iterdir())
    require_linked(folder / "keep" / "order.csv", release, order, shared)
    return release, order


def require_replaceable(folder: str | os.PathLike) -> None:
    """Raise `ValueError` unless `folder` is absent, empty or holds a release and nothing else."""
    folder = Path(os.path.abspath(folder))
    if not os.path.lexists(folder):
        return
    advice = "nothing was written; choose an empty folder or a new name"
    if folder.is_symlink() or not folder.is_dir():
        raise ValueError(f"{folder}: not a folder; {advice}")
    inside = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    if not inside:
        return
    ours = {"share", "keep"} | {f"keep/{name}" for name in (*KEPT, LEFT_OUT)}
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


def refuse_inside(
    path: str | os.PathLike, what: str, release: str | os.PathLike | None = None
) -> None:
    """Raise `ValueError` where a path lies in a release, this one or any other.

    What is written into a release may be given away with it. `what` names what would be written.
    """
    inside = Path(path).resolve()
    for folder in (inside, *inside.parents):
        ours = release is not None and folder == Path(release).resolve()
        keys = (folder / "keep" / name for name in ("release.npz", "plan.json", "order.csv"))
        if ours or any(key.is_file() for key in keys):
            raise ValueError(
                f"{path}: {what} does not belong into a release, whose parts may be given away; "
                "name another folder"
            )


def _given(release: Release, cohort: Cohort) -> Release:
    """Return the release with what it was made from; refuse a cohort that is not that."""
    if len(release) == 0:
        raise ValueError("the release holds no image; there is nothing to share")
    if release.given is not None:
        try:
            release.rows_in(cohort)
        except ValueError as error:
            raise ValueError(f"{error}; pass the cohort that was privatised") from error
        return release
    if release.source.min() < 0 or release.source.max() >= len(cohort):
        raise ValueError(
            f"the release stands for images up to row {release.source.max()}, but the cohort has "
            f"{len(cohort)}; pass the cohort that was privatised"
        )
    return replace(release, given=Given.of(cohort))


def _write(
    release: Release, folder: Path, left_out: Mapping[str, str], place: Path, ending: str
) -> None:
    require_replaceable(folder)
    new = place / NEW
    new.mkdir()
    order = secret_order(len(release))
    _write_share(release, order, new / "share", ending)
    _write_keep(release, order, left_out, new / "keep", ending)
    publish(place, folder)


def _names(count: int, ending: str = ".png") -> list[str]:
    width = max(4, len(str(count)))
    return [f"{number:0{width}d}{ending}" for number in range(1, count + 1)]


def _write_share(release: Release, order: np.ndarray, share: Path, ending: str) -> None:
    share.mkdir()
    for name, row in zip(_names(len(release), ending), order, strict=True):
        image, path = release.images[row], share / name
        if ending == ".dcm":
            write_capture(image, path, path.stem, release.method)
        else:
            Image.fromarray(image).save(path, format="PNG")  # from an array: without metadata
        os.utime(share / name, (ONE_TIME, ONE_TIME))
    os.utime(share, (ONE_TIME, ONE_TIME))


def _write_keep(
    release: Release, order: np.ndarray, left_out: Mapping[str, str], keep: Path, ending: str
) -> None:
    keep.mkdir(mode=0o700)
    keep.chmod(0o700)
    release.save(keep / "release.npz")
    (keep / "README.txt").write_text(WARNING, encoding="utf-8")
    given = release.given
    assert given is not None  # `_given` has seen to that
    rows = []
    for name, row in zip(_names(len(release), ending), order.tolist(), strict=True):
        source = int(release.source[row])
        rows.append([name, row, int(given.row[source]), str(given.patient[source])])
    _write_table(keep / "order.csv", ["file", "released_row", "source_row", "patient"], rows)
    if left_out:
        cells = [[_cell(file), _cell(why)] for file, why in left_out.items()]
        _write_table(keep / LEFT_OUT, ["file", "why"], cells)
    for path in keep.iterdir():
        path.chmod(0o600)


def _write_table(path: Path, header: list[str], rows: list[list]) -> None:
    with open(path, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(rows)


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, and that no terminal obeys."""
    shown = printable(text, 2000)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def _read_order(path: Path, count: int) -> np.ndarray:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            order = np.array(
                [int(line["released_row"]) for line in csv.DictReader(file)], dtype=np.int64
            )
    except PermissionError:
        raise
    except (OSError, ValueError, KeyError, TypeError, OverflowError, csv.Error) as error:
        raise ValueError(f"{path}: not a readable order of a release ({error}); {AGAIN}") from error
    if not np.array_equal(np.sort(order), np.arange(count)):
        raise ValueError(f"{path}: does not list each of the {count} released rows once; {AGAIN}")
    return order


def _ending(share: Path) -> str:
    """Return the ending of the shared images: all of a release have one form."""
    objects = share.is_dir() and any(path.suffix == ".dcm" for path in share.iterdir())
    return ENDINGS["dicom" if objects else "png"]


def _differing(share: Path, release: Release, name: str) -> str:
    """Return what to say of a shared picture that is not the key's, from the first on."""
    known = {image.tobytes() for image in release.images}
    shown = (read_image(path).tobytes() for path in sorted(share.iterdir()))
    if not any(picture in known for picture in shown):
        return (
            f"{share}: none of its {len(release)} pictures is in keep/release.npz, so keep/ is the "
            "key of another release; put the two folders of one release beside one another"
        )
    return f"{share / name}: differs from the image in keep/release.npz; {AGAIN}"


def _require_shared(share: Path, names: list[str]) -> None:
    found = sorted(path.name for path in share.iterdir()) if share.is_dir() else []
    if found != names:
        odd = sorted(set(found) ^ set(names))[0]
        if odd in names:
            raise ValueError(f"{share / odd}: missing; {AGAIN}")
        raise ValueError(f"{share / odd}: not of this release; remove that file")


def read_image(path: Path) -> np.ndarray:
    """Return the pixels of one shared file; raises `ValueError` where it is not readable."""
    if path.suffix == ".dcm":
        try:
            return read_capture(path)
        except ValueError as error:
            raise ValueError(f"{error}; {AGAIN}") from error
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return np.asarray(image)
    except PermissionError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable image ({error}); {AGAIN}") from error
