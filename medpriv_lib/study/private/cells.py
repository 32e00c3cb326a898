"""One cell of the study: a way to learn, a unit, an epsilon, so many patients; five trainings."""

import math
import time
from dataclasses import asdict, dataclass, replace
from functools import cache

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.intervals import area, resampled
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.private import logistic
from medpriv_lib.federation.private.accountant import Charge, epsilon, noise_for
from medpriv_lib.federation.private.patient_gradients import Mechanism
from medpriv_lib.federation.private.private_training import (
    PrivateTraining,
    Settings,
    disease_scores,
)
from medpriv_lib.recognition.grouped import Grouped
from medpriv_lib.study.private.people import People

SIZE = 32  # pixels
SEEDS = 5
FOLDS = 5
DRAWS = 300  # of an interval
IMAGES_EACH = 2  # of a patient in a step of the network
RATE, STEPS = 0.25, 60  # of every private training but the image-level one
LOT, EPOCHS = 64, 6  # of the image-level one
COHORT_WEIGHTS = (0.65, 2.1)  # for an announced prevalence of .24, not one counted here


@dataclass(frozen=True)
class Cell:
    """`part` cohort or curve; `model` "network", or the features of the linear one; `unit` patient
    or image; `epsilon` promised, None without noise; `clipped` without noise; `patients`.
    """

    part: str
    model: str
    unit: str
    epsilon: float | None
    patients: int
    clipped: bool = True
    seeds: int = SEEDS

    @property
    def key(self) -> str:
        """The name of the cell in the file."""
        promised = ("clipped" if self.clipped else "none") if self.epsilon is None else self.epsilon
        return f"{self.part}/{self.model}/{self.unit}/{promised}/{self.patients}"


@dataclass(frozen=True, eq=False)
class Material:
    """`people`, their `vectors` (N, F) for a linear model, and the test: `others`, or None where
    every training leaves out a fifth of the people for it.
    """

    people: People
    vectors: Float[np.ndarray, "n f"]
    others: tuple[People, Float[np.ndarray, "t f"]] | None = None
    class_weights: tuple[float, float] = (1.0, 1.0)


def run_cell(cell: Cell, material: Material) -> dict:
    """Train with every seed, score patients of no training, and return the cell's row."""
    started = time.process_time()
    units, plan = schedule(cell, material.people, folded=material.others is None)
    mechanism = Mechanism(
        plan.rate,
        clip=1.0 if cell.clipped else math.inf,
        noise=0.0 if cell.epsilon is None else plan.noise,
        most=IMAGES_EACH,
    )
    scored, kept = [], []
    for seed in range(cell.seeds):
        train, test, x, ask, whose = _parts(material, seed)
        unit = train.patient if cell.unit == "patient" else np.arange(len(train))
        if cell.model == "network":
            score = _network(train, test, unit, mechanism, plan.steps, seed, material.class_weights)
        else:
            settings = logistic.Settings(mechanism, plan.steps, 0.02, material.class_weights)
            generator = seeded(seed, cell.key)
            models = logistic.private_logistic(x, train.diseased, unit, settings, generator)
            score = logistic.scores(models, ask)[0]
        scored.append((score, test.diseased, whose))
        kept.append(area(score, test.diseased))
    row: dict = {"cell": asdict(cell), "units": units, "steps": plan.steps, "rate": plan.rate}
    if cell.epsilon is not None:
        charge, delta = [plan], 1 / units
        row |= {"noise": plan.noise, "delta": delta, "prv": epsilon(charge, delta)}
        row["pld"] = epsilon(charge, delta, "pld")
    return row | summary(scored, kept) | {"cpu": round(time.process_time() - started, 1)}


def summary(scored: list[tuple], each: list[float]) -> dict:
    """Return mean, spread over seeds, and the 95 % interval of the mean over test patients."""
    return {
        "auc": float(np.mean(each)),
        "each": [round(one, 4) for one in each],
        "sd": float(np.std(each, ddof=1)) if len(each) > 1 else None,
        "interval": list(interval(scored)),
        "test_patients": len(np.unique(np.concatenate([whose for _, _, whose in scored]))),
        "test_images": int(np.mean([len(ill) for _, ill, _ in scored])),
    }


def interval(scored: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Return the interval of the mean area over trainings, patients drawn again.

    Each training gives scores, labels and patients of its test images.
    """
    number = np.concatenate([np.full(len(s), i) for i, (s, _, _) in enumerate(scored)])
    score, ill, whose = (np.concatenate([one[k] for one in scored]) for k in range(3))

    def mean(rows: Int64[np.ndarray, " m"]) -> float:
        found = []
        for i in range(len(scored)):
            here = rows[number[rows] == i]
            if len(here) == 0 or ill[here].all() or not ill[here].any():
                return float("nan")
            found.append(area(score[here], ill[here]))
        return float(np.mean(found))

    return resampled(mean, whose, DRAWS)


def schedule(cell: Cell, people: People, folded: bool) -> tuple[int, Charge]:
    """Return how many units a training has, and what it will be charged."""
    patients = len(np.unique(people.patient))
    images = len(people)
    if folded:
        patients, images = patients * (FOLDS - 1) // FOLDS, images * (FOLDS - 1) // FOLDS
    if cell.unit == "patient":
        units, rate, steps = patients, RATE, STEPS
    else:
        units, rate, steps = images, LOT / images, EPOCHS * round(images / LOT)
    noise = 0.0 if cell.epsilon is None else noise_of(cell.epsilon, 1 / units, rate, steps)
    return units, Charge(noise, rate, steps)


@cache
def noise_of(target: float, delta: float, rate: float, steps: int) -> float:
    """Return `noise_for`'s answer, found once for all cells of a schedule."""
    return noise_for(target, delta, rate, steps)


def left_out(patient: Int64[np.ndarray, " n"], fold: int) -> Bool[np.ndarray, " n"]:
    """Return which images are of the patients that a training leaves out: every fifth."""
    return np.isin(patient, np.unique(patient)[fold % FOLDS :: FOLDS])


def small(images: np.ndarray) -> torch.Tensor:
    """Return images as networks of this study take them, 32x32."""
    return to_tensor(
        np.stack([cv2.resize(one, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for one in images])
    )


def _parts(
    material: Material, seed: int
) -> tuple[People, People, np.ndarray, np.ndarray, np.ndarray]:
    people, vectors = material.people, material.vectors
    if material.others is not None:
        others, ask = material.others
        return people, others, vectors, ask, others.patient
    out = left_out(people.patient, seed)
    test = people.take(out)
    return people.take(~out), test, vectors[~out], vectors[out], test.patient


def _network(
    train: People,
    test: People,
    unit: np.ndarray,
    mechanism: Mechanism,
    steps: int,
    seed: int,
    class_weights: tuple[float, float],
) -> Float[np.ndarray, " t"]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Grouped(2, SIZE)
    if unit is not train.patient:
        mechanism = replace(mechanism, most=1)
    training = PrivateTraining(
        network,
        small(train.images),
        torch.from_numpy(train.diseased.astype(np.int64)),
        unit,
        Settings(mechanism, 2e-3, class_weights),
        entropy=lambda step: seeded(seed, "step", step),  # nobody is protected by a study
    )
    while training.done < steps:
        training.step()
    return disease_scores(network, small(test.images))
