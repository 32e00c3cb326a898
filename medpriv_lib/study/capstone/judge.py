"""The judge of the capstone: a held attacker and three readers, each against a stated bar.

The attacker holds other photographs of the patients and may run the submission on them. It compares
in four ways, none of which needs a training: pixels with pixels; pixels with what the submission
makes of the known photographs; unrolled iris rings; sizes of pupils. The best of the four counts.
The same four on the originals are the positive control.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, UInt8

from medpriv_lib.attacks.iris_ring import Discriminants, discriminants, unrolled
from medpriv_lib.attacks.verification import pairs, places
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.distances import centred
from medpriv_lib.core.exposure import exposed
from medpriv_lib.core.intervals import area as auc
from medpriv_lib.core.intervals import auc_interval, mean_interval
from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.data.eyes.pupil_ratio import pupil_ratios
from medpriv_lib.measures.intelligibility import found
from medpriv_lib.measures.own_signs import of_other_patients, own_versus_other
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.study.capstone.task import Task

LOOKED_AT = 32  # localising is slow: so many pictures are looked at
Images = UInt8[np.ndarray, "n s s"]
Submission = Callable[[Cohort, torch.Generator], Images]


@dataclass(frozen=True)
class Bar:
    """One requirement: `name`, its `text`, the `limit` in percent, and whether it is the `most` or
    the least that is allowed. `guessing` is what a release that shows nothing scores.
    """

    name: str
    text: str
    limit: float
    most: bool
    guessing: float | None


LINKED = Bar("linked", "best attacker, other photographs of the eye: area", 62.0, True, 50.0)
COPIED = Bar("copied", "pictures that are as good as an original", 0.0, True, 0.0)
OWN = Bar("own signs", "fits its own signs better than others': area", 75.0, False, 50.0)
DISEASE = Bar("disease", "an expert tells ill from healthy: area", 75.0, False, 50.0)
FOUND = Bar("eyes found", "an eye is found where it should be", 90.0, False, None)
BARS = (LINKED, COPIED, OWN, DISEASE, FOUND)


@dataclass(frozen=True)
class Line:
    """What a submission reached at one bar, in percent, with its 95 % interval over patients where
    there is one; `said` names the attacker that did best.
    """

    bar: Bar
    value: float
    low: float | None = None
    high: float | None = None
    said: str = ""

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        return self.value <= self.bar.limit if self.bar.most else self.value >= self.bar.limit

    def __str__(self) -> str:
        """Return the line as text."""
        ends = "" if self.low is None else f" [{self.low:.1f}, {self.high:.1f}]"
        limit = f"{'at most' if self.bar.most else 'at least'} {self.bar.limit:.0f}"
        guess = "" if self.bar.guessing is None else f", guessing {self.bar.guessing:.0f}"
        by = f" ({self.said})" if self.said else ""
        mark = "met   " if self.met else "MISSED"
        return f"{mark} {self.bar.text}: {self.value:.1f}{ends}, {limit}{guess}{by}"


@dataclass(frozen=True)
class Judgement:
    """The lines of one submission, what the attacker reached on the originals (`control`), and how
    many images of how many patients were shown.
    """

    lines: tuple[Line, ...]
    control: Line
    n: int
    patients: int

    @property
    def met(self) -> bool:
        """Whether every bar is met."""
        return all(line.met for line in self.lines)

    def line(self, name: str) -> Line:
        """Return the line of a bar. Raises `KeyError` for one that there is not."""
        return {line.bar.name: line for line in self.lines}[name]

    def __str__(self) -> str:
        """Return the judgement as text."""
        low, high = self.control.low, self.control.high
        return "\n".join(
            [f"{self.n} images of {self.patients} patients"]
            + [str(line) for line in self.lines]
            + [
                f"       the same attacker on the originals: {self.control.value:.1f} "
                f"[{low:.1f}, {high:.1f}] ({self.control.said})",
                "The bar is met." if self.met else "The bar is not met.",
            ]
        )


def judge(submission: Submission, task: Task, seed: int) -> Judgement:
    """Return what a submission reaches on a task.

    The submission is given images with their labels and a generator, and returns as many uint8
    images of the same size. It is run three times with the generator in the same state: on the
    images to show, on their twins, and on what the attacker holds. `seed` is that state. Raises
    `ValueError` where what comes back has another shape or type.
    """
    shown, twins = (_released(submission, task.blind(task.shown, t), seed) for t in (False, True))
    known = _released(submission, task.blind(task.known), seed)
    part = task.cohort.take(task.shown)
    lines = (
        attacked(task, shown, known),
        Line(COPIED, 100 * float(exposed(shown, task.cohort.images).mean())),
        _own_signs(part, shown, twins),
        _disease(part, shown),
        Line(FOUND, 100 * float(found(shown[:LOOKED_AT], locate).mean())),
    )
    return Judgement(lines, control(task), len(part), len(np.unique(part.patient)))


@cache
def control(task: Task) -> Line:
    """Return what the attacker links where nothing is hidden: the originals themselves."""
    return attacked(task, *(task.cohort.images[rows] for rows in (task.shown, task.known)))


def attacked(task: Task, shown: Images, known: Images) -> Line:
    """Return what the best of the four comparisons links, `known` being what the method makes of
    the attacker's photographs.
    """
    which = pairs(task.cohort, task.shown, task.known)
    patient = task.cohort.patient[task.shown]
    best: Line | None = None
    for name, scores in comparisons(task, shown, known).items():
        place = places(scores, which, patient)
        low, high = mean_interval(place.place, patient[place.row])
        line = Line(LINKED, 100 * float(place.place.mean()), 100 * low, 100 * high, name)
        best = line if best is None or line.value > best.value else best
    assert best is not None  # there are four
    return best


def comparisons(task: Task, shown: Images, known: Images) -> dict[str, Float[np.ndarray, "n m"]]:
    """Return how alike each shown picture is to each photograph that the attacker holds, in four
    ways; larger is more alike.
    """
    originals = task.cohort.images[task.known]
    apart, rings = _rings(task)
    ratio = pupil_ratios(shown)[:, None] - pupil_ratios(originals)[None]
    return {
        "pixels": _unit(shown) @ _unit(originals).T,
        "pixels, the method run again": _unit(shown) @ _unit(known).T,
        "iris rings": apart(unrolled(shown)) @ rings.T,
        "pupils": -np.abs(ratio),
    }


@cache
def _rings(task: Task) -> tuple[Discriminants, Float[np.ndarray, "m q"]]:
    """Return what tells the eyes of the attacker's photographs apart, and these photographs."""
    rings = unrolled(task.cohort.images[task.known])
    apart = discriminants(rings, task.cohort.patient[task.known])
    return apart, apart(rings)


def _released(submission: Submission, part: Cohort, seed: int) -> Images:
    images = np.asarray(submission(part, torch.Generator().manual_seed(seed)))
    if images.shape != part.images.shape or images.dtype != np.uint8:
        raise ValueError(
            f"the submission returned {images.dtype} {images.shape}; return one uint8 picture for "
            f"each image, {part.images.shape}"
        )
    return images


def _unit(images: Images) -> Float[np.ndarray, "n p"]:
    flat = centred(images).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)


def _own_signs(part: Cohort, shown: Images, twins: Images) -> Line:
    assert part.twin is not None
    assert part.evidence is not None
    signs = (part.images.astype(np.float64) - part.twin) * part.evidence
    rows = np.flatnonzero(signs.any(axis=(1, 2)) & part.diseased)
    change = shown[rows].astype(np.float64) - twins[rows]
    patient = part.patient[rows]
    score = own_versus_other(change, signs[rows], of_other_patients(patient))
    low, high = mean_interval(score, patient)
    return Line(OWN, 100 * float(score.mean()), 100 * low, 100 * high)


def _disease(part: Cohort, shown: Images) -> Line:
    score = Expert.load().score(shown)
    low, high = auc_interval(score, part.diseased, part.patient)
    return Line(DISEASE, 100 * auc(score, part.diseased), 100 * low, 100 * high)
