"""From files to an archive: the sources of `pipeline.prepare`, in chunks on the disk."""

import os
from typing import Any

from medpriv_lib.data.archive import prepare as data
from medpriv_lib.data.archive.archive import Archive
from medpriv_lib.data.choices import STRICT, USUAL_CUT, USUAL_SPLIT, Care, Cut, Split
from medpriv_lib.data.source import Source, source_of
from medpriv_lib.pipeline import Note, silent
from medpriv_lib.pipeline.prepare import care_for


def prepare_archive(
    source: str | os.PathLike | Source,
    folder: str | os.PathLike,
    cut: Cut = USUAL_CUT,
    split: Split = USUAL_SPLIT,
    care: Care = STRICT,
    *,
    note: Note = silent,
    progress: bool | None = False,
    **spread: Any,
) -> tuple[Archive, dict[str, Any]]:
    """Write the archive that a source makes into `folder`; return it, and the report.

    The arguments are those of `pipeline.prepare.prepare`; `spread` (each, workers, scheduler) those
    of `data.archive.prepare.prepare_archive`. With DICOM files give the source of a run that goes
    on the same `salt`: names that nobody keeps are other names next time. Raises what both of them
    raise.
    """
    source = source_of(source)
    return data.prepare_archive(
        source.listing(split.seed, note),
        folder,
        cut,
        split,
        care_for(source, care),
        name=source.name,
        progress=progress,
        **spread,
    )
