"""Unmixing: who is in a mean of generated images, and whose image is behind it?

The mean of K decodes of one code is linear in the decodes. A linear reader that has learned to tell
the identity of a single decode therefore says of a mean how much of every identity is in it, though
it has never seen a mean. The source's own identity is always one of the K, and the code in the mean
is read as in a single image: both together name the source.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from medpriv_lib.attacks.code_reading import codes_of, of_patients, read
from medpriv_lib.attacks.contributors.linked import linked
from medpriv_lib.attacks.contributors.who import (
    comparable,
    labels_of,
    memberships,
    require_contributors,
)
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.identification import naming, originals_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.intervals import mean_interval
from medpriv_lib.core.not_applicable import NotApplicable


def unmixing(weight: Float[np.ndarray, "n p"], scene: Scene, rng: np.random.Generator) -> Finding:
    """Say how much of every identity is in a released mean, and take the K with the most.

    Knowledge: the weights of the generator, originals of other patients to decode and learn from,
    and that an image is a mean of K decodes of one code. `weight` (N, P). Measures: "linkage_auc"
    and "rank1" of contributors other than the source, as of "contributors linked"; "found", the
    share of all K contributors among the K identities with the most weight; "first", how often the
    one with the most is a contributor.
    """
    found = linked(
        weight,
        scene.contributors,
        scene.patient,
        comparable(scene, labels_of(scene.cohort)),
        rng,
        scene.cohort.diseased[scene.source],
    )
    used = memberships(scene.contributors, scene.cohort.patients)
    count = used.sum(axis=1)
    place = np.argsort(np.argsort(-weight, axis=1, kind="stable"), axis=1, kind="stable")
    got = (used & (place < count[:, None])).sum(axis=1) / np.maximum(count, 1)
    first = used[np.arange(len(used)), weight.argmax(axis=1)]
    guess = float((count / scene.cohort.patients).mean())
    return replace(
        found,
        attack="unmixing",
        knowledge=knowledge_of(unmixing),
        measures=found.measures | {"found": float(got.mean()), "first": float(first.mean())},
        intervals=found.intervals
        | {
            "found": mean_interval(got, scene.patient),
            "first": mean_interval(first, scene.patient),
        },
        chance=found.chance | {"found": guess, "first": guess},
    )


def named_in_mean(
    likeness: Float[np.ndarray, "n p"], weight: Float[np.ndarray, "n p"], number: int, scene: Scene
) -> Finding:
    """Name, among the K identities that are in a mean, the patient whose originals have its code.

    Knowledge: the weights of the generator, that the source's own identity is among the K of a
    mean, and other originals of all patients, none of them the source. `likeness` (N, P) log-ratios
    of the code to each patient's originals, `weight` (N, P) how much of each identity is in it,
    `number` K. Who is not among the K comes after all who are.
    """
    place = np.argsort(np.argsort(-weight, axis=1, kind="stable"), axis=1, kind="stable")
    there = np.isfinite(likeness)
    below = np.where(there, likeness, 0).min() - np.where(there, likeness, 0).max() - 1
    scores = np.where(place < number, likeness, likeness + below)
    gallery = int(there[0].sum())
    found = naming("named in a mean", knowledge_of(named_in_mean), scores, scene.patient, gallery)
    return replace(found, linked=originals_of(scene, scores.argmax(axis=1)))


def _weight(setting: Setting) -> Float[np.ndarray, "n p"]:
    """Return how much of each patient's identity is in each image, (N, patients).

    Raises `NotApplicable` where the identities are no patients.
    """
    reader = codes_of(setting).reader
    if not reader.numbered:
        raise NotApplicable("the identities shown are nobody's: there is no list to be found")
    told = read(setting).weight
    weight = np.zeros((len(told), setting.cohort.patients))
    weight[:, : told.shape[1]] = told
    return weight


@attack(name="unmixing", kind="contributors", target="contributor", place=360, knows=unmixing)
def _contributors(setting: Setting) -> Finding:
    require_contributors(setting.scene)
    stream = np.random.default_rng(setting.seed)
    return unmixing(_weight(setting), setting.scene, stream)


@attack(
    name="named in a mean",
    kind="naming",
    target="source",
    place=370,
    asked="draw",
    knows=named_in_mean,
)
def _source(setting: Setting) -> Finding:
    codes = codes_of(setting)
    if codes.reader.number < 2:
        raise NotApplicable("each released image is a single decode, and no mean")
    likeness = of_patients(codes, read(setting).z, setting.scene)
    return named_in_mean(likeness, _weight(setting), codes.reader.number, setting.scene)
