"""The work on one chunk of an archive: its files are cut out, some looked at again, and settled.

Each of the three leaves a marker when it is complete, and is not done again where that marker is:
a killed run goes on where it was. All of it runs in processes of their own, or on other machines
that see the same folders.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medpriv_lib.core.files import sha256_of, write_json
from medpriv_lib.data.archive.recorded import Recorded, mapped, write_array, write_parts
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.common_marks import CommonMarks
from medpriv_lib.data.cut_out import CutOut
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.people import prints_of

TRUTH = ("evidence", "twin")


@dataclass(frozen=True)
class Piece:
    """One chunk to cut: its `folder`, the `listing` of its files alone, and how each is `cut`;
    `sizes` are the radii of the irises that are looked for again, in px, by the row of the listing.
    """

    folder: Path
    listing: Listing
    cut: Cut
    sizes: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """What of one chunk is kept: `parts`, its images in order, each of this `shape`."""

    folder: Path
    parts: tuple[Recorded, ...]
    shape: tuple[int, ...]


def part_of(listing: Listing, start: int, stop: int) -> Listing:
    """Return the listing of some files alone."""
    some = slice(start, stop)
    return replace(
        listing,
        files=listing.files[some],
        patient=listing.patient[some],
        eye=listing.eye[some],
        diseased=listing.diseased[some],
        visit=None if listing.visit is None else listing.visit[some],
        table_row=listing.table_row[some],
        left_out=(),
        counts={},
    )


def cut_chunk(piece: Piece) -> None:
    """Cut every file of a chunk out: cut.npy, cut.json, and the lines that images share."""
    if (piece.folder / "cut.json").exists():
        return
    piece.folder.mkdir(exist_ok=True)
    marks = CommonMarks()
    cut = CutOut(piece.listing, piece.cut, marks)
    parts = [cut.cut(row) for row in range(len(piece.listing))]
    shapes = {}
    for number, (shape, (images, counts)) in enumerate(marks.counts().items()):
        write_array(piece.folder / f"marks-{number}.npy", counts)
        shapes[number] = [*shape, images]
    write_json(piece.folder / "marks.json", shapes)
    write_parts(piece.folder, "cut", parts)


def look_again(piece: Piece) -> None:
    """Look for irises of known size in some files of a chunk: again.npy, again.json."""
    if (piece.folder / "again.json").exists():
        return
    cut = CutOut(piece.listing, piece.cut, CommonMarks())
    write_parts(piece.folder, "again", [cut.cut(row, r) for row, r in piece.sizes.items()])


def settle(kept: Kept) -> list[bytes]:
    """Put the images that are kept into images.npy, and return what `prints_of` says of them."""
    done, prints = kept.folder / "done.json", kept.folder / "prints.npy"
    wanted = [[part.file, part.place] for part in kept.parts]
    if not done.exists() or json.loads(done.read_text())["parts"] != wanted:
        images = gathered(kept, "")
        write_array(kept.folder / "images.npy", images)
        for key in TRUTH:
            if (kept.folder / f"cut.{key}.npy").exists():
                write_array(kept.folder / f"{key}.npy", gathered(kept, f".{key}"))
        digests = np.frombuffer(b"".join(prints_of(images)), np.uint8).reshape(-1, 16)
        write_array(prints, digests)
        write_json(done, {"parts": wanted, "digest": sha256_of(kept.folder / "images.npy")})
    return [row.tobytes() for row in np.load(prints, allow_pickle=False)]


def gathered(kept: Kept, what: str) -> np.ndarray:
    """Return the kept images of a chunk, or with `what` ".evidence", ".twin" their truth."""
    if not kept.parts:
        return np.empty((0, *kept.shape), np.uint8)
    files = {part.file for part in kept.parts}
    arrays = {name: mapped(kept.folder / f"{name}{what}.npy") for name in files}
    return np.stack([arrays[part.file][part.place] for part in kept.parts])


def marks_of(folders: Sequence[Path]) -> CommonMarks:
    """Return what all chunks counted of the lines that their images share."""
    marks = CommonMarks()
    for folder in folders:
        shapes = json.loads((folder / "marks.json").read_text())
        for number, (height, width, images) in shapes.items():
            counts = np.load(folder / f"marks-{number}.npy", allow_pickle=False)
            marks.join((height, width), images, counts)
    return marks
