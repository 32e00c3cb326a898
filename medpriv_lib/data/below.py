"""Files below a folder, found by a name of any Unicode form; never outside of it, nor by a link."""

import unicodedata
from pathlib import Path

from medpriv_lib.core.printable import printable


class Escapes(ValueError):
    """A name that leads out of the folder; the message is the reason and the remedy, without the
    name.
    """


class Below:
    """Finds files below `root` by their names; each folder is listed once at most.

    A name may be composed or decomposed (a macOS disk gives `e` and an accent where a table has
    `é`); where a folder holds both, the exact spelling is taken, and without one the name is
    refused.
    """

    def __init__(self, root: Path) -> None:
        """Look below `root`."""
        self.root = root
        self._inside = root.resolve()
        self._spellings: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str) -> Path | None:
        """Return the file of that name as it is spelled on the disk, or None where there is none.

        Raises `Escapes` for an absolute path and for one that ends outside the root, also through a
        link; `OSError` and `ValueError` for what is no file name.
        """
        relative = Path(name)
        if relative.is_absolute() or name[1:2] == ":":
            self._refuse_absolute(relative)
        file = self.root
        for part in relative.parts:
            file = file / self._spelled(file, part)
        if not self.holds(file):
            raise self._outside()
        return file if file.is_file() else None

    def holds(self, file: Path) -> bool:
        """Say whether a path ends inside the root once its links are followed."""
        return file.resolve().is_relative_to(self._inside)

    def _refuse_absolute(self, path: Path) -> None:
        if not self.holds(path):
            raise self._outside()
        short = path.resolve().relative_to(self._inside).as_posix()
        raise Escapes(
            "is an absolute path, which holds on one machine only; name the image from the folder "
            "of "
            f"the table: {printable(short)!r}"
        )

    def _outside(self) -> Escapes:
        return Escapes(
            f"is a path that escapes the folder {printable(self.root, 1000)}; copy the image below "
            "the folder and name it from there"
        )

    def _spelled(self, folder: Path, part: str) -> str:
        """Return how the disk spells one part of a path."""
        if part == ".." or part.isascii() or (folder / part).exists() or not folder.is_dir():
            return part
        if folder not in self._spellings:
            entries = self._spellings[folder] = {}
            for entry in folder.iterdir():
                entries.setdefault(unicodedata.normalize("NFC", entry.name), []).append(entry.name)
        found = self._spellings[folder].get(unicodedata.normalize("NFC", part), [part])
        if len(found) > 1:
            raise ValueError(f"{len(found)} files have that name in other Unicode forms")
        return found[0]
