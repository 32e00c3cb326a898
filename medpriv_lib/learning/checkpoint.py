"""One file that holds a whole training: tensors, random states and, in its JSON header, the
settings and the curve.

A single safetensors file replaced atomically cannot be half old and half new, whenever the process
dies.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from medpriv_lib.core.files import atomic_write

VERSION = 2
NAME = "checkpoint.safetensors"
AGAIN = "remove the file to train from the start"


class Kept(NamedTuple):
    """Where a training is kept: the `folder` of its checkpoint, which is written when `seconds`
    have passed since the last time, and at the end.
    """

    folder: str | os.PathLike
    seconds: float = 30.0


def named(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of one part of a training under the names `part.<name>`."""
    return {f"{part}.{name}": tensor for name, tensor in tensors.items()}


def named_parts(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of all parts of a training, each under its part's name."""
    return {key: one for part, held in parts.items() for key, one in named(part, held).items()}


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return what `named` put in, under the names of before."""
    start = part + "."
    return {name[len(start) :]: one for name, one in tensors.items() if name.startswith(start)}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's tensors under the names `<parameter number>.<slot>`."""
    state = optimiser.state_dict()["state"]
    return {
        f"{i}.{slot}": torch.as_tensor(value)
        for i, slots in state.items()
        for slot, value in slots.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` returned."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, slot = name.split(".", 1)
        parameter = parameters[int(number)]
        # a file keeps no memory layout, and a fused step needs the parameter's
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter).copy_(value)
        state.setdefault(int(number), {})[slot] = value
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )


def write_checkpoint(
    folder: Path, tensors: Mapping[str, Tensor], state: dict[str, Any], training: dict[str, Any]
) -> None:
    """Replace the checkpoint of `folder`, atomically; only its owner can read it.

    `state` is how far it went, `training` what has to be equal for another training to go on from
    here (data, settings, seed, …); both are written as JSON into the header.
    """
    ready = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    header = json.dumps({"version": VERSION, "training": training, "state": state})
    with atomic_write(Path(folder) / NAME, private=True) as temporary:
        save_file(ready, temporary, {"state": header})


def read_checkpoint(
    folder: Path, training: dict[str, Any] | None = None, device: str | torch.device = "cpu"
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the tensors and the state of the folder's checkpoint, None where there is none.

    Raises `ValueError` for a file that is damaged or of another version, and, where `training` is
    given, for the checkpoint of another one; the message names what differs.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            header = json.loads(file.metadata()["state"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:  # replaced since we looked
        raise
    except Exception as error:  # safetensors raises its own kinds on damaged files
        raise ValueError(f"{path}: not a readable checkpoint ({error}); {AGAIN}") from error
    if header.get("version") != VERSION:
        raise ValueError(
            f"{path}: a checkpoint of version {header.get('version')}, this library reads "
            f"{VERSION}; {AGAIN}"
        )
    wanted = json.loads(json.dumps(training or {}))  # tuples are lists in a file
    other = [key for key, value in wanted.items() if header["training"].get(key) != value]
    if other:
        raise ValueError(
            f"{path}: a checkpoint of a training with other {', '.join(other)}; choose another "
            f"folder, or {AGAIN}"
        )
    return tensors, header["state"]
