"""What an archive is made of, so that a run that was killed goes on, and another one does not."""

import hashlib
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from medpriv_lib.core.files import write_json
from medpriv_lib.data.archive.archive import FILE, chunk_folder
from medpriv_lib.data.archive.cutting import Piece, part_of
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.listing import Listing

LEAST, MOST = 250, 1000  # images of a chunk; where --chunk says nothing
CHUNK_BYTES = 2**26
PLAN = "plan.json"
OURS = {PLAN, FILE, "chunks"}


@dataclass(frozen=True)
class Plan:
    """How a listing becomes an archive: `each` files a chunk, every image cut out as `cut` says."""

    folder: Path
    listing: Listing
    cut: Cut
    each: int

    @property
    def chunks(self) -> int:
        """The number of chunks."""
        return -(-len(self.listing) // self.each)

    @property
    def folders(self) -> list[Path]:
        """The folders of all chunks."""
        return [chunk_folder(self.folder, number) for number in range(self.chunks)]

    def span(self, chunk: int) -> tuple[int, int]:
        """Return the first row of the listing in a chunk, and the row after its last."""
        return chunk * self.each, min((chunk + 1) * self.each, len(self.listing))

    def piece(self, chunk: int, sizes: dict[int, float] | None = None) -> Piece:
        """Return the work on one chunk; `sizes` as in `Piece`."""
        some = part_of(self.listing, *self.span(chunk))
        return Piece(chunk_folder(self.folder, chunk), some, self.cut, sizes or {})

    def begin(self) -> None:
        """Make the folder, or go on with what an earlier run of the same plan left there.

        Raises `ValueError` where the folder holds a complete archive, another plan, or anything
        else.
        """
        wanted = {"digest": self.digest(), "each": self.each, "size": self.cut.size}
        if self.folder.exists():
            self._refuse_others(wanted)
        (self.folder / "chunks").mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        write_json(self.folder / PLAN, wanted)

    def _refuse_others(self, wanted: dict) -> None:
        inside = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else {"?"}
        advice = "name a new folder"
        if inside - OURS:
            raise ValueError(f"{self.folder}: holds something else than an archive; {advice}")
        if FILE in inside:
            raise ValueError(f"{self.folder}: holds an archive already; {advice}")
        if PLAN in inside and json.loads((self.folder / PLAN).read_text()) != wanted:
            raise ValueError(
                f"{self.folder}: an archive of other files or settings was begun here; give the "
                f"same ones and the run goes on, or {advice}"
            )

    def digest(self) -> str:
        """Return what changes with any file, its size or time, its patient, and any setting."""
        listing = self.listing
        digest = hashlib.sha256()
        cut = self.cut
        settings = (cut.size, cut.localize, cut.colour, self.each)
        covered = [str(one) for one in listing.covered]
        digest.update(repr((settings, covered, listing.strict, listing.refuse_text)).encode())
        for row, file in enumerate(listing.files):
            facts = file.stat()
            told = (listing.patient[row], listing.eye[row], bool(listing.diseased[row]))
            line = (listing.name_of(row), facts.st_size, facts.st_mtime_ns, *map(str, told))
            digest.update(repr(line).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()

    def clear(self) -> None:
        """Remove what only a run that goes on needs."""
        for folder in self.folders:
            for pattern in ("cut.*", "again.*", "marks*", "prints.npy", "done.json"):
                for path in folder.glob(pattern):
                    path.unlink()


def usual_chunk(cut: Cut) -> int:
    """Return how many images a chunk has where nobody says: 1,000, or fewer of large ones."""
    return min(MOST, max(LEAST, CHUNK_BYTES // math.prod(cut.shape)))


def discard(folder: Path) -> None:
    """Remove an archive that is to be made anew; raises `ValueError` for any other folder."""
    if {path.name for path in folder.iterdir()} - OURS or not (folder / PLAN).exists():
        raise ValueError(f"{folder}: no archive of ours; name a new folder")
    shutil.rmtree(folder)
