"""Who was in: the members of K-Same's means, of its gallery, and of a generator's training, patient
by patient.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.attacks.copying import distances, nearest, pixels
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.inversion import Judge, known_members
from medpriv_lib.attacks.membership import inside_and_outside, membership
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.distances import byte_rank
from medpriv_lib.core.randomness import seeded
from medpriv_lib.privatizers.k_same import KSameSelect, rounded
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.networks import Architecture
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.training import train as train_vgan
from medpriv_lib.study.table import write_json

RUNS = 16  # of K-Same-Select on half of its gallery; without the patient in eight of them
GENERATORS, ROUNDS, SIZE = (
    8,
    60,
    16,
)  # shadow generators: how many, rounds of each, pixels: the scale of the tests


# K-Same with K - 1 known members


def members_of(
    scene: Scene, parameters: dict
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, "n k"]]:
    """Return which released images are means of exactly K images, and of which rows of the cohort:
    (n,), (n, K).

    In query form they are the nearest image of each contributor with the source's label among the
    training images, in release form the images of the same round. Only images that these rows
    reproduce to the last grey level are returned, so that a wrong guess is no member. The source
    comes last where it is one. Raises `ValueError` where no image is reproduced: a method without
    groups, or a gallery that is not the cohort's.
    """
    k, cohort = parameters.get("k", 0), scene.cohort
    counted = (
        np.flatnonzero((scene.contributors >= 0).sum(axis=1) == k)
        if k > 1
        else np.empty(0, dtype=np.int64)
    )
    own = np.union1d(scene.source, scene.known_source)
    pools = (
        [np.flatnonzero(cohort.split == "train")]
        if parameters.get("form") == "query"
        else [scene.source, own]
    )
    rows, members = [], []
    for pool in pools:
        units = _units(cohort, pool)
        for row in np.setdiff1d(counted, rows):
            source = int(scene.source[row])
            mine = [
                units.get((int(p), bool(cohort.diseased[source])))
                for p in scene.contributors[row]
                if p >= 0
            ]
            if any(unit is None for unit in mine):
                continue
            one = _nearest(cohort, mine, source) if len(pools) == 1 else _round(mine, source)
            if one is not None and np.array_equal(
                rounded(cohort.images[one].sum(axis=0) / k), scene.released[row]
            ):
                rows.append(int(row))
                members.append(one)
    if not rows:
        raise ValueError("no released image is the mean of K images that are at hand")
    order = np.argsort(rows)
    return np.array(rows, dtype=np.int64)[order], np.array(members, dtype=np.int64)[order]


def known(
    scene: Scene, parameters: dict, name: Judge, rng: np.random.Generator
) -> list[Callable[[], Finding]]:
    """Return the attacks with K - 1 known members: on the released grey levels, and as if they were
    not rounded.

    The unknown one is the source's own image where that is in the mean, else a member drawn at
    random, whose patient it is that is revealed.
    """
    rows, members = members_of(scene, parameters)
    hidden = np.where(
        members[:, -1] == scene.source[rows],
        members.shape[1] - 1,
        rng.integers(members.shape[1], size=len(rows)),
    )
    taken = members[np.arange(len(rows)), hidden]
    left = np.ones(members.shape, dtype=bool)
    left[np.arange(len(rows)), hidden] = False
    images = scene.cohort.images
    others = images[members[left].reshape(len(rows), -1)]
    exact = images[members].sum(axis=1, dtype=np.int64) / members.shape[1]
    share = float((taken == scene.source[rows]).mean())
    told = f"{len(rows)} of {len(scene.source)} released images; in {share:.2f} of them the unknown one is the source"

    def reveal(mean: np.ndarray, attack: str) -> Finding:
        found = known_members(mean, others, images[taken], scene.cohort.patient[taken], name)
        return replace(found, attack=attack, note=told)

    return [
        lambda: reveal(scene.released[rows], "known members"),
        lambda: reveal(exact, "known members before rounding"),
    ]


def _units(cohort: Cohort, rows: np.ndarray) -> dict[tuple[int, bool], np.ndarray]:
    """Return the rows of each patient and label, in the order of their pixel bytes."""
    rank = byte_rank(cohort.images[rows], np.arange(len(rows)))
    order = rows[np.argsort(rank)]
    units: dict[tuple[int, bool], list[int]] = {}
    for row in order:
        units.setdefault((int(cohort.patient[row]), bool(cohort.diseased[row])), []).append(
            int(row)
        )
    return {key: np.array(value) for key, value in units.items()}


def _nearest(cohort: Cohort, units: list[np.ndarray], source: int) -> np.ndarray:
    """Return the row of each unit that is nearest to the source."""
    everything = np.concatenate(units)
    gap = distances(pixels(cohort.images[[source]]), pixels(cohort.images[everything]))[0]
    ends = np.cumsum([len(unit) for unit in units])
    return np.array(
        [unit[gap[end - len(unit) : end].argmin()] for unit, end in zip(units, ends, strict=True)]
    )


def _round(units: list[np.ndarray], source: int) -> np.ndarray | None:
    """Return the rows of the round in which the source comes first, the source last."""
    own = [place for place, unit in enumerate(units) if source in unit]
    if not own:
        return None
    turn = int(np.flatnonzero(units[own[0]] == source)[0])
    ordered = [unit for place, unit in enumerate(units) if place != own[0]] + [units[own[0]]]
    return np.array([unit[turn % len(unit)] for unit in ordered])


# the gallery of K-Same-Select


def of_gallery(
    scene: Scene, parameters: dict, rng: np.random.Generator, runs: int = RUNS
) -> Finding:
    """Tell whose images are in the gallery of K-Same-Select, by running it again and again with
    random halves of it.

    In query form a patient's score is how near the answer to his other image comes to that image,
    in release form how near any released image comes to an image of his that was not released.
    Labels are dealt to both halves alike. Raises `ValueError` for other methods and where half of
    the patients are too few for K.
    """
    if parameters.get("form") not in ("query", "release") or "k" not in parameters:
        raise ValueError("only K-Same-Select has a gallery that can be dealt out anew")
    cohort, k, form = scene.cohort, parameters["k"], parameters["form"]
    shown = cohort.take(scene.source)
    rest = (
        cohort.take(np.flatnonzero(cohort.split == "train"))
        if form == "query"
        else cohort.take(np.setdiff1d(np.arange(len(cohort)), scene.source))
    )
    gallery, asked = (rest, shown) if form == "query" else (shown, rest)
    both = np.intersect1d(gallery.patient, asked.patient)
    who = np.searchsorted(both, asked.patient)
    mine = np.flatnonzero(np.isin(asked.patient, both))
    asked, who = asked.take(mine), who[mine]
    points = pixels(asked.images)

    def score_of(members: Int64[np.ndarray, " m"]) -> Float[np.ndarray, " p"]:
        chosen = gallery.take(np.isin(gallery.patient, both[members]))
        if form == "query":
            made = pixels(KSameSelect(k, "query").fit(chosen).privatize(asked).images)
            gap = np.sqrt(((made - points) ** 2).sum(axis=1))
        else:
            made = np.unique(pixels(KSameSelect(k, "release").privatize(chosen).images), axis=0)
            gap = nearest(points, made).distance
        return -np.bincount(who, weights=gap) / np.bincount(who)

    sick = np.isin(both, gallery.patient[gallery.diseased]).astype(np.int64)
    found = membership(inside_and_outside(score_of, len(both), runs, rng, sick), rng)
    return replace(
        found,
        attack="membership in the gallery",
        per_patient={int(both[place]): rate for place, rate in found.per_patient.items()},
        note=f"{runs} runs with half of {len(both)} patients each",
    )


# the training patients of a generator


def of_generator(
    cohort: Cohort,
    folder: Path | None,
    seed: int,
    runs: int = GENERATORS,
    rounds: int = ROUNDS,
    size: int = SIZE,
) -> Finding:
    """Tell who was trained on, from small generators each trained without half of the patients.

    Shadow runs at a small scale: images averaged to `size` pixels, `rounds` rounds of batch 32.
    What a patient's training adds to the nearness of the generator's images to his own is measured
    with and without it. A generator that was trained longer remembers more: this bounds the attack
    from below. Each run's scores are kept in `folder`, so that a killed attack goes on. Raises
    `ValueError` where the training images are of fewer than four patients.
    """
    train = _small(cohort.of("train"), size)
    both = np.unique(train.patient)
    if len(both) < 4:
        raise ValueError(f"{len(both)} training patients cannot be dealt into members and others")
    rng = np.random.default_rng(seed)

    def score_of(members: Int64[np.ndarray, " m"]) -> Float[np.ndarray, " p"]:
        name = f"shadow-{train.hash()}-{rounds}-{seed}-" + "".join(
            f"{one:x}" for one in np.packbits(np.isin(np.arange(len(both)), members))
        )
        path = None if folder is None else folder / f"{name[:150]}.json"
        if path is not None and path.is_file():
            return np.array(json.loads(path.read_text(encoding="utf-8"))["scores"])
        scores = _shadow(train, both, both[members], rounds, seed)
        if path is not None:
            write_json(path, {"scores": scores.tolist()})
        return scores

    sick = np.isin(both, train.patient[train.diseased]).astype(np.int64)
    found = membership(inside_and_outside(score_of, len(both), runs, rng, sick), rng)
    return replace(
        found,
        attack="membership in the training",
        per_patient={int(both[place]): rate for place, rate in found.per_patient.items()},
        note=f"{runs} small generators, each trained without half of {len(both)} patients: {size}x{size} pixels, "
        f"{rounds} rounds of batch 32; a generator trained longer can remember more",
    )


def _shadow(
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
    trainer = train_vgan(renumbered, Architecture(len(members), train.images.shape[1]), settings)
    vgan = PPRLVGAN("random", trainer.averaged().cpu(), Pools.of(renumbered))
    made = vgan.privatize(renumbered, seeded(seed, "shadow", *members.tolist()))
    gap = nearest(pixels(train.images), pixels(made.images)).distance
    place = np.searchsorted(both, train.patient)
    return -np.bincount(place, weights=gap) / np.bincount(place)


def _small(cohort: Cohort, size: int) -> Cohort:
    """Return the cohort with images averaged to `size` pixels, without evidence and twins."""
    images = np.stack(
        [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in cohort.images]
    )
    return replace(cohort, images=images, evidence=None, twin=None)
