"""The contributors: the same attacks against those whose images or identities stand in for the patient.

A replacement identity is a real patient, who has agreed to nothing. A contributor here is a patient who went into a
released image and is not the one it stands for; the other patients of the release are what an attacker might confuse
him with.
"""

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.evaluation.attacks import Finding, knowledge_of
from medpriv_lib.evaluation.attacks.intersection import memberships
from medpriv_lib.evaluation.attacks.membership import area
from medpriv_lib.evaluation.intervals import bootstrap


def others(contributors: Int64[np.ndarray, "n k"], source: Int64[np.ndarray, " n"], patients: int
           ) -> Bool[np.ndarray, "n p"]:
    """Return who went into each image besides the source patient: bool (N, patients).

    `source` (N,) is the patient that each image stands for. Raises `ValueError` where nobody else went into any image.
    """
    used = memberships(contributors, patients)
    used[np.arange(len(source)), source] = False
    if not used.any():
        raise ValueError("no image of this release was made from another patient: there is no contributor to attack")
    return used


def named_as(named: Int64[np.ndarray, " n"], contributors: Int64[np.ndarray, "n k"], source: Int64[np.ndarray, " n"],
             patients: int) -> Finding:
    """Ask a recogniser who is in a released image and see whether it names a contributor.

    Knowledge: a recogniser trained on originals of the patients; the released images alone.
    `named` (N,) whom it names. "rank1" is the share of images where that is a contributor; `chance` what naming
    somebody at random scores. `per_patient`: of the images that a patient went into, the share in which the recogniser
    names that patient.
    """
    used = others(contributors, source, patients)
    hit = used[np.arange(len(named)), named]
    low, high = _over_contributors(used, named)
    times = used.sum(axis=0)
    who = np.flatnonzero(times)
    found = np.bincount(named[hit], minlength=patients)[who] / times[who]
    return Finding("contributors named", knowledge_of(named_as), {"rank1": float(hit.mean())}, {"rank1": (low, high)},
                   {"rank1": float(used.sum(axis=1).mean() / patients)}, len(named), len(who),
                   dict(zip(who.tolist(), found.tolist(), strict=True)))


def linked(likeness: Float[np.ndarray, "n p"], contributors: Int64[np.ndarray, "n k"], source: Int64[np.ndarray, " n"],
           alike: Bool[np.ndarray, "n p"] | None, rng: np.random.Generator) -> Finding:
    """Compare a released image with originals of every patient and see whether its contributors stand out.

    Knowledge: originals of the patients and a measure of likeness; the released images alone.
    `likeness` (N, P) of each image to each patient's originals, larger is more alike; `alike` (N, P) or None: who
    shares the label (and eye side) with the contributor, so that the label alone links nobody. "linkage_auc": how
    probable it is that a contributor is more like the image than a patient who did not go into it; "rank1": the image's
    most similar patient, the source left out, is a contributor. `per_patient`: the AUC of each contributor over the
    images.
    """
    patients = likeness.shape[1]
    used = others(contributors, source, patients)
    free = ~memberships(contributors, patients)
    free[np.arange(len(source)), source] = False
    if alike is not None:
        free &= alike
    above = np.full(likeness.shape, np.nan)
    for row in range(len(likeness)):
        strangers = likeness[row, free[row]]
        if len(strangers):
            who = np.flatnonzero(used[row])
            above[row, who] = [area(likeness[row, [p]], strangers) for p in who]
    compared = ~np.isnan(above)
    if not compared.any():
        raise ValueError("no contributor can be compared with a patient of the same label who did not go in")
    rows, who = np.nonzero(compared)
    values = above[rows, who]
    shown = likeness.astype(np.float64).copy()
    shown[np.arange(len(source)), source] = -np.inf
    first = used[np.arange(len(used)), shown.argmax(axis=1)]
    low, high = bootstrap(np.stack([values, np.ones_like(values)], axis=1), who, lambda t: t[:, 0] / t[:, 1],
                          generator=rng)
    numbers = np.unique(who)
    rate = np.bincount(who, weights=values)[numbers] / np.bincount(who)[numbers]
    return Finding("contributors linked", knowledge_of(linked),
                   {"linkage_auc": float(values.mean()), "rank1": float(first.mean())}, {"linkage_auc": (low, high)},
                   {"linkage_auc": 0.5, "rank1": float(used.sum(axis=1).mean() / (patients - 1))}, len(likeness),
                   len(numbers), dict(zip(numbers.tolist(), rate.tolist(), strict=True)))


def _over_contributors(used: Bool[np.ndarray, "n p"], named: Int64[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the 95 % interval of the share of images naming a contributor, contributors drawn anew.

    An image with several contributors counts for each of them in equal parts.
    """
    rows, who = np.nonzero(used)
    part = 1 / used.sum(axis=1)[rows]
    hit = used[np.arange(len(named)), named][rows]
    return bootstrap(np.stack([hit * part, part], axis=1), who, lambda total: total[:, 0] / total[:, 1])
