"""What a training will cost on this machine: a step of each network is run and timed before."""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64

from medpriv_lib.core.budgets import Budget
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import channels_of, size_of, to_tensor
from medpriv_lib.privatizers.vgan.networks import Architecture
from medpriv_lib.privatizers.vgan.recognisers import size_seen
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.trainer import Trainer
from medpriv_lib.recognition.fitting import parts_of
from medpriv_lib.recognition.learner import DEFAULTS, Learner
from medpriv_lib.recognition.networks import Recogniser

BATCH = 16  # images of the timed step of a recogniser
FEW = 32  # images that the timed GAN learns from
Clock = Callable[[Callable[[], object], torch.device], float]  # runs a step, says its seconds


@dataclass(frozen=True)
class Cost:
    """Seconds of the recognisers, all epochs run, and of PPRL-VGAN, and bytes of memory.

    `size` and `channels` are those of the images. Seconds are those of this machine as busy as it
    was when they were measured.
    """

    size: int
    channels: int
    recognisers: float
    vgan: float
    memory: int

    def __str__(self) -> str:
        """Return one line."""
        kind = "grey" if self.channels == 1 else "colour"
        return (
            f"{kind} images of {self.size}x{self.size}: about {_minutes(self.recognisers)} for "
            f"the recognisers, {_minutes(self.vgan)} for PPRL-VGAN (without its warm-up), and "
            f"{self.memory / 2**30:.1f} GiB of memory or more, by one timed step of each here"
        )


def cost_of_fit(
    cohort: Cohort, budget: Budget, device: str | None = None, clock: Clock | None = None
) -> Cost:
    """Return about what `fit` will cost with this budget, where it starts from nothing.

    A step of a recogniser and a round of PPRL-VGAN are run on a few images and timed; torch's
    global random numbers are left as they were; `clock` runs a step on a device and returns its
    seconds, None takes `timed`. Early stopping ends sooner; PPRL-VGAN's warm-up is
    not counted, and memory is what these steps took.
    """
    clock = clock or timed
    train = cohort.of("train")
    size, channels = size_of(train.images), channels_of(train.images)
    config = Training(rounds=budget.rounds, batch=budget.batch, recogniser_epochs=budget.epochs)
    parts, _ = parts_of(cohort, 0, budget.epochs)
    seen: float = sum(len(part.train) * part.settings.epochs for part in parts)
    smaller = (size_seen(size) / size) ** 2  # the GAN's own recognisers see fewer pixels
    seen += config.frozen_recognisers * budget.epochs * len(train) * smaller
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = _learner(train, size, channels, where)
        rows = torch.arange(BATCH, device=where) % len(learner.images)
        generator = torch.Generator(where)
        step = clock(lambda: learner.step(rows, generator, 1e-4), where)
        few = train.take(_some(train))
        short = replace(config, recogniser_epochs=1, warmup=0, reconstruction=0)
        trainer = Trainer(few, Architecture.of(train), short)
        rounds = clock(trainer.step, trainer.device)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Cost(
        size,
        channels,
        recognisers=seen / BATCH * step,
        vgan=budget.rounds * rounds,
        memory=memory * (1 if sys.platform == "darwin" else 1024),
    )


def _some(train: Cohort) -> Int64[np.ndarray, " few"]:
    """Return rows of the whole range of patients, as many as are timed."""
    return np.linspace(0, len(train) - 1, min(FEW, len(train))).astype(np.int64)


def _learner(train: Cohort, size: int, channels: int, where: torch.device) -> Learner:
    images = to_tensor(train.images[:BATCH], where)
    labels = torch.from_numpy(train.diseased[:BATCH].astype("int64")).to(where)
    network = Recogniser(2, size, channels).to(where)
    return Learner(network, DEFAULTS["disease"], images, labels, 0)


def timed(step: Callable[[], object], where: torch.device) -> float:
    """Return the seconds of a step, the second one: the first also prepares."""
    step()
    start = time.perf_counter()
    step()
    if where.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
