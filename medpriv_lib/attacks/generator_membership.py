"""Who a generator was trained on: small generators, each trained without half of the patients."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.attacks.budget import FULL, Budget
from medpriv_lib.attacks.copying import nearest, pixels
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.membership import inside_and_outside, membership
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.intervals import mean_per_patient
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import channels_of, size_of
from medpriv_lib.core.randomness import seeded
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.networks import Architecture
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.training import train as train_vgan

# (training images, all patients, the members, rounds, seed) -> a score for each patient
Shadow = Callable[[Cohort, np.ndarray, np.ndarray, int, int], Float[np.ndarray, " p"]]


def of_generator(
    cohort: Cohort,
    folder: Path | None,
    seed: int,
    budget: Budget = FULL,
    shadow: Shadow | None = None,
) -> Finding:
    """Tell who was trained on, from small generators each trained without half of the patients.

    Shadow runs at a small scale: images averaged to a few pixels, some rounds of batch 32. What a
    patient's training adds to the nearness of the generator's images to his own is measured with
    and without it. A generator that was trained longer remembers more: this bounds the attack from
    below. Each run's scores are kept in `folder`, so that a killed attack goes on. `shadow` trains
    one generator and scores everybody, None takes PPRL-VGAN. Raises `NotApplicable` where the
    training images are of fewer than four patients, or there are none.
    """
    if not (cohort.split == "train").any():
        raise NotApplicable("without training images nobody can be trained on")
    shadow = vgan_shadow if shadow is None else shadow
    runs, rounds, size = budget.generators, budget.generator_rounds, budget.generator_size
    train = _small(cohort.of("train"), size)
    both = np.unique(train.patient)
    if len(both) < 4:
        raise NotApplicable(
            f"{len(both)} training patients cannot be dealt into members and others"
        )
    rng = np.random.default_rng(seed)

    def score_of(members: Int64[np.ndarray, " m"]) -> Float[np.ndarray, " p"]:
        name = f"shadow-{train.hash()}-{rounds}-{seed}-" + "".join(
            f"{one:x}" for one in np.packbits(np.isin(np.arange(len(both)), members))
        )
        path = None if folder is None else folder / f"{name[:150]}.json"
        if path is not None and path.is_file():
            return np.array(json.loads(path.read_text(encoding="utf-8"))["scores"])
        scores = shadow(train, both, both[members], rounds, seed)
        if path is not None:
            write_json(path, {"scores": scores.tolist()}, private=True)
        return scores

    sick = np.isin(both, train.patient[train.diseased]).astype(np.int64)
    found = membership(inside_and_outside(score_of, len(both), runs, rng, sick), rng)
    return replace(
        found,
        attack="membership in the training",
        per_patient={int(both[place]): rate for place, rate in found.per_patient.items()},
        note=f"{runs} small generators, each trained without half of {len(both)} patients: "
        f"{size}x{size} pixels, {rounds} rounds of batch 32; a generator trained longer can "
        "remember more",
    )


def vgan_shadow(
    train: Cohort, both: np.ndarray, members: np.ndarray, rounds: int, seed: int
) -> Float[np.ndarray, " p"]:
    """Train one generator on the members and return each patient's nearness to what it makes of the
    members.
    """
    mine = train.take(np.isin(train.patient, members))
    renumbered = replace(
        mine,
        patient=np.searchsorted(members, mine.patient),
        patient_names=train.patient_names[members],
    )
    settings = Training(
        rounds=rounds,
        batch=min(32, len(mine)),
        seed=seed,
        warmup=rounds // 4,
        reconstruction=rounds,
        frozen_recognisers=0,
        validate_every=rounds,
    )
    trainer = train_vgan(
        renumbered,
        Architecture(len(members), size_of(train.images), channels=channels_of(train.images)),
        settings,
    )
    vgan = PPRLVGAN("random", trainer.averaged().cpu(), Pools.of(renumbered))
    made = vgan.privatize(renumbered, seeded(seed, "shadow", *members.tolist()))
    gap = nearest(pixels(train.images), pixels(made.images)).distance
    place = np.searchsorted(both, train.patient)
    return -mean_per_patient(gap, place)[1]


@attack(
    name="membership in the training",
    kind="membership",
    target="member",
    place=250,
    asked="cohort",
    knows=membership,
)
def trained_on(setting: Setting) -> Finding:
    """Train small generators without half of the patients each."""
    if setting.known_method.needs != "weights":
        raise NotApplicable("the method has no network that was trained on patients")
    return of_generator(setting.cohort, setting.folder, setting.seed, setting.budget)


def _small(cohort: Cohort, size: int) -> Cohort:
    """Return the cohort with images averaged to `size` pixels, without evidence and twins."""
    images = np.stack(
        [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in cohort.images]
    )
    return replace(cohort, images=images, evidence=None, twin=None)
