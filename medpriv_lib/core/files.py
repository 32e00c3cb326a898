"""Write files so that a killed process or a full disk leaves what was there before."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` when the block ends without an
    error.

    The temporary file keeps the suffix of `path`, for libraries that choose the format by it. On an
    error (full disk, kill, exception) the temporary file is removed where that is still possible
    and `path` stays as it was. What is `private` only its owner can read. Raises
    `FileNotFoundError` when the folder of `path` does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist; create it first")
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix
        )
    except OSError as error:  # of the file that was asked for, not of the hidden one
        raise type(error)(error.errno, error.strerror, str(path)) from error
    os.close(handle)
    try:
        yield Path(name)
        # mkstemp makes files that only their owner can read; what we write is as readable as any
        # new file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, (0o600 if private else 0o666) & ~umask)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def sha256_of(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: str | os.PathLike, content: dict, private: bool = False) -> None:
    """Write indented JSON, atomically. What is `private` only its owner can read. Raises
    `ValueError` for nan and infinite numbers.
    """
    with atomic_write(path, private) as temporary:
        temporary.write_text(
            json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )


def require_no_file(path: str | os.PathLike) -> Path:
    """Return the path of a folder; raise `ValueError` where it, or one above it, is a file."""
    path = Path(path)
    for place in (path, *path.absolute().parents):
        if place.exists() and not place.is_dir():
            raise ValueError(f"{place} is a file, no folder; name another place than {path}")
    return path


def private_folder(path: str | os.PathLike) -> Path:
    """Make a folder, and those above it that are missing, that only its owner can enter; a folder
    that is there already stays as it is. Raises `ValueError` where a file is in the way.
    """
    path = require_no_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


@contextlib.contextmanager
def all_or_nothing(folder: str | os.PathLike) -> Iterator[Path]:
    """Make a folder where it is missing and yield it; where the block fails, the files that it
    wrote are removed, and the folder where it was made here.

    Raises `ValueError` where a file is in the way.
    """
    folder = require_no_file(folder)
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    try:
        yield folder
    except BaseException:
        for path in set(folder.iterdir()) - before:
            path.unlink()
        if new:
            folder.rmdir()
        raise


def write_new(path: str | os.PathLike, content: bytes, mode: int = 0o600) -> None:
    """Write a file that is not there yet, with this mode from the start: a key that lies readable
    for a moment is no secret. Raises `FileExistsError` where a file is there already.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise FileExistsError(f"{path} is there already; name an empty folder") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)
