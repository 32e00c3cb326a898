"""From files to an archive: the sources of `pipeline.prepare`, in chunks on the disk."""

import os
from collections.abc import Sequence
from typing import Any

from medpriv_lib.core.rectangle import Rectangle
from medpriv_lib.data.archive import prepare as data
from medpriv_lib.data.archive.archive import Archive
from medpriv_lib.pipeline import Note, silent
from medpriv_lib.pipeline.prepare import FEWER, listing_of


def prepare_archive(
    source: str | os.PathLike,
    folder: str | os.PathLike,
    kind: str = "manifest",
    *,
    keep_single: bool = False,
    labels: str | os.PathLike | None = None,
    salt: bytes | None = None,
    masks: Sequence[Rectangle] = (),
    allow_burned_in: bool = False,
    seed: int = 0,
    note: Note = silent,
    progress: bool | None = False,
    **how: Any,
) -> tuple[Archive, dict[str, Any]]:
    """Write the archive that a source makes into `folder`; return it, and the report.

    The source and its arguments are those of `pipeline.prepare.prepare`; `how` (size, localize,
    split_by, doubles, least_kept, colour, each, workers, scheduler) those of
    `data.archive.prepare.prepare_archive`. With DICOM files give the same `salt` to a run that goes
    on: names that nobody keeps are other names next time. Raises what both of them raise.
    """
    listing = listing_of(
        source,
        kind,
        seed=seed,
        labels=labels,
        salt=salt,
        masks=masks,
        allow_burned_in=allow_burned_in,
        note=note,
    )
    return data.prepare_archive(
        listing,
        folder,
        name="dicom" if kind == "dicom" else None,
        keep_single=keep_single or kind not in FEWER,
        seed=seed,
        progress=progress,
        **how,
    )
