"""Train a recogniser on original images, and read its logits."""

import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.precision import native_bfloat16
from medpriv_lib.learning.augment import augment
from medpriv_lib.recognition.networks import Recogniser

Target = Literal["identity", "disease"]
Progress = Callable[[int, int, dict], None]


@dataclass(frozen=True)
class Settings:
    """How a recogniser is trained; the same settings, seed, data and machine give the same network.

    `rate` is the peak of a one-cycle learning rate (linear up over the first `warmup` of the steps,
    cosine down to 0); `patience` epochs without a better validation loss end the training;
    `balanced` weighs classes by inverse frequency; `strength` scales the augmentation (0: none);
    `dropout` is that of the dense layer of 32; `half` allows bfloat16 autocast in training where
    the processor has it (2 to 3 times faster; judging never uses it).
    """

    epochs: int = 40
    batch: int = 64
    rate: float = 4e-3
    decay: float = 1e-2
    warmup: float = 0.2
    smoothing: float = 0.05
    patience: int = 15
    balanced: bool = False
    strength: float = 1.0
    dropout: float = 0.5
    half: bool = True


DEFAULTS = {
    # with dropout .5 the 32 units do not learn to tell 115 patients apart: 15 % of the validation
    # images after 60 epochs at strength 1; at 32x32 and 20 epochs 2 % with it, 72 % without, 86 %
    # at half the strength and batch
    "identity": Settings(epochs=60, batch=32, strength=0.5, dropout=0.0),
    "disease": Settings(epochs=40, balanced=True),
}


def fit_recogniser(
    train: Cohort,
    val: Cohort | None,
    target: Target,
    *,
    seed: int,
    epochs: int | None = None,
    device: str | torch.device | None = None,
    progress: Progress | bool = True,
    settings: Settings | None = None,
    resume: str | os.PathLike | None = None,
    checkpoint_seconds: float = 30.0,
) -> tuple[Recogniser, dict]:
    """Train a recogniser of the patient ("identity") or of the disease; return it, ready to judge,
    with its curve.

    The state with the lowest validation loss is kept; without `val` all epochs run and the last
    state is kept. The curve holds one list per quantity (`train_loss`, `val_loss`, `val_accuracy`),
    one entry per epoch, `best`, the epoch kept, and `seconds`, the time of all epochs, those before
    a kill included. `progress` True shows a bar on a terminal, False none; a function is called as
    `progress(epoch, epochs, row)` after each epoch with the epoch's quantities. With `resume`, a
    folder, the state is written there every `checkpoint_seconds` and at the end; a killed training
    that is started again with the same arguments ends at the same weights, bit for bit on the same
    machine and threads. Raises `ValueError` where the images are not square multiples of 16, where
    the disease has one label only, and where the folder holds the training of other data or
    settings.
    """
    _check(train, val, target)
    settings = settings or DEFAULTS[target]
    if epochs is not None:
        settings = Settings(**(asdict(settings) | {"epochs": epochs}))
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    torch.set_flush_denormal(True)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        classes = train.patients if target == "identity" else 2
        network = Recogniser(classes, train.images.shape[1]).to(
            device, memory_format=torch.channels_last
        )
        network.dropout.p = settings.dropout
        run = _Run(network, settings, _labels(train, target).to(device), seed)
        checkpoint = None if resume is None else Path(resume) / "training.safetensors"
        if checkpoint is not None:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            run.fingerprint = _fingerprint(train, val, target, seed, settings)
            run.restore(checkpoint)
        _epochs(run, train, val, target, progress, checkpoint, checkpoint_seconds)
    network.load_state_dict(run.best)
    return network.eval(), run.curve | {"best": run.best_epoch, "seconds": round(run.seconds, 1)}


@torch.no_grad()
def logits(
    network: Recogniser, images: UInt8[np.ndarray, "n h w"], batch: int = 32
) -> Float[Tensor, "n classes"]:
    """Return the logits (float32, on the CPU) of uint8 images; evaluation mode, never under
    autocast.
    """
    if (
        images.ndim != 3
        or images.dtype != np.uint8
        or images.shape[1:] != (network.size, network.size)
    ):
        raise ValueError(
            f"this recogniser reads uint8 images (N, {network.size}, {network.size}), "
            f"not {images.dtype} {images.shape}; prepare them with --size {network.size}"
        )
    device = next(network.parameters()).device
    judge = network.merged()
    with torch.autocast(device.type, enabled=False):
        parts = [
            judge(
                to_tensor(images[i : i + batch], device).contiguous(
                    memory_format=torch.channels_last
                )
            )
            for i in range(0, len(images), batch)
        ]  # small batches stay in the processor's cache
    return torch.cat(parts).cpu() if parts else torch.zeros(0, network.classes)


class _Run:
    """All that changes while a recogniser is trained; what a checkpoint holds."""

    def __init__(self, network: Recogniser, settings: Settings, labels: Tensor, seed: int) -> None:
        self.network, self.settings, self.labels, self.seed = network, settings, labels, seed
        self.optimiser = torch.optim.AdamW(
            network.parameters(), settings.rate, weight_decay=settings.decay, fused=True
        )
        self.epoch, self.best_epoch, self.best_loss = 0, 0, math.inf
        self.best = {k: v.clone() for k, v in network.state_dict().items()}
        self.curve: dict[str, list[float]] = {"train_loss": [], "val_loss": [], "val_accuracy": []}
        self.fingerprint, self.seconds = "", 0.0
        weights = torch.bincount(labels, minlength=network.classes).float()
        self.class_weights = weights.mean() / weights.clamp_min(1) if settings.balanced else None

    @property
    def finished(self) -> bool:
        late = self.epoch - self.best_epoch > self.settings.patience and self.best_loss < math.inf
        return self.epoch >= self.settings.epochs or late

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step: one cycle (Smith 2018) with a cosine fall
        (Loshchilov, Hutter 2017).
        """
        warm = max(1, round(self.settings.warmup * steps))
        if step < warm:
            return self.settings.rate * (step + 1) / warm
        return (
            self.settings.rate
            * 0.5
            * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
        )

    def save(self, path: Path) -> None:
        """Write everything in one file, so that no kill can leave half of it."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": v for k, v in slots.items()}
        state = {
            "fingerprint": self.fingerprint,
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "curve": self.curve,
            "seconds": self.seconds,
        }
        with atomic_write(path) as temporary:
            save_file(
                {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()},
                temporary,
                metadata={"state": json.dumps(state)},
            )

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint, where there is one."""
        if not path.is_file():
            return
        try:
            with safe_open(path, "pt") as file:
                state = json.loads(file.metadata()["state"])
                tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        except Exception as error:
            raise ValueError(
                f"{path}: not a readable checkpoint ({error}); remove it to start again"
            ) from error
        if state["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{path}: a checkpoint of other data, seed or settings; "
                "choose another folder, or remove the file to start again"
            )
        parts = {"network": {}, "best": {}, "optimiser": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        self.network.load_state_dict(parts["network"])
        self.best = {k: parts["best"][k].to(v.device) for k, v in self.best.items()}
        slots: dict[int, dict[str, Tensor]] = {}
        parameters = list(self.network.parameters())
        for name, tensor in parts["optimiser"].items():
            index, _, key = name.partition(".")
            if (
                tensor.ndim
            ):  # the fused optimiser reads memory in order: the layout must be the parameter's
                tensor = torch.empty_like(parameters[int(index)]).copy_(tensor)
            slots.setdefault(int(index), {})[key] = tensor
        self.optimiser.load_state_dict(
            {"state": slots, "param_groups": self.optimiser.state_dict()["param_groups"]}
        )
        self.epoch, self.best_epoch = state["epoch"], state["best_epoch"]
        self.best_loss, self.curve = state["best_loss"], state["curve"]
        self.seconds = state.get("seconds", 0.0)  # older checkpoints do not tell


def _epochs(
    run: _Run,
    train: Cohort,
    val: Cohort | None,
    target: Target,
    progress: Progress | bool,
    checkpoint: Path | None,
    checkpoint_seconds: float,
) -> None:
    """Run the epochs that are left."""
    settings, device = run.settings, run.labels.device
    images = to_tensor(train.images, device)
    held_out = (
        None if val is None else (to_tensor(val.images, device), _labels(val, target).to(device))
    )
    written = time.monotonic()
    started = written - run.seconds
    bar = tqdm(
        total=settings.epochs,
        initial=run.epoch,
        desc=f"{target} recogniser",
        unit="epoch",
        delay=5,
        leave=False,
        disable=progress is not True or not sys.stderr.isatty(),
    )
    with bar:
        while not run.finished:
            row = {"train_loss": _epoch(run, images)}
            run.epoch += 1
            if held_out is not None:
                row |= _validate(run.network, *held_out)
            for key, value in row.items():
                run.curve[key].append(value)
            if held_out is None or row["val_loss"] < run.best_loss:
                run.best_loss, run.best_epoch = row.get("val_loss", math.inf), run.epoch
                run.best = {k: v.clone() for k, v in run.network.state_dict().items()}
            run.seconds = time.monotonic() - started
            if checkpoint is not None and (
                run.finished or time.monotonic() - written >= checkpoint_seconds
            ):
                run.save(checkpoint)
                written = time.monotonic()
            bar.update()
            if callable(progress):
                progress(run.epoch, settings.epochs, row)


def _epoch(run: _Run, images: Float[Tensor, "n 1 h w"]) -> float:
    """Train on every image once and return the mean loss; the host waits for the device once, at
    the end.

    All randomness of an epoch (order, augmentation, dropout) follows from the seed and the epoch's
    number, so a checkpoint needs no generator state.
    """
    settings, network, device = run.settings, run.network.train(), images.device
    seed = int(np.random.SeedSequence([run.seed, run.epoch]).generate_state(1)[0])
    torch.manual_seed(
        seed
    )  # dropout draws from the global generator, which `fit_recogniser` gives back as it was
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator).to(device)
    batches = order.split(settings.batch)
    if len(batches) > 1 and len(batches[-1]) < 2:  # batch norm cannot train on one image
        batches = batches[:-1]
    total = torch.zeros((), device=device)
    for number, rows in enumerate(batches):
        x = augment(images[rows], generator, settings.strength).contiguous(
            memory_format=torch.channels_last
        )
        with torch.autocast(
            device.type, torch.bfloat16, enabled=settings.half and native_bfloat16(device)
        ):
            output = network(x)
        loss = functional.cross_entropy(
            output.float(), run.labels[rows], run.class_weights, label_smoothing=settings.smoothing
        )
        rate = run.rate(run.epoch * len(batches) + number, settings.epochs * len(batches))
        for group in run.optimiser.param_groups:
            group["lr"] = rate
        run.optimiser.zero_grad()
        loss.backward()
        run.optimiser.step()
        total += loss.detach()
    return float(total) / len(batches)


@torch.no_grad()
def _validate(
    network: nn.Module, images: Float[Tensor, "n 1 h w"], labels: Tensor
) -> dict[str, float]:
    """Return cross-entropy (each class that is there counts alike) and accuracy, in float32."""
    network.eval()
    output = torch.cat(
        [network(part.contiguous(memory_format=torch.channels_last)) for part in images.split(512)]
    )
    counts = torch.bincount(labels, minlength=output.shape[1]).float()
    loss = functional.cross_entropy(output, labels, weight=1 / counts.clamp_min(1))
    return {
        "val_loss": float(loss),
        "val_accuracy": float((output.argmax(1) == labels).float().mean()),
    }


def _labels(cohort: Cohort, target: Target) -> Tensor:
    return torch.from_numpy(
        cohort.patient if target == "identity" else cohort.diseased.astype(np.int64)
    )


def _fingerprint(
    train: Cohort, val: Cohort | None, target: Target, seed: int, settings: Settings
) -> str:
    parts = (train.hash(), val and val.hash(), target, seed, sorted(asdict(settings).items()))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _check(train: Cohort, val: Cohort | None, target: Target) -> None:
    """Refuse what cannot be trained on, before any work is done."""
    if target not in ("identity", "disease"):
        raise ValueError(f'unknown target {target!r}; choose "identity" or "disease"')
    height, width = train.images.shape[1:]
    if height != width:
        raise ValueError(
            f"recognisers need square images, not {height}x{width}; prepare with --size 64"
        )
    if len(train) < 2:
        raise ValueError("one training image is too few; check the splits of the cohort")
    if val is not None and val.images.shape[1:] != train.images.shape[1:]:
        raise ValueError(
            f"training images are {height}x{width}, validation images {val.images.shape[1:]}; "
            "prepare them alike"
        )
    if target == "disease" and len(np.unique(train.diseased)) < 2:
        raise ValueError(
            f"all {len(train)} training images have the same label; a disease recogniser needs both"
        )
