"""Linkage: is this released image of the same eye as that original?

A pair is *true* where the original is another image of the same eye, the source itself left out:
who is looked for is the patient, not the file. Pairs with the source itself are counted apart
("own"). An *impostor* pair has another patient, the same side of the eye, and the two labels of the
true pair that it is compared with (the same label twice, unless the patient's label changes between
images), so that a disease or a side that shows links nobody.

The area under the curve is the mean place of the true pairs among the impostor pairs: the
probability that a true pair scores above an impostor pair, ties counted half. A pair is placed
among the impostors of its own side and labels only. Pooled over labels, scores that are merely
higher for one label would move the area, because labels are not equally frequent among true and
impostor pairs. The interval draws the patients of the released images anew and takes the impostors
as they are: there are hundreds of them for every true pair.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.labels import by_label
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable

FALSE = 0.01  # share of impostor pairs that may pass
# 0.1 % needs that many impostor pairs of so many patients
STRICT, STRICT_PAIRS, STRICT_PATIENTS = 0.001, 10_000, 30


def alike(
    probes: Float[np.ndarray, "n d"], gallery: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, "n m"]:
    """Return the cosine of each probe and gallery point; equal gallery points have exactly equal
    values.

    One matrix product can differ in the last bit between equal columns, and would then break ties
    among the members of a group that nobody can tell apart.
    """
    points, which = np.unique(gallery, axis=0, return_inverse=True)
    return (probes @ points.T)[:, which.ravel()]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which of N released images and M gallery images form a pair of which kind; all bool (N, M).

    `true` other images of the same eye, `own` the source itself, `impostor` another patient; `cell`
    int (N, M) numbers the side of the eye and the two labels of a pair, -1 where the sides differ.
    """

    true: Bool[np.ndarray, "n m"]
    own: Bool[np.ndarray, "n m"]
    impostor: Bool[np.ndarray, "n m"]
    cell: Int64[np.ndarray, "n m"]


def pairs(
    cohort: Cohort, source: Int64[np.ndarray, " n"], gallery: Int64[np.ndarray, " m"]
) -> Pairs:
    """Return the pairs of released images that stand for rows `source` and gallery images of rows
    `gallery`.
    """
    same = cohort.patient[source][:, None] == cohort.patient[gallery][None]
    side = np.unique(cohort.eye, return_inverse=True)[1]
    own = source[:, None] == gallery[None]
    labels = 2 * cohort.diseased[source].astype(np.int64)[:, None] + cohort.diseased[gallery][None]
    cell = np.where(
        side[source][:, None] == side[gallery][None], 4 * side[source][:, None] + labels, -1
    )
    return Pairs(same & (cell >= 0) & ~own, own, ~same & (cell >= 0), cell)


@dataclass(frozen=True, eq=False)
class Places:
    """Where true pairs lie among the impostors of one verifier.

    `place` (T,) the share of impostor scores below each true pair's (ties half), `accepted` (T,)
    whether at most 1 % of the impostors score as high, `strict` the same at 0.1 %; `row` (T,) the
    released image of the pair; `own_place`, `own_accepted`, `own_row` (S,) the same for pairs with
    the source itself; `impostors` how many pairs, of how many patients.
    """

    place: Float[np.ndarray, " t"]
    accepted: Bool[np.ndarray, " t"]
    strict: Bool[np.ndarray, " t"]
    row: Int64[np.ndarray, " t"]
    own_place: Float[np.ndarray, " s"]
    own_accepted: Bool[np.ndarray, " s"]
    own_row: Int64[np.ndarray, " s"]
    impostors: int
    impostor_patients: int


def places(
    scores: Float[np.ndarray, "n m"], which: Pairs, patient: Int64[np.ndarray, " n"]
) -> Places:
    """Return the places of all true pairs; `scores` are larger for more alike, `patient` (N,) of
    the released images.

    For each cell one sort of its impostors, then a binary search for each of its pairs; cells
    without impostors are left out. Raises `NotApplicable` where no true pair has any.
    """
    true, own, count, who = [], [], 0, []
    for number in np.unique(which.cell[which.true | which.own]):
        here = which.cell == number
        impostor = here & which.impostor
        impostors = np.sort(scores[impostor].astype(np.float64))
        if len(impostors) == 0:
            continue
        mine = here & which.true
        true.append((*placed(scores[mine].astype(np.float64), impostors), np.nonzero(mine)[0]))
        itself = here & which.own
        own.append((*placed(scores[itself].astype(np.float64), impostors), np.nonzero(itself)[0]))
        count += len(impostors)
        who.append(patient[impostor.any(axis=1)])
    if not true:
        raise NotApplicable(
            "no two patients share a label and a side of the eye: there are no impostors to "
            "compare with"
        )
    place, accepted, strict, row = (np.concatenate(column) for column in zip(*true, strict=True))
    own_place, own_accepted, _, own_row = (
        np.concatenate(column) for column in zip(*own, strict=True)
    )
    return Places(
        place,
        accepted,
        strict,
        row,
        own_place,
        own_accepted,
        own_row,
        count,
        len(np.unique(np.concatenate(who))),
    )


def linked_finding(
    attack: str,
    knowledge: str,
    found: list[Places],
    rows: list[np.ndarray],
    linked: list[Int64[np.ndarray, "m 2"]],
    scene: Scene,
    note: str = "",
) -> Finding:
    """Join what several verifiers found in their own rows of a scene, with what each linked.

    `linked` says for each of `found` which original each of its released images was linked with.
    Raises `NotApplicable` where no verifier had images to compare, and as `finding`.
    """
    if not found:
        raise NotApplicable("there are no images to compare the released ones with")
    joined = finding(attack, knowledge, found, rows, scene.cohort, scene.source, note)
    return replace(joined, linked=np.concatenate(linked))


def with_all_originals(
    attack: str,
    knowledge: str,
    scores: Float[np.ndarray, "n r"],
    scene: Scene,
    note: str = "",
) -> Finding:
    """Return what an attacker finds who learns nothing from pairs, and so compares each released
    image with every original of the cohort: `scores` (N, R), larger for more alike.

    An image is linked with the likeliest original but its source. Raises `NotApplicable` as
    `places` and `finding`.
    """
    rows = np.arange(len(scene.source))
    which = pairs(scene.cohort, scene.source, np.arange(len(scene.cohort)))
    found = places(scores, which, scene.patient)
    others = np.where(which.own, -np.inf, scores)
    linked = np.stack([rows, others.argmax(axis=1)], axis=1)
    return linked_finding(attack, knowledge, [found], [rows], [linked], scene, note)


def finding(
    attack: str,
    knowledge: str,
    found: list[Places],
    rows: list[np.ndarray],
    cohort: Cohort,
    source: Int64[np.ndarray, " n"],
    note: str = "",
) -> Finding:
    """Join the places found by several verifiers, each of which attacked its own patients, into one
    finding.

    `rows` says for each of `found` which of the N released images its rows are; `source` (N,) are
    rows of `cohort`. Measures: "linkage_auc", "tar_1" (true pairs accepted at 1 % false ones),
    "tar_01" where there are enough impostors, "own_auc" and "own_tar_1" for pairs with the source
    itself. `per_patient` is the share of true pairs accepted. Raises `NotApplicable` where no
    released image has another original of its eye.
    """
    place, accepted, strict = (
        np.concatenate([getattr(one, key) for one in found])
        for key in ("place", "accepted", "strict")
    )
    image = np.concatenate([mine[one.row] for one, mine in zip(found, rows, strict=True)])
    if len(place) == 0:
        raise NotApplicable(
            "no released image has another original of the same eye: nothing can be linked"
        )
    patient = cohort.patient[source[image]]
    measures = {"linkage_auc": float(place.mean()), "tar_1": float(accepted.mean())}
    intervals = {
        "linkage_auc": mean_interval(place, patient),
        "tar_1": mean_interval(accepted, patient),
    }
    chance = {"linkage_auc": 0.5, "tar_1": FALSE}
    if all(
        one.impostors >= STRICT_PAIRS and one.impostor_patients >= STRICT_PATIENTS for one in found
    ):
        measures["tar_01"] = float(strict.mean())
        intervals["tar_01"] = mean_interval(strict, patient)
        chance["tar_01"] = STRICT
    outcomes = {"linkage_auc": (place, source[image]), "tar_1": (accepted, source[image])}
    own = np.concatenate([one.own_place for one in found])
    if len(own):
        measures["own_auc"] = float(own.mean())
        taken = np.concatenate([one.own_accepted for one in found])
        measures["own_tar_1"] = float(taken.mean())
        chance |= {"own_auc": 0.5, "own_tar_1": FALSE}
        which = np.concatenate([mine[one.own_row] for one, mine in zip(found, rows, strict=True)])
        itself = source[which]
        intervals["own_auc"] = mean_interval(own, cohort.patient[itself])
        intervals["own_tar_1"] = mean_interval(taken, cohort.patient[itself])
        outcomes |= {"own_auc": (own, itself), "own_tar_1": (taken, itself)}
    return Finding(
        attack,
        knowledge,
        measures,
        intervals,
        chance,
        len(np.unique(image)),
        len(np.unique(patient)),
        rate_per_patient(accepted, patient),
        note=note,
        kind="linking",
        target="source",
        hits=accepted,
        probe=image,
        by_label=by_label(outcomes, cohort),
    )


def placed(scores: np.ndarray, ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the place of each score among ascending impostors, and whether at most 1 % and 0.1 %
    are as high.
    """
    below, upto = (np.searchsorted(ordered, scores, side=side) for side in ("left", "right"))
    as_high = (len(ordered) - below) / len(ordered)
    return (below + upto) / (2 * len(ordered)), as_high <= FALSE, as_high <= STRICT
