"""The two nouns that carry everything: `Cohort`, what is known before, and `Release`, what is shown
after."""

import hashlib
import json
import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from medpriv_lib.core.files import atomic_write

FORMAT_VERSION = 1
SPLITS = ("train", "val", "test")


def to_tensor(
    images: UInt8[np.ndarray, "n h w"], device: str | torch.device = "cpu"
) -> Float[Tensor, "n 1 h w"]:
    """Turn grey levels 0..255 into the float32 in [-1, 1] that every network here sees."""
    return (
        torch.from_numpy(np.ascontiguousarray(images))
        .to(device)
        .unsqueeze(1)
        .float()
        .div_(127.5)
        .sub_(1)
    )


def to_uint8(tensor: Float[Tensor, "n 1 h w"]) -> UInt8[np.ndarray, "n h w"]:
    """Turn values in [-1, 1] back into grey levels: rounded, and clipped to 0..255."""
    return (
        tensor.detach()
        .squeeze(1)
        .float()
        .add(1)
        .mul(127.5)
        .round()
        .clamp(0, 255)
        .to(torch.uint8)
        .cpu()
        .numpy()
    )


@dataclass(frozen=True, eq=False)
class Cohort:
    """Images of patients with a yes/no label each; what a method is given.

    `images` uint8 (N, H, W) grey levels; `patient` int64 (N,), an index into `patient_names`; `eye`
    (N,) "L", "R", ""; `diseased` bool (N,); `split` (N,) of "train", "val", "test"; `patient_names`
    (P,) neutral or original names; `evidence` bool (N, H, W) or None, the pixels that show the
    disease where that is known (synthetic images); `twin` uint8 (N, H, W) or None, the same eye and
    capture without the disease (equals the image where it is healthy). Raises `ValueError` for
    shapes, types or values that do not fit together."""

    images: UInt8[np.ndarray, "n h w"]
    patient: Int64[np.ndarray, " n"]
    eye: np.ndarray
    diseased: Bool[np.ndarray, " n"]
    split: np.ndarray
    patient_names: np.ndarray
    evidence: Bool[np.ndarray, "n h w"] | None = None
    twin: UInt8[np.ndarray, "n h w"] | None = None
    name: str = "cohort"

    def __post_init__(self) -> None:
        """Check everything once, so that no later step meets a broken cohort."""
        n = len(self.images)
        if n == 0:
            raise ValueError("the cohort holds no image; check the source folder and its table")
        if self.images.ndim != 3 or self.images.dtype != np.uint8:
            raise ValueError(
                f"images must be uint8 (N, H, W), not {self.images.dtype} {self.images.shape}"
            )
        for key in ("patient", "eye", "diseased", "split"):
            if getattr(self, key).shape != (n,):
                raise ValueError(
                    f"`{key}` has shape {getattr(self, key).shape}, expected ({n},): one entry per image"
                )
        if self.patient.dtype != np.int64 or self.diseased.dtype != bool:
            raise ValueError("`patient` must be int64 and `diseased` bool")
        if self.patient.min() < 0 or self.patient.max() >= len(self.patient_names):
            raise ValueError(
                f"unknown patient: indices must lie in 0..{len(self.patient_names) - 1}"
            )
        if not set(np.unique(self.split)) <= set(SPLITS):
            raise ValueError(
                f"`split` holds {sorted(set(np.unique(self.split)) - set(SPLITS))}; allowed are {SPLITS}"
            )
        if not set(np.unique(self.eye)) <= {"L", "R", ""}:
            raise ValueError('`eye` may hold "L", "R" and "" only')
        for key, dtype in (("evidence", np.bool_), ("twin", np.uint8)):
            value = getattr(self, key)
            if value is not None and (value.shape != self.images.shape or value.dtype != dtype):
                raise ValueError(
                    f"`{key}` must be {np.dtype(dtype).name} of the images' shape {self.images.shape}"
                )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def patients(self) -> int:
        """The number of patients that the identity recogniser has to tell apart."""
        return len(self.patient_names)

    def take(self, rows: np.ndarray) -> "Cohort":
        """Return the cohort of the chosen images: `rows` are indices or a mask; patients keep their
        numbers."""
        per_image = ("images", "patient", "eye", "diseased", "split", "evidence", "twin")
        return replace(
            self, **{k: getattr(self, k)[rows] for k in per_image if getattr(self, k) is not None}
        )

    def of(self, split: str) -> "Cohort":
        """Return the images of one split. Raises `ValueError` where that split is empty or
        unknown."""
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; choose from {SPLITS}")
        rows = np.flatnonzero(self.split == split)
        if len(rows) == 0:
            raise ValueError(f"the cohort has no {split} images; prepare it again with a split")
        return self.take(rows)

    def hash(self) -> str:
        """Return 16 hexadecimal digits that change when any image, patient, label, eye or split
        changes."""
        digest = hashlib.sha256(f"{self.images.shape}".encode())
        for key in ("images", "patient", "diseased"):
            digest.update(np.ascontiguousarray(getattr(self, key)).tobytes())
        for key in ("eye", "split"):
            digest.update("|".join(getattr(self, key).tolist()).encode())
        return digest.hexdigest()[:16]

    def save(self, path: str | os.PathLike) -> None:
        """Write the cohort as one compressed .npz, atomically."""
        arrays = {
            f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None
        }
        if self.evidence is not None:
            arrays["evidence"] = np.packbits(self.evidence)
        if self.twin is not None:  # most twins equal their image: keep the others
            rows = np.flatnonzero((self.twin != self.images).any(axis=(1, 2)))
            arrays |= {"twin": self.twin[rows], "twin_rows": rows}
        with atomic_write(path) as temporary:
            np.savez_compressed(
                temporary, version=np.int64(FORMAT_VERSION), kind="cohort", **arrays
            )

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Cohort":
        """Read a cohort written by `save`.

        Raises `FileNotFoundError` where there is no file, `ValueError` for a file that is no
        cohort, is damaged or is of another version."""
        arrays = _read_npz(path, "cohort", "`medpriv prepare`")
        if "evidence" in arrays:
            shape = arrays["images"].shape
            bits = np.unpackbits(arrays["evidence"], count=int(np.prod(shape)))
            arrays["evidence"] = bits.reshape(shape).astype(bool)
        if "twin" in arrays:
            twin = arrays["images"].copy()
            twin[arrays.pop("twin_rows")] = arrays["twin"]
            arrays["twin"] = twin
        arrays["name"] = str(arrays.get("name", Path(path).stem))
        return cls(**arrays)


@dataclass(frozen=True, eq=False)
class Release:
    """Privatised images; what a viewer is shown, and, kept apart, what they were made from.

    `images` uint8 (N, H, W); `source` int64 (N,), the row of the given cohort that each image
    stands for: the one to be hidden; `contributors` int64 (N, K), the patients whose images were
    averaged or whose identity code was used, the source patient included where that holds, -1 pads;
    K = 0 for methods without contributors (blur); `method` the method's name and parameters."""

    images: UInt8[np.ndarray, "n h w"]
    source: Int64[np.ndarray, " n"]
    contributors: Int64[np.ndarray, "n k"]
    method: str
    parameters: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        n = len(self.images)
        if self.images.ndim != 3 or self.images.dtype != np.uint8:
            raise ValueError(
                f"images must be uint8 (N, H, W), not {self.images.dtype} {self.images.shape}"
            )
        if self.source.shape != (n,) or self.source.dtype != np.int64:
            raise ValueError(f"`source` must be int64 ({n},)")
        if (
            self.contributors.ndim != 2
            or len(self.contributors) != n
            or self.contributors.dtype != np.int64
        ):
            raise ValueError(f"`contributors` must be int64 ({n}, K)")

    def __len__(self) -> int:
        """Return the number of released images."""
        return len(self.images)

    def save(self, path: str | os.PathLike) -> None:
        """Write the linkage key as .npz, atomically. It re-identifies the patients: never share
        it."""
        with atomic_write(path) as temporary:
            np.savez_compressed(
                temporary,
                version=np.int64(FORMAT_VERSION),
                kind="release",
                images=self.images,
                source=self.source,
                contributors=self.contributors,
                method=self.method,
                parameters=json.dumps(self.parameters),
            )

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Release":
        """Read a release written by `save`; errors as for `Cohort.load`."""
        arrays = _read_npz(path, "release", "`medpriv privatize`")
        arrays["method"] = str(arrays["method"])
        arrays["parameters"] = json.loads(str(arrays["parameters"]))
        return cls(**arrays)


def _read_npz(path: str | os.PathLike, kind: str, maker: str) -> dict[str, np.ndarray]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such {kind} file; make one with {maker}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception as error:  # np.load raises a dozen kinds on damaged zip files
        raise ValueError(
            f"{path}: not a readable {kind} file ({error}); make it again with {maker}"
        ) from error
    if str(arrays.pop("kind", "")) != kind:
        raise ValueError(f"{path}: this is no {kind} file; make one with {maker}")
    version = int(arrays.pop("version", 0))
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path}: {kind} file of version {version}, this library reads {FORMAT_VERSION}; "
            f"make it again with {maker}"
        )
    return arrays
