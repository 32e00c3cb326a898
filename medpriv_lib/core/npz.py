"""Arrays in one `.npz` file of a stated kind and version: written atomically, read with care."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from medpriv_lib.core.files import atomic_write

# A deflated stream holds at most 1,032 bytes per byte. Images compress by 2 to 10: a file that
# claims to be large and to compress a hundredfold is not one of ours, whatever it is.
LARGE, RATIO = 2**28, 100


def write_npz(path: str | os.PathLike, kind: str, version: int, arrays: dict[str, object]) -> None:
    """Write arrays and texts as one compressed file, atomically; only its owner can read it."""
    with atomic_write(path, private=True) as temporary:
        np.savez_compressed(temporary, version=np.int64(version), kind=kind, **arrays)  # type: ignore[arg-type]


def read_npz(path: str | os.PathLike, kind: str, version: int, maker: str) -> dict[str, np.ndarray]:
    """Return the arrays that `write_npz` wrote, without kind and version.

    `maker` is the command that makes such a file; it ends every message. Sizes are read before any
    array is, so that a file which would unpack to far more than it holds costs no memory. Raises
    `FileNotFoundError` where there is no file and `ValueError` where it is damaged, holds objects,
    or is of another kind or version.
    """
    path = Path(path)
    if not path.is_file():
        if (path / "archive.npz").is_file():
            raise FileNotFoundError(
                f"{path}: is an archive, for `medpriv privatize` and `attack`, not a {kind} file; "
                "make one with `medpriv prepare` without --archive, of fewer or smaller images"
            )
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path}: {what}, not a {kind} file; make one with {maker}")
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            _refuse_bomb(archive)
            arrays = {
                entry.filename.removesuffix(".npy"): _read_array(archive, entry)
                for entry in archive.infolist()
            }
    except PermissionError as error:
        raise PermissionError(
            error.errno, f"may not be read ({error.strerror})", str(path)
        ) from error
    except (
        ValueError,
        EOFError,
        OSError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
        TypeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ValueError(
            f"{path}: not a readable {kind} file ({error}); make it again with {maker}"
        ) from error
    found = _text(arrays.pop("kind", None))
    if found != kind:
        other = f"it is a {found} file" if found else "it says nothing of its kind"
        raise ValueError(f"{path}: this is no {kind} file ({other}); make one with {maker}")
    number = arrays.pop("version", np.int64(0))
    if number.shape != () or number.dtype.kind not in "iu" or int(number) != version:
        raise ValueError(
            f"{path}: a {kind} file of version {number}, this library reads {version}; make it "
            f"again with {maker}"
        )
    return arrays


def kind_of(path: str | os.PathLike) -> str:
    """Return the kind of a file that `write_npz` wrote, "" for any other file, a device too."""
    if not Path(path).is_file():
        return ""
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            return _text(_read_array(archive, archive.getinfo("kind.npy")))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return ""


def _refuse_bomb(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if total > LARGE and total / packed > RATIO:
        raise ValueError(
            f"it would unpack to {total / 2**20:,.0f} MiB from {packed / 2**20:,.1f}: no images do"
        )


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(entry) as stream:
        shape, dtype = _header(stream)
        if dtype.hasobject:
            raise ValueError(f"{entry.filename} holds Python objects, which are never loaded")
        if int(np.prod(shape, dtype=object)) * dtype.itemsize > entry.file_size:
            raise ValueError(f"{entry.filename} announces {shape} of {dtype}, and holds less")
    with archive.open(entry) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"an array of format version {version}")
    shape, _, dtype = read(stream)
    return shape, dtype


def _text(value: np.ndarray | None) -> str:
    return str(value) if value is not None and value.shape == () and value.dtype.kind == "U" else ""
