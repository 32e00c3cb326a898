"""What an attack may spend on this machine, said before it starts by a timed step of a network."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.scene import HALVES, PARTS
from medpriv_lib.attacks.towers import Schedule, fit_originals
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import channels_of, size_of

TIMED = 2  # steps, after one on few images that also imports what is imported late


@dataclass(frozen=True)
class AttackCost:
    """The most that the attackers' networks may take: `networks` of `steps` in all, `seconds` on
    this machine as busy as it is, and bytes of `memory`; `size` and `channels` of the images,
    `batch` of a step, and the `share` of the arithmetic that images of 64 or 128 px would get.
    """

    size: int
    channels: int
    networks: int
    steps: int
    batch: int
    seconds: float
    memory: int
    share: float

    def __str__(self) -> str:
        """Return one line."""
        kind = "grey" if self.channels == 1 else "colour"
        less = "" if self.share >= 1 else f", {100 * self.share:.0f} % of those of a small image"
        return (
            f"{kind} images of {self.size}x{self.size}: at most {self.networks} attackers, "
            f"{self.steps} steps of {self.batch} images{less}; about {_minutes(self.seconds)} and "
            f"{self.memory / 2**30:.1f} GiB or more, by a timed step"
        )


def cost_of_attack(
    cohort: Cohort,
    budget: Budget,
    full: Budget,
    contributors: bool = True,
    released: int = 0,
) -> AttackCost:
    """Return what the attackers' networks may cost at most, where none of them is there yet.

    `budget` is what will be spent, `full` what it was cut from; `contributors` says whether a
    release names contributors, for whom networks are trained too; `released` how many images of
    the cohort are under attack. torch's global random numbers are left as they were. What is no
    network of theirs (a blur undone, orders tried) is not in it.
    """
    size, channels = size_of(cohort.images), channels_of(cohort.images)
    spent = [budget.originals, budget.released, *([budget.released] if contributors else [])]
    before = [full.originals, full.released, *([full.released] if contributors else [])]
    few = Schedule(steps=TIMED, rate=1e-3, batch=budget.originals.batch)
    rows = np.arange(min(len(cohort), 4 * few.batch))
    fit_originals(cohort.images[rows[:8]], rows[:8] // 2, 0, replace(few, steps=2, batch=8))
    start = time.perf_counter()
    fit_originals(cohort.images[rows], rows // 2, 0, few)
    each = (time.perf_counter() - start) / (TIMED * images_of_step(len(rows), few.batch))
    work = sum(one.steps * one.batch for one in spent)
    return AttackCost(
        size,
        channels,
        networks=len(PARTS) * len(spent),
        steps=len(PARTS) * sum(one.steps for one in spent),
        batch=few.batch,
        seconds=each * images_seen(spent, len(cohort), released),
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
        share=work / sum(one.steps * one.batch for one in before),
    )


def images_of_step(images: int, batch: int) -> float:
    """Return how many of the `images` a step sees on average: they are dealt out evenly, so that no
    batch is smaller than `batch` where there are so many, and one of few images is nearly twice as
    large.
    """
    return images / max(1, images // batch)


def images_seen(spent: Sequence[Schedule], images: int, released: int) -> float:
    """Return about how many images all networks of these schedules see in training, each as often
    as a step takes it, where the cohort has `images` and the attackers can run the method.

    The attacker of everybody learns from the images that were not `released`, or, where all were,
    from half of them; those of the halves from half of the cohort.
    """
    everybody = images - released if released < images else images // 2
    return sum(
        one.steps * images_of_step(lesson, one.batch)
        for one in spent
        for lesson in (everybody, *[images // 2] * len(HALVES))
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
