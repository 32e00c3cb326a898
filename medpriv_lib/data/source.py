"""Where images come from: a source of one kind becomes a listing of its files."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from medpriv_lib.core.kinds import require_kind
from medpriv_lib.core.printable import printable
from medpriv_lib.core.rectangle import Rectangle
from medpriv_lib.core.salt import fresh_salt
from medpriv_lib.data.dicom.folder import list_dicom
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.synthetic.writer import is_unfinished
from medpriv_lib.data.warsaw import BadSet, read_warsaw

KINDS = ("synthetic", "warsaw", "manifest", "dicom")
FEWER = ("manifest", "dicom")  # kinds whose patients with one image are refused


@dataclass(frozen=True)
class Source:
    """A folder or a table of images, and what is known about it.

    `kind` "manifest" (a CSV with file,patient,label[,eye], or a folder with one), "warsaw" (the
    licensed set), "synthetic" (drawn into `path` where nothing is there) or "dicom" (a folder of
    DICOM files with the table `labels`, by PatientID, file or SOPInstanceUID; patients get neutral
    names by `salt`, or by a fresh one that nobody keeps, and images with text burned in are left
    out unless `masks` cover it or `allow_burned_in` accepts it). `masks` are painted black in every
    image of any kind. Raises `ValueError` for an unknown kind, and for what does not belong to it.
    """

    path: str | os.PathLike
    kind: str = "manifest"
    labels: str | os.PathLike | None = None
    salt: bytes | None = None
    masks: tuple[Rectangle, ...] = ()
    allow_burned_in: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not belong together."""
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; choose from {', '.join(KINDS)}")
        if self.kind == "dicom":
            if self.labels is None:
                raise ValueError("DICOM files need a table of labels; name it by labels (--labels)")
        elif self.labels is not None or self.allow_burned_in:
            raise ValueError(
                f"labels and allow_burned_in belong to the kind dicom, not to {self.kind}"
            )

    @property
    def name(self) -> str | None:
        """The name of the cohort, None for that of the folder; a patient may be called so."""
        return "dicom" if self.kind == "dicom" else None

    def listing(self, seed: int, note: Callable[[str], object]) -> Listing:
        """Return the files and what is known of them; `seed` that of synthetic eyes, which `note`
        is told of. Raises `ValueError` and `FileNotFoundError` for what cannot be read.
        """
        if self.kind == "dicom":
            assert self.labels is not None  # checked above
            return list_dicom(
                self.path,
                self.labels,
                self.salt or fresh_salt(),
                masks=self.masks,
                allow_burned_in=self.allow_burned_in,
            )
        return replace(self._read(seed, note), covered=self.masks)

    def _read(self, seed: int, note: Callable[[str], object]) -> Listing:
        path = Path(self.path)
        if self.kind == "manifest":
            return read_manifest(path)
        if self.kind == "synthetic" and (not path.exists() or is_unfinished(path)):
            from medpriv_lib.data.synthetic import SEED, write_synthetic

            if not path.absolute().parent.is_dir():
                raise FileNotFoundError(f"the folder {path.parent} does not exist; create it first")
            note(f"drawing synthetic eyes into {path}")
            write_synthetic(path, seed=SEED + seed)
        try:
            return read_warsaw(path)
        except (FileNotFoundError, BadSet) as error:
            if self.kind == "synthetic" and path.is_dir() and not (path / "truth").is_dir():
                raise FileNotFoundError(
                    f"{printable(path)}: holds no synthetic set; name a new folder, "
                    "and the eyes are drawn there"
                ) from error
            raise


def source_of(source: str | os.PathLike | Source) -> Source:
    """Return a source as it is, and a path as that of a manifest."""
    require_kind(source, (str, os.PathLike, Source), "source", "prepare")
    return source if isinstance(source, Source) else Source(source)
