"""Linking a contributor: does he stand out among the patients who did not go into the image?"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.attacks.attackers import Verifier
from medpriv_lib.attacks.contributors.who import (
    comparable,
    labels_of,
    linked_by_label,
    memberships,
    named_by_label,
    others,
    over_contributors,
    require_contributors,
)
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.identification import best_of_patient
from medpriv_lib.attacks.membership import area
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import ALL, HALVES, Scene
from medpriv_lib.attacks.setting import Setting, both_halves, seen_by
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable


def linked(
    likeness: Float[np.ndarray, "n p"],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    alike: Bool[np.ndarray, "n p"] | None,
    rng: np.random.Generator,
    diseased: Bool[np.ndarray, " n"] | None = None,
) -> Finding:
    """Compare a released image with originals of every patient and see whether its contributors
    stand out.

    Knowledge: originals of the patients and a measure of likeness; the released images alone.
    `likeness` (N, P) of each image to each patient's originals, larger is more alike; `alike` (N,
    P) or None: who shares the label (and eye side) with the contributor, so that the label alone
    links nobody. "linkage_auc": how probable it is that a contributor is more like the image than a
    patient who did not go into it; "rank1": the image's most similar patient, the source left out,
    is a contributor. `per_patient`: the AUC of each contributor over the images. With `diseased`
    (N,), the label of each image's source, both also by label (`named_by_label`).
    """
    used = others(contributors, source, likeness.shape[1])
    found = _linking(
        "contributors linked",
        knowledge_of(linked),
        [likeness],
        [np.ones(likeness.shape[1], dtype=bool)],
        contributors,
        source,
        alike,
        rng,
        diseased,
    )
    shown = likeness.astype(np.float64).copy()
    shown[np.arange(len(source)), source] = -np.inf
    named = shown.argmax(axis=1)
    first = float(used[np.arange(len(used)), named].mean())
    guess = float(used.sum(axis=1).mean() / (likeness.shape[1] - 1))
    found = replace(
        found,
        measures=found.measures | {"rank1": first},
        intervals=found.intervals | {"rank1": over_contributors(used, named)},
        chance=found.chance | {"rank1": guess},
    )
    if diseased is None:
        return found
    everybody = np.ones(used.shape, dtype=bool) if alike is None else alike
    told, chance = named_by_label(used, named, source, everybody, diseased)
    told = {label: found.by_label.get(label, {}) | each for label, each in told.items()}
    return replace(found, by_label=found.by_label | told, label_chance=chance)


def linked_retrained(
    likeness: list[Float[np.ndarray, "n p"]],
    attacked: list[Bool[np.ndarray, " p"]],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    alike: Bool[np.ndarray, "n p"] | None,
    rng: np.random.Generator,
    diseased: Bool[np.ndarray, " n"] | None = None,
) -> Finding:
    """Compare a released image with originals of patients by a verifier that was trained to find
    contributors.

    Knowledge: releases of other originals, with those of their contributors who are in one half of
    the patients, to learn from, and originals of the patients of the other half, who are looked
    for. One `likeness` (N, P) for each verifier, and whom it attacks: `attacked` bool (P,). The
    other arguments and the measure "linkage_auc" are those of `linked`; the patients compared with
    are of the same half.
    """
    return _linking(
        "contributors retrained linkage",
        knowledge_of(linked_retrained),
        likeness,
        attacked,
        contributors,
        source,
        alike,
        rng,
        diseased,
    )


@attack(
    name="contributors linked", kind="contributors", target="contributor", place=120, knows=linked
)
def linked_by_tower_of_originals(setting: Setting) -> Finding:
    """Compare each released image with everybody's originals by a tower that saw originals only."""
    scene = setting.scene
    require_contributors(scene)
    verifier = setting.verifiers[ALL]
    return linked(
        likeness_to_patients(scene, verifier.original(scene.released), verifier),
        scene.contributors,
        scene.patient,
        comparable(scene, labels_of(scene.cohort)),
        setting.stream("contributors"),
        scene.cohort.diseased[scene.source],
    )


@attack(
    name="contributors retrained linkage",
    kind="contributors",
    target="contributor",
    place=240,
    knows=linked_retrained,
)
def linked_by_tower_of_contributors(setting: Setting) -> Finding:
    """Compare each released image with originals by towers that learned to see contributors."""
    scene, verifiers = setting.scene, setting.contributor_verifiers
    both_halves(verifiers)
    likeness = [
        likeness_to_patients(scene, seen_by(verifiers[part])(scene.released), verifiers[part])
        for part in HALVES
    ]
    return linked_retrained(
        likeness,
        [setting.half != number for number in range(len(HALVES))],
        scene.contributors,
        scene.patient,
        comparable(scene, labels_of(scene.cohort)),
        setting.stream("lenders"),
        scene.cohort.diseased[scene.source],
    )


def likeness_to_patients(
    scene: Scene, shown: Float[np.ndarray, "n d"], verifier: Verifier
) -> Float[np.ndarray, "n p"]:
    """Return how like each released image, at the points `shown`, is to each patient's originals,
    sources left out.
    """
    return best_of_patient(
        shown @ verifier.bank[scene.others].T,
        scene.cohort.patient[scene.others],
        scene.cohort.patients,
    )


def _linking(
    name: str,
    knowledge: str,
    likeness: list[np.ndarray],
    attacked: list[np.ndarray],
    contributors: np.ndarray,
    source: np.ndarray,
    alike: np.ndarray | None,
    rng: np.random.Generator,
    diseased: np.ndarray | None,
) -> Finding:
    """Return the finding of one verifier for each group of patients it attacks."""
    patients = likeness[0].shape[1]
    used = others(contributors, source, patients)
    free = ~memberships(contributors, patients)
    free[np.arange(len(source)), source] = False
    if alike is not None:
        free &= alike
    above = np.full(used.shape, np.nan)
    for scores, these in zip(likeness, attacked, strict=True):
        for row in range(len(scores)):
            strangers = scores[row, free[row] & these]
            if len(strangers):
                who = np.flatnonzero(used[row] & these)
                above[row, who] = [area(scores[row, [p]], strangers) for p in who]
    rows, who = np.nonzero(~np.isnan(above))
    if len(rows) == 0:
        raise NotApplicable(
            "no contributor can be compared with a patient of the same label who did not go in"
        )
    values = above[rows, who]
    interval = mean_interval(values, who, generator=rng)
    return Finding(
        name,
        knowledge,
        {"linkage_auc": float(values.mean())},
        {"linkage_auc": interval},
        {"linkage_auc": 0.5},
        len(used),
        len(np.unique(who)),
        rate_per_patient(values, who),
        kind="contributors",
        target="contributor",
        by_label={} if diseased is None else linked_by_label(values, who, diseased[rows]),
    )
