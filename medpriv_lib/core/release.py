"""What is shown after a method ran, and, kept apart, what it was made from."""

import hashlib
import json
import os
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from medpriv_lib.core.cohort import Cohort, check_images
from medpriv_lib.core.npz import read_npz, write_npz

VERSION = 2
MAKER = "`medpriv privatize`"


@dataclass(frozen=True, eq=False)
class Given:
    """Which images a method was given, without their pixels: what a release is followed back by.

    `row` int64 (G,) their rows in the cohort as it was prepared; `patient` (G,) the patients'
    names; `diseased` bool (G,) the labels that the method was told; `pixels` 16 hexadecimal digits
    that change when any pixel of these images changes.
    """

    row: Int64[np.ndarray, " g"]
    patient: np.ndarray
    diseased: Bool[np.ndarray, " g"]
    pixels: str

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        for key, kind in (("row", "i"), ("patient", "U"), ("diseased", "b")):
            value = getattr(self, key)
            if value.shape != (len(self.row),) or value.dtype.kind != kind:
                raise ValueError(f"`{key}` of the given images must be ({len(self.row)},)")

    @classmethod
    def of(cls, cohort: Cohort) -> "Given":
        """Return what there is to know of these images."""
        names = cohort.patient_names[cohort.patient].astype(np.str_)
        return cls(cohort.row, names, cohort.diseased, _digest(cohort.images))

    def rows_in(self, cohort: Cohort) -> Int64[np.ndarray, " g"]:
        """Return which rows of `cohort` these images are.

        Raises `ValueError` where any of them is not there, or has other pixels or another patient:
        an attack on a release needs the originals that the release was made from.
        """
        order = np.argsort(cohort.row, kind="stable")
        place = np.searchsorted(cohort.row, self.row, sorter=order)
        rows = order[np.minimum(place, len(order) - 1)]
        if not np.array_equal(cohort.row[rows], self.row):
            raise ValueError("some images that the release was made from are not in this cohort")
        if _digest(cohort.images[rows]) != self.pixels:
            raise ValueError("the release was made from other images than this cohort holds")
        if not np.array_equal(
            cohort.patient_names[cohort.patient[rows]].astype(np.str_), self.patient
        ):
            raise ValueError("this cohort gives the images of the release to other patients")
        return rows.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Release:
    """Privatised images; what a viewer is shown, and, kept apart, what they were made from.

    `images` uint8, grey (N, H, W) or colour (N, H, W, 3); `source` int64 (N,), the row of the given
    images that each image stands for: the one to be hidden; `contributors` int64 (N, K), the
    patients whose images were averaged or whose identity code was used, the source patient included
    where that holds, -1 pads; K = 0 for methods without contributors (blur). `method` and
    `parameters` are the name and the settings by which `privatizers.registry` makes the method
    again; `given` the images that it was made from, None where nobody recorded them.
    """

    images: UInt8[np.ndarray, "n h w"]
    source: Int64[np.ndarray, " n"]
    contributors: Int64[np.ndarray, "n k"]
    method: str
    parameters: dict = field(default_factory=dict)
    given: Given | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        n, given = len(self.images), self.given
        check_images(self.images)
        if self.source.shape != (n,) or self.source.dtype != np.int64:
            raise ValueError(f"`source` must be int64 ({n},)")
        fits = self.contributors.ndim == 2 and len(self.contributors) == n
        if not fits or self.contributors.dtype != np.int64:
            raise ValueError(f"`contributors` must be int64 ({n}, K)")
        if (
            given is not None
            and n
            and not 0 <= self.source.min() <= self.source.max() < len(given.row)
        ):
            raise ValueError(f"`source` must lie in 0..{len(given.row) - 1}, the images given")

    def __len__(self) -> int:
        """Return the number of released images."""
        return len(self.images)

    def rows_in(self, cohort: Cohort) -> Int64[np.ndarray, " n"]:
        """Return for each released image the row of `cohort` that it stands for.

        Raises `ValueError` as `Given.rows_in`, and where nobody recorded what was given.
        """
        if self.given is None:
            raise ValueError(
                "this release does not say which images it was made from; make it again"
            )
        return self.given.rows_in(cohort)[self.source]

    def save(self, path: str | os.PathLike) -> None:
        """Write the linkage key as .npz, atomically. It names the patients: never share it."""
        arrays: dict[str, object] = {
            "images": self.images, "source": self.source, "contributors": self.contributors,
            "method": self.method, "parameters": json.dumps(self.parameters),
        }  # fmt: skip
        if self.given is not None:
            arrays |= {f"given_{key}": value for key, value in vars(self.given).items()}
        write_npz(path, "release", VERSION, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Release":
        """Read a release written by `save`; errors as for `Cohort.load`."""
        arrays = read_npz(path, "release", VERSION, MAKER)
        try:
            given = None
            if "given_row" in arrays:
                parts = {key: arrays.pop(f"given_{key}") for key in ("row", "patient", "diseased")}
                given = Given(**parts, pixels=str(arrays.pop("given_pixels")))
            method, parameters = (
                str(arrays.pop("method")),
                json.loads(str(arrays.pop("parameters"))),
            )
            if not isinstance(parameters, dict):
                raise TypeError("the parameters are no table")
            return cls(**arrays, method=method, parameters=parameters, given=given)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{path}: the parts of this release do not fit together ({error}); make it again "
                f"with {MAKER}"
            ) from error


def _digest(images: np.ndarray) -> str:
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()[:16]
