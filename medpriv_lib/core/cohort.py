"""What is known before a method runs: images of patients, with labels and splits."""

import hashlib
import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from medpriv_lib.core.npz import read_npz, write_npz

VERSION = 1
MAKER = "`medpriv prepare`"
SPLITS = ("train", "val", "test")
REQUIRED = ("images", "patient", "eye", "diseased", "split", "patient_names")


@dataclass(frozen=True, eq=False)
class Cohort:
    """Images of patients with a yes/no label each; what a method is given.

    `images` uint8, grey levels (N, H, W) or colours (N, H, W, 3); `patient` int64 (N,), an index
    into `patient_names`; `eye` (N,) "L", "R", ""; `diseased` bool (N,); `split` (N,) of "train",
    "val", "test"; `patient_names` (P,) neutral or original names; `evidence` bool (N, H, W) or
    None, the pixels that show the disease where that is known (synthetic images); `twin` of the
    images' shape or None, the same eye and capture without the disease (equals the image where it
    is healthy); `visit` int64 (N,) or None, the number of the visit, from
    1, within the patient, where that is known (the synthetic cohorts); `row` int64
    (N,), which images of the cohort as it was prepared these are: `take` and `of` keep it, so that
    a release made from a part can be followed to the whole. Raises
    `ValueError` for shapes, types or values that do not fit together.
    """

    images: UInt8[np.ndarray, "n h w"]
    patient: Int64[np.ndarray, " n"]
    eye: np.ndarray
    diseased: Bool[np.ndarray, " n"]
    split: np.ndarray
    patient_names: np.ndarray
    evidence: Bool[np.ndarray, "n h w"] | None = None
    twin: UInt8[np.ndarray, "n h w"] | None = None
    name: str = "cohort"
    row: Int64[np.ndarray, " n"] = field(default=None, repr=False)  # type: ignore[arg-type]
    visit: Int64[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        """Check everything once, so that no later step meets a broken cohort."""
        n = len(self.images)
        if n == 0:
            raise ValueError("the cohort holds no image; check the source folder and its table")
        check_images(self.images)
        if self.row is None:
            object.__setattr__(self, "row", np.arange(n, dtype=np.int64))
        for key in ("patient", "eye", "diseased", "split", "row"):
            shape = getattr(self, key).shape
            if shape != (n,):
                raise ValueError(f"`{key}` has shape {shape}, expected ({n},): one entry per image")
        if self.visit is not None and (self.visit.shape != (n,) or self.visit.dtype != np.int64):
            raise ValueError(f"`visit` must be int64 ({n},): the number of the visit of each image")
        self._check_values()
        shapes = {"evidence": self.images.shape[:3], "twin": self.images.shape}
        for key, dtype in (("evidence", np.bool_), ("twin", np.uint8)):
            value = getattr(self, key)
            if value is not None and (value.shape != shapes[key] or value.dtype != dtype):
                raise ValueError(
                    f"`{key}` must be {np.dtype(dtype).name} {shapes[key]}, like the images"
                )

    def _check_values(self) -> None:
        if self.patient.dtype != np.int64 or self.diseased.dtype != bool:
            raise ValueError("`patient` must be int64 and `diseased` bool")
        if self.patient.min() < 0 or self.patient.max() >= len(self.patient_names):
            last = len(self.patient_names) - 1
            raise ValueError(f"unknown patient: indices must lie in 0..{last}")
        if len(set(self.patient_names.tolist())) < len(self.patient_names):
            raise ValueError("`patient_names` holds a name twice: two patients would be one person")
        for key, allowed in (("split", SPLITS), ("eye", ("L", "R", ""))):
            odd = sorted(set(np.unique(getattr(self, key)).tolist()) - set(allowed))
            if odd:
                raise ValueError(f"`{key}` holds {odd}; allowed are {allowed}")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def patients(self) -> int:
        """The number of patients that the identity recogniser has to tell apart."""
        return len(self.patient_names)

    def take(self, rows: np.ndarray) -> "Cohort":
        """Return the cohort of the chosen images: `rows` are indices or a mask; patients keep their
        numbers.
        """
        per_image = (
            *("images", "patient", "eye", "diseased", "split"),
            *("evidence", "twin", "row", "visit"),
        )
        return replace(
            self, **{k: getattr(self, k)[rows] for k in per_image if getattr(self, k) is not None}
        )

    def of(self, split: str) -> "Cohort":
        """Return the images of one split. Raises `ValueError` where that split is empty or
        unknown.
        """
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; choose from {SPLITS}")
        rows = np.flatnonzero(self.split == split)
        if len(rows) == 0:
            raise ValueError(f"the cohort has no {split} images; prepare it again with a split")
        return self.take(rows)

    def hash(self) -> str:
        """Return 16 hexadecimal digits that change when any image, patient, label, eye, split or
        visit changes.
        """
        digest = hashlib.sha256(f"{self.images.shape}".encode())
        for key in ("images", "patient", "diseased"):
            digest.update(np.ascontiguousarray(getattr(self, key)).tobytes())
        for key in ("eye", "split"):
            digest.update("|".join(getattr(self, key).tolist()).encode())
        if self.visit is not None:  # without visits the digits are those of earlier versions
            digest.update(b"visit" + np.ascontiguousarray(self.visit).tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: str | os.PathLike) -> None:
        """Write the cohort as one compressed .npz, atomically."""
        arrays = {
            f.name: value
            for f in fields(self)
            if f.name != "row" and (value := getattr(self, f.name)) is not None
        }
        if self.evidence is not None:
            arrays["evidence"] = np.packbits(self.evidence)
        if self.twin is not None:  # most twins equal their image: keep the others
            different = self.twin.reshape(len(self), -1) != self.images.reshape(len(self), -1)
            rows = np.flatnonzero(different.any(axis=1))
            arrays |= {"twin": self.twin[rows], "twin_rows": rows}
        write_npz(path, "cohort", VERSION, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Cohort":
        """Read a cohort written by `save`.

        Raises `FileNotFoundError` where there is no file, `ValueError` for a file that is no
        cohort, is damaged or is of another version.
        """
        arrays = read_npz(path, "cohort", VERSION, MAKER)
        try:
            name = str(arrays.pop("name", Path(path).stem))
            images = arrays["images"]
            check_images(images)
            if "evidence" in arrays:
                shape = images.shape[:3]
                if arrays["evidence"].size != -(-int(np.prod(shape)) // 8):
                    raise ValueError("`evidence` has not one bit for each pixel")
                bits = np.unpackbits(arrays["evidence"], count=int(np.prod(shape)))
                arrays["evidence"] = bits.reshape(shape).astype(bool)
            if "twin" in arrays:
                twin = images.copy()
                twin[arrays.pop("twin_rows")] = arrays["twin"]
                arrays["twin"] = twin
            missing = [key for key in REQUIRED if key not in arrays]
            if missing:
                raise ValueError(f"`{missing[0]}` is missing")
            return cls(**arrays, name=name)
        except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{path}: the parts of this cohort do not fit together ({error}); make it again "
                f"with {MAKER}"
            ) from error


def check_images(images: np.ndarray) -> None:
    """Raise `ValueError` for anything but uint8 images (N, H, W) or (N, H, W, 3)."""
    colour = images.ndim == 4 and images.shape[3] == 3
    if images.dtype != np.uint8 or not (images.ndim == 3 or colour):
        raise ValueError(
            f"images must be uint8 (N, H, W) or (N, H, W, 3), not {images.dtype} {images.shape}"
        )
