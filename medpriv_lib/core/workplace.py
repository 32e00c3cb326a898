"""A folder that one run at a time writes, and as a whole: its hidden workplace beside it.

The workplace of OUT is `.OUT-medpriv`, with a marker file that names the process. What has no such
marker is never touched, and what has one only when its process is dead.
"""

import contextlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

MARKER = "medpriv-workplace.json"
NEW, FORMER = "new", "former"


class Busy(ValueError):
    """Another run is writing the same folder."""


@contextlib.contextmanager
def reserved(folder: str | os.PathLike) -> Iterator[Path]:
    """Yield the workplace of `folder`: while the block runs, no other run can reserve it.

    The workplace is closed to everyone but its owner, and is removed at the end, whatever happens;
    what a killed run left is removed first, and a former content that lay aside is put back.
    Raises `FileNotFoundError` where the parent of `folder` does not exist, `Busy` where another run
    holds it, and `ValueError` where something else has the name of the workplace.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.parent.is_dir():
        raise FileNotFoundError(f"the folder {folder.parent} does not exist; create it first")
    recover(folder)
    place = _place(folder)
    try:
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{place.name}-"))
    except OSError as error:  # of the folder that was asked for, not of the hidden one
        raise type(error)(error.errno, error.strerror, str(folder)) from error
    try:
        (made / MARKER).write_text(json.dumps(_process(os.getpid())), encoding="utf-8")
        _claim(made, place, folder)
        made = place  # from here on the workplace is ours
        yield place
    finally:
        with contextlib.suppress(FileNotFoundError):
            _clear(made, folder)


def publish(place: Path, folder: str | os.PathLike) -> None:
    """Give `place`/new the name of `folder`; what had that name before is removed afterwards."""
    folder = Path(os.path.abspath(folder))
    if folder.exists():
        os.rename(folder, place / FORMER)
    try:
        os.rename(place / NEW, folder)
    except OSError:
        _put_back(place, folder)
        raise
    shutil.rmtree(place / FORMER, ignore_errors=True)


def recover(folder: str | os.PathLike) -> None:
    """Put back what a killed run had moved aside, and remove what it had begun.

    Only folders with the marker of a process that is dead are touched.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.parent.is_dir():
        return
    name = _place(folder).name
    for left in sorted(folder.parent.iterdir()):
        if left.name != name and not left.name.startswith(f"{name}-"):
            continue
        holder = _holder(left)
        if holder is not None and not _alive(holder):
            _clear(left, folder)


def _place(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}-medpriv")


def _claim(made: Path, place: Path, folder: Path) -> None:
    """Rename the workplace to the one name it may have: the rename fails where that is taken."""
    try:
        if os.path.lexists(place):
            raise FileExistsError(place)
        os.rename(made, place)
    except OSError as error:
        if not os.path.lexists(place):
            raise
        holder = _holder(place)
        if holder is None:
            raise ValueError(
                f"{place} is in the way, and no run of medpriv made it; move it away, or name "
                f"another folder than {folder}"
            ) from error
        elsewhere = "" if holder["host"] == _host() else f" on {holder['host']}"
        raise Busy(
            f"{folder}: another run (process {holder['pid']}{elsewhere}) is writing there; wait "
            f"for it, or name another place (if that run is dead, remove {place})"
        ) from error


def _clear(place: Path, folder: Path) -> None:
    """Remove a workplace of ours; first put back the former content where the folder is missing."""
    _put_back(place, folder)
    unfinished = (place / FORMER).exists() and (place / NEW).exists()
    if unfinished and os.path.lexists(folder):
        return  # somebody made the folder anew while the former content lay aside: keep both
    shutil.rmtree(place, ignore_errors=True)


def _put_back(place: Path, folder: Path) -> None:
    if (place / FORMER).is_dir() and not os.path.lexists(folder):
        os.rename(place / FORMER, folder)


def _holder(place: Path) -> dict | None:
    """Return the process that a workplace names, or None where it is no workplace."""
    try:
        if place.is_symlink() or not place.is_dir():
            return None
        found = json.loads((place / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(found, dict) and set(found) == {"pid", "host", "began"}
    return found if fits and isinstance(found["pid"], int) else None


def _process(pid: int) -> dict:
    return {"pid": pid, "host": _host(), "began": _began(pid)}


def _alive(holder: dict) -> bool:
    """Return whether the process may still run: yes where nobody here can tell."""
    if holder["host"] != _host() or os.name != "posix":
        return True
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except (OverflowError, PermissionError):
        return True
    began = _began(holder["pid"])  # the number may have been given to another process since
    return holder["began"] is None or began is None or began == holder["began"]


def _began(pid: int) -> str | None:
    """Return when a process began, in ticks since the machine started; None where unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _host() -> str:
    return socket.gethostname()
