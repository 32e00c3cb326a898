"""Teach the expert, and say how good it is: on unseen people, on their twins, on other cameras."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import area, auc_interval, f1_interval, mean_interval
from medpriv_lib.learning.augment import Distortion, augment
from medpriv_lib.learning.checkpoint import Kept
from medpriv_lib.recognition.expert import DEVELOPMENT_NAME, NAME, Expert, best_threshold
from medpriv_lib.recognition.learner import Learner, Settings
from medpriv_lib.recognition.train import Form, Progress, fit_recogniser
from medpriv_lib.recognition.wide import DEVELOPMENT, TABLE, Shape, Wide

PREVALENCE = 425 / 1795  # the share of images with glaucoma in the paper's set
SENSITIVITY = 0.85  # at which healthy eyes called ill are counted
# cameras differ more than one camera's images do: wider gains than for a cohort's judges, and zooms
MOST = Distortion(scale=0.12, brightness=0.25, contrast=0.35)
NOISE, BLACK = 0.06, 0.25  # white noise, and how far a black level may be raised; in [-1, 1]


@dataclass(frozen=True)
class Teaching:
    """How long the expert learns: `settings` of each network, the seeds and the shape of the
    networks, and how long at most between two checkpoints.
    """

    settings: Settings = Settings(
        epochs=30, batch=128, rate=3e-3, smoothing=0.02, balanced=True, dropout=0.2
    )
    seeds: tuple[int, ...] = (0, 1, 2)
    shape: Shape = TABLE
    checkpoint_seconds: float = 30.0


TEACHING = {
    NAME: Teaching(),
    DEVELOPMENT_NAME: Teaching(seeds=(101,), shape=DEVELOPMENT),
}


class CameraLearner(Learner):
    """Learns from images that might be another camera's: mirrored, brighter, flatter, noisier."""

    def distorted(
        self, x: Float[Tensor, "n c h w"], generator: torch.Generator
    ) -> Float[Tensor, "n c h w"]:
        """Return a batch, each image changed in its own way; all is drawn on the CPU but the noise.

        Beside what `augment` does: half are mirrored, the black level is raised, a gamma of .75 to
        1.33 bends the levels, and white noise of its own strength is laid over each.
        """
        strength = self.settings.strength
        moved = augment(x, generator, strength, MOST)
        if strength == 0:
            return moved
        draws = torch.rand(4, len(x), 1, 1, 1, generator=generator)
        flip, gamma, black, noise = draws.to(x.device, non_blocking=True)
        moved = torch.where(flip < 0.5, moved.flip(3), moved)
        level = (moved.clamp(-1, 1) + 1) / 2
        level = level.clamp_min(1e-4) ** (1.333 ** (strength * (2 * gamma - 1)))
        raised = strength * BLACK / 2 * black
        moved = 2 * (raised + (1 - raised) * level) - 1
        # the device's own generator: of the same seed as the epoch (`train._epoch` sets it)
        return moved + strength * NOISE * noise * torch.randn_like(moved)


def joined_cohorts(cohorts: Sequence[Cohort]) -> Cohort:
    """Return several cohorts as one, their patients numbered on; `row` counts anew.

    What one of them does not know (evidence, twin, visit) is left out. Raises `ValueError` where
    there is none.
    """
    if not cohorts:
        raise ValueError("there is no cohort to put together")
    first = np.cumsum([0] + [one.patients for one in cohorts])
    joined: dict[str, Any] = {
        key: np.concatenate([getattr(one, key) for one in cohorts])
        for key in ("images", "eye", "diseased", "split")
    }
    for key in ("evidence", "twin", "visit"):
        parts = [getattr(one, key) for one in cohorts]
        joined[key] = None if any(part is None for part in parts) else np.concatenate(parts)
    names = [f"{number}/{name}" for number, one in enumerate(cohorts) for name in one.patient_names]
    patient = [one.patient + start for one, start in zip(cohorts, first, strict=False)]
    return Cohort(
        **joined,
        patient=np.concatenate(patient),
        patient_names=np.array(names),
        name=cohorts[0].name,
    )


def fit_expert(
    people: Cohort,
    threshold_on: Cohort,
    folder: str | os.PathLike,
    *,
    development: bool = False,
    teaching: Teaching | None = None,
    device: str | torch.device | None = None,
    progress: Progress | bool = True,
    command: str = "medpriv_lib.recognition.expert_training.fit_expert",
) -> Expert:
    """Teach the expert on invented people, write it into `folder`, and return it as a file holds
    it.

    All images of `people` are learnt from; those of `threshold_on`, other people photographed as
    the cohorts are, give the threshold (best F1 where `PREVALENCE` of all are ill) and nothing
    else. Every network has its checkpoint in `folder`; stopped at any point, the same call goes on
    from there. Raises `ValueError` where somebody is in both, by name, and as `fit_recogniser`.
    """
    name = DEVELOPMENT_NAME if development else NAME
    teaching = teaching or TEACHING[name]
    both = set(_names(people)) & set(_names(threshold_on))
    if both:
        raise ValueError(
            f"{len(both)} people, such as {min(both)}, would teach and give the threshold; take "
            "others for one of the two"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    networks, curves = [], {}
    for seed in teaching.seeds:
        network, curve = fit_recogniser(
            people,
            None,
            "disease",
            seed=seed,
            device=device,
            progress=progress,
            settings=teaching.settings,
            form=Form(teaching.shape, CameraLearner),
            resume=Kept(folder / f"{name}-in-training" / str(seed), teaching.checkpoint_seconds),
        )
        assert isinstance(network, Wide)
        networks.append(network)
        curves[str(seed)] = {key: value for key, value in curve.items() if key != "seconds"}
    expert = Expert(tuple(networks), 0.0).halved()
    scores = expert.score(threshold_on.images)
    threshold = best_threshold(scores, threshold_on.diseased, PREVALENCE)
    card = {
        "kind": name,
        "data_hash": people.hash(),
        "config": {"settings": asdict(teaching.settings), "seeds": list(teaching.seeds)},
        "seed": teaching.seeds[0],
        "command": command,
        "metrics": {
            "threshold_people": len(np.unique(threshold_on.patient)),
            "people": len(np.unique(people.patient)),
            "images": len(people),
            "threshold": round(threshold, 4),
        },
        "curve": curves,
    }
    expert = replace(expert, threshold=threshold, card=card)
    expert.save(folder / name)
    shutil.rmtree(folder / f"{name}-in-training")
    return expert


def reading(expert: Expert, cohort: Cohort) -> dict[str, Any]:
    """Return how the expert reads the originals of a cohort (give it one split) and their twins.

    `auc`, `f1` and `healthy_ill` (the share of healthy images called ill) at the expert's own
    threshold, each with its 95 % interval over patients; `healthy_ill_85`, the same at the
    threshold where 85 % of the diseased are found; `auc_each`, that of every network by itself. Of
    twins, the same eyes without the disease: `twin_auc` and `twin_f1` against the label of the
    original. None where a figure does not exist.
    """
    score, ill = expert.score(cohort.images), cohort.diseased
    called = score >= expert.threshold
    found: dict[str, Any] = {"n": len(cohort), "patients": len(np.unique(cohort.patient))}
    found |= _auc("auc", score, cohort) | _f1("f1", called, cohort)
    found["healthy_ill"] = found["healthy_ill_85"] = found["auc_each"] = None
    if not ill.all():
        low, high = mean_interval(called[~ill], cohort.patient[~ill])
        found |= {"healthy_ill": float(called[~ill].mean())}
        found |= {"healthy_ill_low": low, "healthy_ill_high": high}
    if ill.any() and not ill.all():
        found["healthy_ill_85"] = healthy_called_ill(score, ill)
        each = expert.each(cohort.images)
        found["auc_each"] = [round(area(one, ill), 4) for one in each]
    if cohort.twin is not None:
        twins = expert.score(cohort.twin)
        found |= _auc("twin_auc", twins, cohort)
        found |= _f1("twin_f1", twins >= expert.threshold, cohort)
    return found


def by_family(expert: Expert, families: Mapping[str, Cohort]) -> dict[str, dict[str, Any]]:
    """Return `reading` of invented people photographed by cameras of each family, by its name."""
    return {name: reading(expert, cohort) for name, cohort in families.items()}


def healthy_called_ill(
    score: Float[np.ndarray, " n"], ill: np.ndarray, sensitivity: float = SENSITIVITY
) -> float:
    """Return the share of the healthy who are called ill where `sensitivity` of the ill are."""
    threshold = np.quantile(score[ill], 1 - sensitivity, method="lower")
    return float((score[~ill] >= threshold).mean())


def _auc(name: str, score: np.ndarray, cohort: Cohort) -> dict[str, Any]:
    ill = cohort.diseased
    if ill.all() or not ill.any():
        return {name: None}
    low, high = auc_interval(score, ill, cohort.patient)
    return {name: area(score, ill), f"{name}_low": low, f"{name}_high": high}


def _f1(name: str, called: np.ndarray, cohort: Cohort) -> dict[str, Any]:
    total = int(called.sum() + cohort.diseased.sum())
    if not total:
        return {name: None}
    low, high = f1_interval(called, cohort.diseased, cohort.patient)
    value = 2 * float((called & cohort.diseased).sum()) / total
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _names(cohort: Cohort) -> list[str]:
    return [str(name) for name in cohort.patient_names[np.unique(cohort.patient)]]
