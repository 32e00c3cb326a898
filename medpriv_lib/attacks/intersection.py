"""Several releases of the same case: what each hides, all of them together may tell.

K-Same promises something about one release. Somebody who holds two, made with another K, another
seed or another draw, knows that the patient is among those who could be behind both. An averaged
set is worse off: whatever the draw, one of its K identities is always the patient's own, so that
the others wash out.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from medpriv_lib.attacks.contributors.who import memberships
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable


def common(groups: Sequence[Int64[np.ndarray, "n k"]], patients: int) -> Bool[np.ndarray, "r n p"]:
    """Return who is left after the first 1, 2, … R releases: bool (R, N, patients), the running
    intersections.

    Raises `ValueError` where the releases are not all of the same N images.
    """
    if len({len(group) for group in groups}) != 1:
        raise ValueError("the releases must stand for the same images, in the same order")
    return np.logical_and.accumulate(
        np.stack([memberships(group, patients) for group in groups]), axis=0
    )


def intersect_groups(
    groups: Sequence[Int64[np.ndarray, "n k"]], patient: Int64[np.ndarray, " n"], patients: int
) -> Finding:
    """Intersect the groups of several releases of the same images and guess among the patients who
    are left.

    Knowledge: for each release who is in the group of the image, and that all these releases stand
    for one patient. `groups` one (N, K) table of patients per release; `patient` (N,) the truth. A
    guess is uniform among those left: where the patient is among them it is right with 1 / left.
    Curves "left", "kept" and "rank1": the mean number left, the share of images whose patient is
    still among them, and the expected hits, after 1, 2, … releases.
    """
    left = common(groups, patients)
    size = left.sum(axis=2)
    kept = left[:, np.arange(len(patient)), patient]
    chance_right = np.where(kept, 1 / np.maximum(size, 1), 0.0)
    single = (size[-1] == 1) & kept[-1]
    measures = {
        "rank1": float(chance_right[-1].mean()),
        "left": float(size[-1].mean()),
        "kept": float(kept[-1].mean()),
        "singled_out": float(single.mean()),
    }
    return Finding(
        "intersection of groups",
        knowledge_of(intersect_groups),
        measures,
        {
            "rank1": mean_interval(chance_right[-1], patient),
            "singled_out": mean_interval(single, patient),
        },
        {"rank1": 1 / patients},
        len(patient),
        len(np.unique(patient)),
        rate_per_patient(chance_right[-1], patient),
        {
            "left": size.mean(axis=1).tolist(),
            "kept": kept.mean(axis=1).tolist(),
            "rank1": chance_right.mean(axis=1).tolist(),
        },
        kind="intersection",
        target="source",
    )


def add_evidence(scores: Float[np.ndarray, "r n p"], patient: Int64[np.ndarray, " n"]) -> Finding:
    """Add up what several releases say of every patient and name the one with the most.

    Knowledge: that these releases stand for one patient, and a score for every patient in each of
    them (a recogniser's log-probabilities, or minus the distance to the patient's nearest
    original). `scores` (R, N, P), larger means more likely; `patient` (N,) the truth. Curve
    "rank1": the share named right after 1, 2, … releases.
    """
    total = np.cumsum(np.asarray(scores, dtype=np.float64), axis=0)
    hit = total.argmax(axis=2) == patient
    place = (total[-1] > total[-1][np.arange(len(patient)), patient][:, None]).sum(axis=1)
    measures = {
        "rank1": float(hit[-1].mean()),
        "rank5": float((place < 5).mean()),
        "rank1_of_one": float(hit[0].mean()),
    }
    patients = scores.shape[2]
    return Finding(
        "intersection of evidence",
        knowledge_of(add_evidence),
        measures,
        {"rank1": mean_interval(hit[-1], patient), "rank1_of_one": mean_interval(hit[0], patient)},
        {"rank1": 1 / patients, "rank5": min(1.0, 5 / patients), "rank1_of_one": 1 / patients},
        len(patient),
        len(np.unique(patient)),
        rate_per_patient(hit[-1], patient),
        {"rank1": hit.mean(axis=1).tolist()},
        kind="intersection",
        target="source",
    )


@attack(
    name="intersection of evidence",
    kind="intersection",
    target="source",
    place=110,
    knows=add_evidence,
)
def evidence_of_draws(setting: Setting) -> Finding:
    """Add up what the recogniser of originals says of several draws of the same images."""
    _ = setting.recogniser
    draws = range(len(setting.scenes))
    if len(draws) < 2:
        raise NotApplicable("one release alone has nothing to be intersected with")
    scores = [
        torch.log_softmax(torch.from_numpy(setting.of_draw(draw).scores()), dim=1).numpy()
        for draw in draws
    ]
    return add_evidence(np.stack(scores), setting.scene.patient)
