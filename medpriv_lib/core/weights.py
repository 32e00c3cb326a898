"""Trained weights on disk: tensors as safetensors, and beside them a card that says where they come
from.

The two files are `NAME.safetensors` and `NAME.json`. The card names the SHA-256 of the tensors'
file and one of itself, so that a file that was changed, cut short, or written by a killed process,
and a card in which a name or the cohort's hash was edited, are noticed when they are loaded. The
sums are no signature: whoever edits on purpose can make them again. Equal trainings give equal
files: no time, and nothing of the machine but the versions, is written.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import atomic_write, sha256_of
from medpriv_lib.core.provenance import versions

FORMAT_VERSION = 2
FOLDER = Path(__file__).parents[1] / "weights"
DEFAULT = FOLDER / "confounded"  # of the packaged cohort that is the default
# what the maker of the weights tells, and what `save` adds
TOLD = {
    "kind": str,
    "data_hash": str,
    "config": dict,
    "seed": int,
    "command": str,
    "metrics": dict,
    "curve": dict,
}
ADDED = {"format": int, "versions": dict, "sha256": str, "checksum": str}
PRIVATE = (
    "these weights know the patients whom they were trained on, and may hold their names: keep "
    "them with the key, and never share them"
)
SHOWN = 160  # characters of another library's message
REMEDY = "train them again with `medpriv fit`, or take the shipped ones by leaving out --weights"


def save(path: str | os.PathLike, tensors: Mapping[str, Tensor], card: dict[str, Any]) -> Path:
    """Write tensors and card as a pair and return the path of the tensors' file.

    `path` is `NAME` or `NAME.safetensors`. The card must hold `kind` (what the weights are),
    `data_hash` (of the cohort trained on), `config`, `seed`, `command`, `metrics` and `curve`;
    versions and the checksums are added. Both files are complete before the first is moved to its
    place, so a full disk leaves the old pair; a kill between the two moves leaves a pair that
    `load` refuses. Raises `ValueError` for an incomplete card and for tensors that are not finite.
    """
    tensor_path, card_path = _pair(path)
    _check_card(card, TOLD, tensor_path)
    _check_finite(tensors, tensor_path)
    try:
        json.dumps(card, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{card_path}: the card is no JSON ({error}); use finite plain numbers"
        ) from error
    ready = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with (
        atomic_write(card_path, private=True) as card_file,
        atomic_write(tensor_path, private=True) as tensor_file,
    ):
        # one entry: the order of several is random, and equal weights shall be equal files
        save_file(ready, tensor_file, metadata={"kind": card["kind"]})
        added = {"versions": versions("safetensors"), "sha256": sha256_of(tensor_file)}
        text = json.dumps(stamped(card | added), indent=1, sort_keys=True, allow_nan=False)
        card_file.write_text(text + "\n", encoding="utf-8")
    return tensor_path


def stamped(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the card with the format's version and the checksum over everything else in it."""
    written = json.loads(json.dumps({**card, "format": FORMAT_VERSION}))  # as a file gives it back
    return written | {"checksum": _checksum(written)}


def load(
    path: str | os.PathLike, kind: str | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors (on the CPU, as stored) and the card of weights written by `save`.

    Raises `FileNotFoundError` where one of the two files is missing, `ValueError` for a card that
    is damaged, edited, incomplete or of another `kind` or version, for a tensors' file that is not
    the one the card describes, and for NaN or infinity.
    """
    tensor_path, card_path = _pair(path)
    for part, what in ((tensor_path, "weights"), (card_path, "card of the weights")):
        if not part.is_file():
            raise FileNotFoundError(f"{part}: no such {what} file; {_remedy(part)}")
    card = read_card(card_path)
    if kind is not None and card["kind"] != kind:
        raise ValueError(
            f"{card_path}: these weights are of kind {card['kind']!r}, not {kind!r}; name another "
            "file"
        )
    found = sha256_of(tensor_path)
    if found != card["sha256"]:
        raise ValueError(
            f"{tensor_path}: wrong or tampered weights: the SHA-256 is {found[:12]}…, the card "
            f"says {card['sha256'][:12]}…; {REMEDY}"
        )
    try:
        tensors = load_file(tensor_path)
    except SafetensorError as error:
        raise ValueError(
            f"{tensor_path}: not a readable safetensors file ({error}); {REMEDY}"
        ) from error
    _check_finite(tensors, tensor_path)
    return tensors, card


def _remedy(missing: Path) -> str:
    """Return what to do where a file of weights is missing."""
    if any(missing.parent.glob("*-in-training")):
        return (
            f"the training in {missing.parent} was not finished: give the same `medpriv fit` once "
            "more, and it goes on"
        )
    return REMEDY


def read_card(path: str | os.PathLike) -> dict[str, Any]:
    """Return the card of weights without loading them; `path` is the weights' or the card's. Errors
    as for `load`.
    """
    _, path = _pair(path)
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except NotADirectoryError:
        raise ValueError(f"{path.parent}: is a file; name the folder of the weights") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such card of weights; {_remedy(path)}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a readable card ({error}); {REMEDY}") from error
    version = card.get("format") if isinstance(card, dict) else None
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise ValueError(
            f"{path}: a card of version {version}, this library reads {FORMAT_VERSION}; {REMEDY}"
        )
    checked = _check_card(card, TOLD | ADDED, path)
    if checked["checksum"] != _checksum(checked):
        raise ValueError(f"{path}: the card was changed after the training; {REMEDY}")
    return checked


@contextlib.contextmanager
def fitting(path: str | os.PathLike) -> Iterator[None]:
    """Turn what goes wrong while networks are filled with these weights into one line that names
    the file and the remedy.

    Missing tensors, wrong shapes and a card of other networks show as many kinds of errors there.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        what = what if len(what) <= SHOWN else what[: SHOWN - 1] + "…"
        raise ValueError(
            f"{path}: the parts of these weights do not fit together ({what}); {REMEDY}"
        ) from error


def require_cohort(card: Mapping[str, Any], cohort: Cohort) -> None:
    """Raise `ValueError` where the weights were trained on another cohort than this one."""
    if card["data_hash"] != cohort.hash():
        raise ValueError(
            f"the weights ({card['kind']}) were trained on another cohort (data hash "
            f"{card['data_hash']}, yours is {cohort.hash()}): train on yours with `medpriv fit "
            "--cohort FILE --out WEIGHTS` and name them with --weights WEIGHTS"
        )


def shipped(name: str) -> Path:
    """Return the path of weights that come with the package: of no cohort, or of the default one.
    `FileNotFoundError` names those there are.
    """
    paths = [folder / f"{name}.safetensors" for folder in (FOLDER, DEFAULT)]
    for path in paths:
        if path.is_file():
            return path
    files = [file for path in paths for file in path.parent.glob("*.safetensors")]
    there = ", ".join(sorted(file.stem for file in files)) or "none"
    raise FileNotFoundError(
        f"{paths[0]}: no shipped weights of this name (there are: {there}); install medpriv again"
    )


def _pair(path: str | os.PathLike) -> tuple[Path, Path]:
    path = Path(path)
    if path.suffix in (".safetensors", ".json"):
        path = path.with_suffix("")
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")


def _checksum(card: Mapping[str, Any]) -> str:
    told = {key: value for key, value in card.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _check_card(card: object, schema: dict[str, type], path: Path) -> dict[str, Any]:
    if not isinstance(card, dict):
        raise ValueError(f"{path}: a card is a JSON object; {REMEDY}")
    wrong = [
        key
        for key, kind in schema.items()
        if not isinstance(card.get(key), kind) or isinstance(card[key], bool)
    ]
    if wrong:
        raise ValueError(
            f"{path}: the card lacks, or holds as something else, {', '.join(wrong)}; {REMEDY}"
        )
    return card


def _check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    wrong = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if wrong:
        raise ValueError(f"{path}: NaN or infinite values in {', '.join(wrong[:3])}; {REMEDY}")
