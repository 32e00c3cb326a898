"""The contributors: the same attacks against those whose images or identities stand in for the
patient.

A replacement identity is a real patient, who has agreed to nothing. A contributor here is a patient
who went into a released image and is not the one it stands for; the other patients of the release
are what an attacker might confuse him with.
"""

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.identification import best_of_patient
from medpriv_lib.attacks.intersection import memberships
from medpriv_lib.attacks.membership import area
from medpriv_lib.attacks.scene import ALL, HALVES, Scene
from medpriv_lib.core.intervals import bootstrap, mean_interval


def others(
    contributors: Int64[np.ndarray, "n k"], source: Int64[np.ndarray, " n"], patients: int
) -> Bool[np.ndarray, "n p"]:
    """Return who went into each image besides the source patient: bool (N, patients).

    `source` (N,) is the patient that each image stands for. Raises `ValueError` where nobody else
    went into any image.
    """
    used = memberships(contributors, patients)
    used[np.arange(len(source)), source] = False
    if not used.any():
        raise ValueError(
            "no image of this release was made from another patient: there is no contributor to attack"
        )
    return used


def lessons(
    scene: Scene, part: str, half: Int64[np.ndarray, " p"]
) -> tuple[UInt8[np.ndarray, "m h w"], Int64[np.ndarray, " m"]]:
    """Return what the attacker of a part learns from: each known release once for each of its
    contributors, and whom.

    "all": every contributor; a half: those in that half. Raises `ValueError` where the attacker's
    own releases were made from nobody else, or it is not known from whom.
    """
    if scene.known_contributors is None:
        raise ValueError("nobody knows who contributed to the attacker's own releases")
    rows, who = np.nonzero(
        others(
            scene.known_contributors,
            scene.cohort.patient[scene.known_source],
            scene.cohort.patients,
        )
    )
    mine = np.ones(len(who), dtype=bool) if part == ALL else half[who] == HALVES.index(part)
    return scene.known[rows[mine]], who[mine]


def named_as(
    named: Int64[np.ndarray, " n"],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    patients: int,
) -> Finding:
    """Ask a recogniser who is in a released image and see whether it names a contributor.

    Knowledge: a recogniser trained on originals of the patients; the released images alone. `named`
    (N,) whom it names. "rank1" is the share of images where that is a contributor; `chance` what
    naming somebody at random scores. `per_patient`: of the images that a patient went into, the
    share in which the recogniser names that patient.
    """
    return _naming(
        "contributors named", knowledge_of(named_as), named, others(contributors, source, patients)
    )


def parrot(
    likeness: Float[np.ndarray, "n m"],
    known: Int64[np.ndarray, "m k"],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    patients: int,
) -> Finding:
    """Compare released images with the attacker's own and name who went into the most similar one.

    Knowledge: the method, applied by the attacker to other originals, and who contributed to each
    of these releases; the attacker leaves out the patient whom an image stands for. `likeness` (N,
    M) of the released images to the attacker's own ones, `known` (M, K) the contributors of those.
    Measures as for `named_as`.
    """
    used = others(contributors, source, patients)
    rows, who = np.nonzero(memberships(known, patients))
    scores = best_of_patient(likeness[:, rows], who, patients)
    scores[np.arange(len(source)), source] = -np.inf
    return _naming("contributors parrot", knowledge_of(parrot), scores.argmax(axis=1), used)


def reverse(
    likeness: Float[np.ndarray, "o n"],
    probe: Int64[np.ndarray, " o"],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    patients: int,
) -> Finding:
    """Look among the released images for one that a patient, of whom one has an original, went
    into.

    Knowledge: an original of the contributor that the method did not use, and releases of other
    originals with their contributors to learn from. `likeness` (O, N) of the originals to the
    released images, `probe` (O,) whose they are; originals of patients who went into no image are
    left out. "rank1": the most similar released image, those that stand for the patient left out,
    was made from the patient; `chance` is picking one of them at random.
    """
    used = others(contributors, source, patients)
    present = used.any(axis=0)[probe]
    if not present.any():
        raise ValueError("none of the originals is of a contributor: there is nobody to look for")
    probe, own = probe[present], probe[present][:, None] == source[None]
    hit = used[np.where(own, -np.inf, likeness[present]).argmax(axis=1), probe].astype(np.float64)
    numbers, index, count = np.unique(probe, return_inverse=True, return_counts=True)
    rate = np.bincount(index, weights=hit) / count
    return Finding(
        "contributors reverse",
        knowledge_of(reverse),
        {"rank1": float(hit.mean())},
        {"rank1": mean_interval(hit, probe)},
        {"rank1": float((used.sum(axis=0)[probe] / (~own).sum(axis=1)).mean())},
        len(probe),
        len(numbers),
        dict(zip(numbers.tolist(), rate.tolist(), strict=True)),
    )


def linked(
    likeness: Float[np.ndarray, "n p"],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    alike: Bool[np.ndarray, "n p"] | None,
    rng: np.random.Generator,
) -> Finding:
    """Compare a released image with originals of every patient and see whether its contributors
    stand out.

    Knowledge: originals of the patients and a measure of likeness; the released images alone.
    `likeness` (N, P) of each image to each patient's originals, larger is more alike; `alike` (N,
    P) or None: who shares the label (and eye side) with the contributor, so that the label alone
    links nobody. "linkage_auc": how probable it is that a contributor is more like the image than a
    patient who did not go into it; "rank1": the image's most similar patient, the source left out,
    is a contributor. `per_patient`: the AUC of each contributor over the images.
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
    )
    shown = likeness.astype(np.float64).copy()
    shown[np.arange(len(source)), source] = -np.inf
    found.measures["rank1"] = float(used[np.arange(len(used)), shown.argmax(axis=1)].mean())
    found.chance["rank1"] = float(used.sum(axis=1).mean() / (likeness.shape[1] - 1))
    return found


def linked_retrained(
    likeness: list[Float[np.ndarray, "n p"]],
    attacked: list[Bool[np.ndarray, " p"]],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    alike: Bool[np.ndarray, "n p"] | None,
    rng: np.random.Generator,
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
        raise ValueError(
            "no contributor can be compared with a patient of the same label who did not go in"
        )
    values = above[rows, who]
    low, high = bootstrap(
        np.stack([values, np.ones_like(values)], axis=1),
        who,
        lambda t: t[:, 0] / t[:, 1],
        generator=rng,
    )
    numbers = np.unique(who)
    rate = np.bincount(who, weights=values)[numbers] / np.bincount(who)[numbers]
    return Finding(
        name,
        knowledge,
        {"linkage_auc": float(values.mean())},
        {"linkage_auc": (low, high)},
        {"linkage_auc": 0.5},
        len(used),
        len(numbers),
        dict(zip(numbers.tolist(), rate.tolist(), strict=True)),
    )


def _naming(name: str, knowledge: str, named: np.ndarray, used: np.ndarray) -> Finding:
    """Return the finding of an attack that names one patient per released image; the measures are
    in `named_as`.
    """
    hit = used[np.arange(len(named)), named]
    times = used.sum(axis=0)
    who = np.flatnonzero(times)
    found = np.bincount(named[hit], minlength=used.shape[1])[who] / times[who]
    return Finding(
        name,
        knowledge,
        {"rank1": float(hit.mean())},
        {"rank1": _over_contributors(used, named)},
        {"rank1": float(used.sum(axis=1).mean() / used.shape[1])},
        len(named),
        len(who),
        dict(zip(who.tolist(), found.tolist(), strict=True)),
    )


def _over_contributors(
    used: Bool[np.ndarray, "n p"], named: Int64[np.ndarray, " n"]
) -> tuple[float, float]:
    """Return the 95 % interval of the share of images naming a contributor, contributors drawn
    anew.

    An image with several contributors counts for each of them in equal parts.
    """
    rows, who = np.nonzero(used)
    part = 1 / used.sum(axis=1)[rows]
    hit = used[np.arange(len(named)), named][rows]
    return bootstrap(
        np.stack([hit * part, part], axis=1), who, lambda total: total[:, 0] / total[:, 1]
    )
