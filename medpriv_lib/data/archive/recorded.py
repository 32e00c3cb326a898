"""What came of the files of a chunk, as a JSON file beside the images that were cut out of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medpriv_lib.core.files import atomic_write, sha256_of, write_json
from medpriv_lib.core.pixels import Images
from medpriv_lib.data.cut_out import Part
from medpriv_lib.data.eyes.examine import Finding
from medpriv_lib.data.eyes.eye import Eye

PLAIN = ("note", "rows", "filled", "side", "levels", "bad")  # fields that JSON keeps as they are


@dataclass
class Recorded(Part):
    """A part whose image lies in a file: `place` is its row there, -1 where there is none, and
    `file` the name of the files ("cut", or "again" after a second look).
    """

    place: int = -1
    file: str = ""

    @property
    def there(self) -> bool:
        """Whether there is an image."""
        return self.place >= 0


def write_parts(folder: Path, name: str, parts: Sequence[Part]) -> None:
    """Write NAME.npy, the images that came of the parts, what is known of each as NAME.json, and
    NAME.evidence.npy and NAME.twin.npy where the truth is known.

    The JSON file comes last: where it is, all is there, and it holds the digest of the images.
    """
    there = [part for part in parts if part.image is not None]
    images = [part.image for part in there if part.image is not None]
    write_array(folder / f"{name}.npy", np.stack(images) if images else np.empty(0, np.uint8))
    for key in there[0].truth if there else ():
        write_array(folder / f"{name}.{key}.npy", np.stack([part.truth[key] for part in there]))
    place, lines = 0, []
    for part in parts:
        lines.append(_line(part) | {"place": place if part.there else -1})
        place += part.there
    write_json(
        folder / f"{name}.json", {"digest": sha256_of(folder / f"{name}.npy"), "parts": lines}
    )


def read_parts(folder: Path, name: str) -> list[Recorded]:
    """Return what `write_parts` wrote, without the images.

    Raises `ValueError` where the images are not those that were written together with it.
    """
    told = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    if told["digest"] != sha256_of(folder / f"{name}.npy"):
        raise ValueError(
            f"{folder}: {name}.npy is not what was written with {name}.json; remove this folder, "
            "and run the same command again"
        )
    return [_part(line, name) for line in told["parts"]]


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one .npy file, atomically; only its owner can read it."""
    with atomic_write(path, private=True) as temporary, open(temporary, "wb") as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def mapped(path: Path) -> Images:
    """Return the array of a .npy file, which stays on the disk until a part of it is read."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _line(part: Part) -> dict[str, Any]:
    found = part.finding
    line: dict[str, Any] = {key: getattr(part, key) for key in PLAIN} | {"shape": list(part.shape)}
    if found is not None:
        eye = None if found.eye is None else [float(v) for v in asdict(found.eye).values()]
        line["finding"] = [eye, float(found.score), list(found.missing), found.second_look]
    return line


def _part(line: dict[str, Any], name: str) -> Recorded:
    finding = None
    if "finding" in line:
        eye, score, missing, second = line["finding"]
        finding = Finding(None if eye is None else Eye(*eye), score, tuple(missing), second)
    plain = {key: line[key] for key in PLAIN}
    return Recorded(
        None, finding, shape=tuple(line["shape"]), place=line["place"], file=name, **plain
    )
