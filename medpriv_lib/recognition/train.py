"""Train a recogniser on original images, and read its logits."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images, channels_of, require_images, size_of, to_tensor
from medpriv_lib.core.precision import flushed_denormals
from medpriv_lib.learning.checkpoint import Kept
from medpriv_lib.recognition.learner import DEFAULTS, Learner, Settings, Target
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.views import eye_numbers
from medpriv_lib.recognition.wide import Shape, Wide

Progress = Callable[[int, int, dict[str, float]], None]


class Form(NamedTuple):
    """What kind of recogniser is trained: a `Wide` one of this `shape`, None for the small one, by
    a `learner` that says how a batch is distorted.
    """

    shape: Shape | None = None
    learner: type[Learner] = Learner


PLAIN = Form()


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
    form: Form = PLAIN,
    resume: str | os.PathLike | Kept | None = None,
) -> tuple[Recogniser, dict]:
    """Train a recogniser of the patient ("identity"), of the eye or of the disease; return it,
    ready to judge, with its curve.

    The state with the lowest validation loss is kept; without `val` all epochs run and the last
    state is kept. The curve holds one list per quantity (`train_loss`, `val_loss`, `val_accuracy`),
    one entry per epoch, `best`, the epoch kept, and `seconds`, the time of all epochs, those before
    a kill included. `progress` True shows a bar on a terminal, False none; a function is called as
    `progress(epoch, epochs, row)` after each epoch with the epoch's quantities. With `resume`, a
    folder or where and how often (`Kept`), the state is written there; a killed training that is
    started again with the same arguments ends at the same weights, bit for bit on the same machine
    and threads. `form` is that of the network, and how its batches are distorted. Raises
    `ValueError` where the images are not square multiples of 16, where the disease has one label
    only, and where the folder holds the training of other data or settings.
    """
    _check(train, val, target)
    settings = settings or DEFAULTS[target]
    if epochs is not None:
        settings = replace(settings, epochs=epochs)
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    forked = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=forked), flushed_denormals():
        torch.manual_seed(seed)
        classes = {"identity": train.patients, "eye": 2 * train.patients, "disease": 2}[target]
        size, channels = size_of(train.images), channels_of(train.images)
        network = (
            Recogniser(classes, size, channels)
            if form.shape is None
            else Wide(classes, size, channels, form.shape)
        )
        network = network.to(device).to(memory_format=torch.channels_last)
        network.dropout.p = settings.dropout
        images, labels = to_tensor(train.images, device), _labels(train, target).to(device)
        learning = form.learner(network, settings, images, labels, seed)
        save, seconds = None, 0.0
        if resume is not None:
            kept = resume if isinstance(resume, Kept) else Kept(resume)
            folder, seconds = Path(kept.folder), kept.seconds
            folder.mkdir(parents=True, exist_ok=True)
            training = _training(train, val, target, seed, settings)
            if form.shape is not None:
                training |= {"shape": asdict(form.shape), "learner": form.learner.__name__}
            learning.restore(folder, training)
            save = partial(learning.save, folder, training)
        held_out = None
        if val is not None:
            held_out = to_tensor(val.images, device), _labels(val, target).to(device)
        _epochs(learning, held_out, target, progress, save, seconds)
    network.load_state_dict(learning.best)
    told = {"best": learning.best_epoch, "seconds": round(learning.seconds, 1)}
    return network.eval(), learning.curve | told


@torch.no_grad()
def logits(network: Recogniser, images: Images, batch: int = 32) -> Float[Tensor, "n classes"]:
    """Return the logits (float32, on the CPU) of uint8 images; evaluation mode, never under
    autocast. Raises `ValueError` for images of another size, type or number of channels.
    """
    require_images(images, network.size, network.channels, "recogniser")
    device = next(network.parameters()).device
    judge = network.merged()
    with torch.autocast(device.type, enabled=False):
        parts = [
            judge(
                to_tensor(images[i : i + batch], device).contiguous(
                    memory_format=torch.channels_last
                )
            )
            for i in range(0, len(images), batch)  # small ones stay in the processor's cache
        ]
    return torch.cat(parts).cpu() if parts else torch.zeros(0, network.classes)


def _epochs(
    learner: Learner,
    held_out: tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]] | None,
    target: Target,
    progress: Progress | bool,
    save: Callable[[], None] | None,
    save_seconds: float,
) -> None:
    """Run the epochs that are left; `save` writes the checkpoint."""
    total = learner.settings.epochs
    written = time.monotonic()
    started = written - learner.seconds
    bar = tqdm(
        total=total,
        initial=learner.epoch,
        desc=f"{target} recogniser",
        unit="epoch",
        delay=5,
        leave=False,
        disable=progress is not True or not sys.stderr.isatty(),
    )
    with bar:
        while not learner.finished:
            row = {"train_loss": _epoch(learner)}
            if held_out is not None:
                row |= _validate(learner.network, *held_out)
            learner.end_epoch(row)
            learner.seconds = time.monotonic() - started
            due = learner.finished or time.monotonic() - written >= save_seconds
            if save is not None and due:
                save()
                written = time.monotonic()
            bar.update()
            if callable(progress):
                progress(learner.epoch, total, row)


def _epoch(learner: Learner) -> float:
    """Train on every image once and return the mean loss; the host waits for the device once, at
    the end.

    All randomness of an epoch (order, augmentation, dropout) follows from the seed and the epoch's
    number, so a checkpoint needs no generator state.
    """
    settings, device, epoch = learner.settings, learner.images.device, learner.epoch
    learner.network.train()
    seed = int(np.random.SeedSequence([learner.seed, epoch]).generate_state(1)[0])
    # dropout draws from the global generator, which `fit_recogniser` gives back as it was
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(learner.images), generator=generator).to(device)
    batches = order.split(settings.batch)
    if len(batches) > 1 and len(batches[-1]) < 2:  # batch norm cannot train on one image
        batches = batches[:-1]
    total = torch.zeros((), device=device)
    for number, rows in enumerate(batches):
        rate = learner.rate(epoch * len(batches) + number, settings.epochs * len(batches))
        total += learner.step(rows, generator, rate)
    return float(total) / len(batches)


@torch.no_grad()
def _validate(
    network: nn.Module, images: Float[Tensor, "n c h w"], labels: Tensor
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


def _labels(cohort: Cohort, target: Target) -> Int64[Tensor, " n"]:
    if target == "eye":
        return torch.from_numpy(eye_numbers(cohort))
    return torch.from_numpy(
        cohort.patient if target == "identity" else cohort.diseased.astype(np.int64)
    )


def _training(
    train: Cohort, val: Cohort | None, target: Target, seed: int, settings: Settings
) -> dict[str, Any]:
    """Return what has to be equal for a checkpoint to be of this training."""
    return {
        "data": train.hash(),
        "validation data": None if val is None else val.hash(),
        "target": target,
        "seed": seed,
        "settings": asdict(settings),
    }


def _check(train: Cohort, val: Cohort | None, target: Target) -> None:
    """Refuse what cannot be trained on, before any work is done."""
    if target not in ("identity", "eye", "disease"):
        raise ValueError(f'unknown target {target!r}; choose "identity", "eye" or "disease"')
    height, width = train.images.shape[1:3]
    if height != width:
        raise ValueError(
            f"recognisers need square images, not {height}x{width}; prepare with --size 64"
        )
    if len(train) < 2:
        raise ValueError("one training image is too few; check the splits of the cohort")
    if val is not None and val.images.shape[1:] != train.images.shape[1:]:
        raise ValueError(
            f"training images are {train.images.shape[1:]}, validation images "
            f"{val.images.shape[1:]}; prepare them alike"
        )
    if target == "disease" and len(np.unique(train.diseased)) < 2:
        raise ValueError(
            f"all {len(train)} training images have the same label; a disease recogniser needs both"
        )
