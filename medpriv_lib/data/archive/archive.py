"""An archive: a cohort in chunks on the disk, each a memory-mapped array with its table beside."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from medpriv_lib.core.cohort import SPLITS, Cohort
from medpriv_lib.core.npz import read_npz, write_npz
from medpriv_lib.core.pixels import Images
from medpriv_lib.data.archive.recorded import mapped

VERSION = 1
MAKER = "`medpriv prepare --archive`"
FILE = "archive.npz"  # written last: where it is, the archive is complete


@dataclass(frozen=True, eq=False)
class Archive:
    """What a cohort knows of its images, and where their pixels lie.

    `patient`, `eye`, `diseased`, `split`, `visit` and `patient_names` as in `Cohort`, of all N
    images; `shape` of one image, (H, W) or (H, W, 3); `starts` int64 (C + 1,), the first image of
    each chunk and N.
    """

    folder: Path
    name: str
    shape: tuple[int, ...]
    starts: Int64[np.ndarray, " c1"]
    patient: Int64[np.ndarray, " n"]
    eye: np.ndarray
    diseased: Bool[np.ndarray, " n"]
    split: np.ndarray
    patient_names: np.ndarray
    visit: Int64[np.ndarray, " n"] | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.patient)

    @property
    def patients(self) -> int:
        """The number of patients."""
        return len(self.patient_names)

    @property
    def chunks(self) -> int:
        """The number of chunks; one may be empty, where all of its files were lost."""
        return len(self.starts) - 1

    def images(self, chunk: int) -> Images:
        """Return the images of a chunk, which stay on the disk until they are read."""
        folder = chunk_folder(self.folder, chunk)
        try:
            images = mapped(folder / "images.npy")
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{folder}: images.npy cannot be read ({error}); make the archive again with "
                f"{MAKER}"
            ) from error
        count = int(self.starts[chunk + 1] - self.starts[chunk])
        if images.shape != (count, *self.shape) or images.dtype != np.uint8:
            raise ValueError(
                f"{folder}: images.npy holds {images.dtype} {images.shape}, and the archive says "
                f"uint8 {(count, *self.shape)}; make it again with {MAKER}"
            )
        return images

    def chunk(self, number: int) -> Cohort:
        """Return one chunk as a cohort; its `row` says which images of the archive they are."""
        return self.take(np.arange(self.starts[number], self.starts[number + 1]))

    def take(self, rows: np.ndarray) -> Cohort:
        """Return the chosen images as a cohort in memory: `rows` are indices, in any order, or a
        mask; patients keep their numbers, and `row` is the row of the archive.
        """
        rows = np.asarray(rows)
        rows = (np.flatnonzero(rows) if rows.dtype == bool else rows).astype(np.int64)
        parts = {"images": self._gathered(rows, "images")}
        for key in ("evidence", "twin"):
            if (chunk_folder(self.folder, 0) / f"{key}.npy").exists():
                parts[key] = self._gathered(rows, key)
        return Cohort(
            patient=self.patient[rows],
            eye=self.eye[rows],
            diseased=self.diseased[rows],
            split=self.split[rows],
            patient_names=self.patient_names,
            name=self.name,
            row=rows,
            visit=None if self.visit is None else self.visit[rows],
            **parts,
        )

    def rows_of(self, split: str) -> Int64[np.ndarray, " m"]:
        """Return the rows of one split, or of "all"; an unknown or an empty one is an error."""
        if split not in (*SPLITS, "all"):
            raise ValueError(f"unknown split {split!r}; choose from {SPLITS}, or all")
        rows = np.flatnonzero((self.split == split) | (split == "all"))
        if len(rows) == 0:
            raise ValueError(f"the archive has no {split} images; prepare it again with a split")
        return rows

    def hash(self) -> str:
        """Return the digits that `Cohort.hash` returns for these images; all are read once."""
        digest = hashlib.sha256(f"{(len(self), *self.shape)}".encode())
        for chunk in range(self.chunks):
            digest.update(np.ascontiguousarray(self.images(chunk)).tobytes())
        for part in (self.patient, self.diseased):
            digest.update(np.ascontiguousarray(part).tobytes())
        for words in (self.eye, self.split):
            digest.update("|".join(words.tolist()).encode())
        if self.visit is not None:
            digest.update(b"visit" + np.ascontiguousarray(self.visit).tobytes())
        return digest.hexdigest()[:16]

    def save(self) -> None:
        """Write the table of each chunk, and last that of the whole."""
        for number in range(self.chunks):
            rows = np.arange(self.starts[number], self.starts[number + 1])
            table = {"row": rows, "patient": self.patient_names[self.patient[rows]]}
            table |= {key: getattr(self, key)[rows] for key in ("eye", "diseased", "split")}
            if self.visit is not None:
                table["visit"] = self.visit[rows]
            write_npz(chunk_folder(self.folder, number) / "table.npz", "chunk", VERSION, table)
        arrays: dict[str, object] = {"name": self.name, "shape": np.array(self.shape)}
        keys = ("starts", "patient", "eye", "diseased", "split", "patient_names")
        arrays |= {key: getattr(self, key) for key in keys}
        if self.visit is not None:
            arrays["visit"] = self.visit
        write_npz(self.folder / FILE, "archive", VERSION, arrays)

    @classmethod
    def open(cls, folder: str | os.PathLike) -> "Archive":
        """Return the archive in a folder, without its images.

        Raises `FileNotFoundError` where no complete one is there and `ValueError` where its table
        is damaged or of another version.
        """
        folder = Path(folder)
        arrays = read_npz(folder / FILE, "archive", VERSION, MAKER)
        try:
            name = str(arrays.pop("name"))
            shape = tuple(int(side) for side in arrays.pop("shape"))
            found = cls(folder=folder, name=name, shape=shape, **arrays)
            lengths = {len(getattr(found, key)) for key in ("eye", "diseased", "split")}
            if lengths != {len(found)} or found.starts[-1] != len(found):
                raise ValueError("its columns have different lengths")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{folder / FILE}: the parts of this archive do not fit together ({error}); make "
                f"it again with {MAKER}"
            ) from error
        return found

    def _gathered(self, rows: Int64[np.ndarray, " m"], what: str) -> np.ndarray:
        """Return arrays of the rows in their order; every chunk is opened once."""
        chunk = np.searchsorted(self.starts, rows, side="right") - 1
        out: np.ndarray | None = None
        for number in np.unique(chunk).tolist():
            place = np.flatnonzero(chunk == number)
            lying = self.images(number)
            if what != "images":
                lying = mapped(chunk_folder(self.folder, number) / f"{what}.npy")
            if out is None:
                out = np.empty((len(rows), *lying.shape[1:]), lying.dtype)
            out[place] = lying[rows[place] - self.starts[number]]
        return np.empty((0, *self.shape), np.uint8) if out is None else out


def chunk_folder(archive: Path, number: int) -> Path:
    """Return the folder of a chunk."""
    return archive / "chunks" / f"{number:05d}"


def is_archive(path: str | os.PathLike) -> bool:
    """Say whether a complete archive lies in this folder."""
    return (Path(path) / FILE).is_file()


class PerImage:
    """What was done to each image, read chunk by chunk as often as somebody goes through it."""

    def __init__(self, archive: Archive) -> None:
        """Take the archive whose chunks have the records."""
        self.archive = archive

    def __iter__(self) -> Iterator[dict]:
        """Yield the records in the order of the images."""
        for number in range(self.archive.chunks):
            path = chunk_folder(self.archive.folder, number) / "records.json"
            yield from json.loads(path.read_text(encoding="utf-8"))["images"]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.archive)
