"""One file that holds a whole training: tensors, random states and, in its JSON header, the
settings and the curve.

A single safetensors file replaced atomically cannot be half old and half new, whenever the process
dies.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from medpriv_lib.core.files import atomic_write

VERSION = 1
NAME = "checkpoint.safetensors"


def optimiser_tensors(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """Return the optimiser's tensors under the names `prefix.<parameter number>.<slot>`."""
    state = optimiser.state_dict()["state"]
    return {
        f"{prefix}.{i}.{slot}": torch.as_tensor(value)
        for i, slots in state.items()
        for slot, value in slots.items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], prefix: str
) -> None:
    """Put back what `optimiser_tensors` returned."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(prefix + "."):
            number, slot = name[len(prefix) + 1 :].split(".", 1)
            parameter = parameters[int(number)]
            if (
                value.shape == parameter.shape
            ):  # a file keeps no memory layout, and a fused step needs the parameter's
                value = torch.empty_like(parameter).copy_(value)
            state.setdefault(int(number), {})[slot] = value
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )


def write_checkpoint(folder: Path, tensors: dict[str, Tensor], state: dict) -> None:
    """Replace the checkpoint of `folder`, atomically; `state` is written as JSON into the
    header.
    """
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic_write(Path(folder) / NAME) as temporary:
        save_file(tensors, temporary, {"state": json.dumps({"version": VERSION, **state})})


def read_checkpoint(
    folder: Path, device: str | torch.device = "cpu"
) -> tuple[dict[str, Tensor], dict] | None:
    """Return the tensors and the state of the folder's checkpoint, None where there is none.

    Raises `ValueError` for a file that is damaged or of another version.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            state = json.loads(file.metadata()["state"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors raises its own kinds on damaged files
        raise ValueError(
            f"{path}: not a readable checkpoint ({error}); remove it to train from the start"
        ) from error
    if state["version"] != VERSION:
        raise ValueError(
            f"{path}: checkpoint of version {state['version']}, this library reads {VERSION}; remove it "
            "to train from the start"
        )
    return tensors, state
