"""The eye judge: which eye of which patient is this, by the iris and by what surrounds it.

A judge that sees whole images only learns whatever is easiest: here the surroundings, so that an
unaltered iris in another face passed unnoticed. This one is trained on whole eyes, on irises alone
and on surroundings alone, and asked about all three views of an image: the mean of the three
log-probabilities is its verdict, so that neither part can outvote the other unheard. How often each
view alone is right is reported beside it.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import mean_interval
from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images, require_images, to_tensor
from medpriv_lib.core.precision import halved, in_full
from medpriv_lib.recognition.expert import shape_of
from medpriv_lib.recognition.learner import DEFAULTS, Learner, Settings
from medpriv_lib.recognition.train import Form, Progress, fit_recogniser
from medpriv_lib.recognition.views import View, eye_numbers, seen, some_view
from medpriv_lib.recognition.wide import DEVELOPMENT, TABLE, Shape, Wide

NAME = "eye-judge"
DEVELOPMENT_NAME = "eye-judge-development"
# the seed of the development judge differs from the other's by this, its make by `DEVELOPMENT`
APART = 1000
# a wider dense layer than the expert's: hundreds of eyes are told apart, not two labels
SHAPES = {
    NAME: Shape(TABLE.widths, TABLE.kernels, TABLE.pooling, 128),
    DEVELOPMENT_NAME: Shape(DEVELOPMENT.widths, DEVELOPMENT.kernels, DEVELOPMENT.pooling, 96),
}


class ViewLearner(Learner):
    """Learns from whole eyes, irises alone and surroundings alone."""

    def distorted(
        self, x: Float[Tensor, "n c h w"], generator: torch.Generator
    ) -> Float[Tensor, "n c h w"]:
        """Return a batch, each image a little changed and in a view of its own."""
        return some_view(super().distorted(x, generator), generator)


@dataclass(frozen=True, eq=False)
class EyeJudge:
    """Names the eye: class 2p is the left eye of patient p, 2p + 1 the right one.

    `card` says how it was made. What an image showed is remembered.
    """

    network: Wide
    card: dict[str, Any] = field(default_factory=dict)
    _memory: Memory = field(default_factory=Memory, repr=False)

    def beliefs(self, images: Images, view: View) -> Float[np.ndarray, "n e"]:
        """Return the log-probability of every eye by one view, float32.

        Raises `ValueError` for images of another size, type or number of channels.
        """
        require_images(images, self.network.size, self.network.channels, "eye judge")
        device = next(self.network.parameters()).device
        judge = self.network.merged()
        with torch.no_grad():
            parts = [
                judge(
                    seen(to_tensor(images[i : i + 64], device), view).contiguous(
                        memory_format=torch.channels_last
                    )
                ).log_softmax(1)
                for i in range(0, len(images), 64)
            ]
        return torch.cat(parts).cpu().numpy() if parts else np.zeros((0, self.network.classes))

    def named(
        self, images: Images, views: Sequence[View] = tuple(View)
    ) -> Int64[np.ndarray, "n k"]:
        """Return the eyes named: one column for each view by itself, the last by all together."""
        if len(images) == 0:
            return np.zeros((0, len(views) + 1), dtype=np.int64)
        beside = [sum(1 << list(View).index(view) for view in views)] * len(images)
        return self._memory.recall(keys_of(images, beside), lambda r: self._read(images[r], views))

    def _read(self, images: Images, views: Sequence[View]) -> Int64[np.ndarray, "n k"]:
        each = [self.beliefs(images, view) for view in views]
        return np.stack([one.argmax(1) for one in (*each, np.mean(each, axis=0))], axis=1)

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device, in place, and return the judge."""
        self.network.to(device)
        return self

    def save(self, path: str | os.PathLike) -> Path:
        """Write the network (float16) and its card; errors as of `weights.save`."""
        return weights.save(path, halved(self.network.state_dict()), self.card)

    @classmethod
    def load(
        cls, path: str | os.PathLike, cohort: Cohort | None = None, *, development: bool = False
    ) -> Self:
        """Read a judge written by `save`, ready to judge in float32.

        With `cohort`, a judge of another cohort is refused. Errors as for `weights.load`.
        """
        tensors, card = weights.load(path, kind=DEVELOPMENT_NAME if development else NAME)
        if cohort is not None:
            weights.require_cohort(card, cohort)
        with weights.fitting(path):
            c = card["config"]
            network = Wide(c["classes"], c["size"], c["channels"], shape_of(c["shape"]))
            network.load_state_dict(in_full(tensors))
            return cls(network.eval(), card)


def fit_eye_judge(
    cohort: Cohort,
    folder: str | os.PathLike,
    seed: int = 0,
    *,
    development: bool = False,
    settings: Settings | None = None,
    device: str | torch.device | None = None,
    progress: Progress | bool = True,
    command: str = "medpriv_lib.recognition.eye_judge.fit_eye_judge",
) -> EyeJudge:
    """Train the eye judge on a cohort's training images, write it into `folder` and return it.

    The state with the lowest validation loss on whole images is kept. Stopped at any point, the
    same call goes on from there; a judge that is there already is returned. Raises `NotApplicable`
    where the cohort does not say which eye an image shows, or most validation images are of eyes
    without a training image; `ValueError` where the folder's judge is another cohort's.
    """
    name = DEVELOPMENT_NAME if development else NAME
    folder, number = Path(folder), seed + APART * development
    train, val = cohort.of("train"), cohort.of("val")
    known = np.isin(eye_numbers(val), eye_numbers(train))
    if known.mean() <= 0.5:
        raise NotApplicable("no eye judge: most validation images are of eyes not in training")
    if (folder / f"{name}.safetensors").is_file():
        return EyeJudge.load(folder / name, cohort, development=development)
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings or DEFAULTS["eye"]
    network, curve = fit_recogniser(
        train,
        val.take(known),
        "eye",
        seed=number,
        device=device,
        progress=progress,
        settings=settings,
        form=Form(SHAPES[name], ViewLearner),
        resume=folder / f"{name}-in-training",
    )
    assert isinstance(network, Wide)
    network.load_state_dict(in_full(halved(network.state_dict())))
    config = {
        "classes": network.classes,
        "size": network.size,
        "channels": network.channels,
        "shape": asdict(network.shape),
        "settings": asdict(settings),
    }
    # what the choice of a state saw is no measure of how good it is: test images are, for the
    # judge of the tables; the other one never sees them
    held_out = val if development or not (cohort.split == "test").any() else cohort.of("test")
    judge = EyeJudge(network)
    card = {
        "kind": name,
        "data_hash": cohort.hash(),
        "config": config,
        "seed": number,
        "command": command,
        "metrics": eye_report(judge, held_out),
        "curve": {key: value for key, value in curve.items() if key != "seconds"},
        "private": weights.PRIVATE,
    }
    judge = EyeJudge(network, card)
    judge.save(folder / name)
    shutil.rmtree(folder / f"{name}-in-training")
    return judge


def eye_report(judge: EyeJudge, cohort: Cohort) -> dict[str, Any]:
    """Return how often the judge names the right eye of originals (give it one split), 0..1.

    `whole`, `iris`, `surroundings` by one view alone, `together` by all; each with its 95 %
    interval over patients. `patient` is how often the right patient is named by all views,
    `chance` that of guessing an eye.
    """
    named, true = judge.named(cohort.images), eye_numbers(cohort)
    rows: dict[str, Any] = {"n": len(cohort), "split": str(cohort.split[0])}
    for number, view in enumerate((*View, "together")):
        right = named[:, number] == true
        low, high = mean_interval(right, cohort.patient)
        rows |= {str(view): float(right.mean()), f"{view}_low": low, f"{view}_high": high}
    rows["patient"] = float((named[:, -1] // 2 == cohort.patient).mean())
    return rows | {"chance": 1 / judge.network.classes}
