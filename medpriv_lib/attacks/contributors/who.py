"""Who went into a released image, beside the patient it stands for."""

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from medpriv_lib.attacks.finding import LabelChance, Labelled
from medpriv_lib.attacks.labels import LABELS
from medpriv_lib.attacks.scene import ALL, HALVES, Scene
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import bootstrap, mean_interval
from medpriv_lib.core.not_applicable import NotApplicable


def memberships(contributors: Int64[np.ndarray, "n k"], patients: int) -> Bool[np.ndarray, "n p"]:
    """Return who went into each image: bool (N, patients); -1 pads are nobody."""
    rows, columns = np.nonzero(contributors >= 0)
    out = np.zeros((len(contributors), patients), dtype=bool)
    out[rows, contributors[rows, columns]] = True
    return out


def others(
    contributors: Int64[np.ndarray, "n k"], source: Int64[np.ndarray, " n"], patients: int
) -> Bool[np.ndarray, "n p"]:
    """Return who went into each image besides the source patient: bool (N, patients).

    `source` (N,) is the patient that each image stands for. Raises `NotApplicable` where nobody
    else went into any image.
    """
    used = memberships(contributors, patients)
    used[np.arange(len(source)), source] = False
    if not used.any():
        raise NotApplicable(
            "no image of this release was made from another patient: there is no contributor to "
            "attack"
        )
    return used


def lessons(
    scene: Scene, part: str, half: Int64[np.ndarray, " p"]
) -> tuple[UInt8[np.ndarray, "m h w"], Int64[np.ndarray, " m"]]:
    """Return what the attacker of a part learns from: each known release once for each of its
    contributors, and whom.

    "all": every contributor; a half: those in that half. Raises `NotApplicable` where the
    attacker's own releases were made from nobody else, or it is not known from whom.
    """
    if scene.known_contributors is None:
        raise NotApplicable("nobody knows who contributed to the attacker's own releases")
    used = others(
        scene.known_contributors, scene.cohort.patient[scene.known_source], scene.cohort.patients
    )
    rows, who = np.nonzero(used)
    mine = np.ones(len(who), dtype=bool) if part == ALL else half[who] == HALVES.index(part)
    return scene.known[rows[mine]], who[mine]


def labels_of(cohort: Cohort) -> Bool[np.ndarray, "p 2"]:
    """Return whether each patient has images without and with the disease: bool (P, 2).

    In the training images, which most methods draw from; of a patient without any there, in all
    images.
    """
    has_label = np.zeros((2, cohort.patients, 2), dtype=bool)
    trained = cohort.split == "train"
    has_label[0, cohort.patient[trained], cohort.diseased[trained].astype(int)] = True
    has_label[1, cohort.patient, cohort.diseased.astype(int)] = True
    return np.where(has_label[0].any(axis=1, keepdims=True), has_label[0], has_label[1])


def comparable(scene: Scene, has_label: Bool[np.ndarray, "p 2"]) -> Bool[np.ndarray, "n p"]:
    """Return who has images of the label that most of each image's contributors have: bool (N,
    P).
    """
    there = scene.contributors >= 0
    of_each = has_label[np.where(there, scene.contributors, 0)]
    share = np.where(there, of_each[..., 1] / of_each.sum(axis=2), 0).sum(axis=1)
    return has_label[:, (share / np.maximum(there.sum(axis=1), 1) > 0.5).astype(int)].T


def over_contributors(
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


def named_by_label(
    used: Bool[np.ndarray, "n p"],
    named: Int64[np.ndarray, " n"],
    source: Int64[np.ndarray, " n"],
    alike: Bool[np.ndarray, "n p"],
    diseased: Bool[np.ndarray, " n"],
) -> tuple[Labelled, LabelChance]:
    """Return "rank1" of an attack that names one patient `named` (N,) for each image, by the label
    `diseased` (N,) of its source, and what guessing scores there.

    `used` (N, P) who went in besides the source, as of `others`; `source` (N,) the patients that
    the images stand for. The guess is that of somebody who knows of each image which label its
    contributors have: one of the patients `alike` (N, P) at random, the source left out. So the
    label alone names nobody.
    """
    free = alike.copy()
    free[np.arange(len(source)), source] = False
    guess = (used & free).sum(axis=1) / np.maximum(free.sum(axis=1), 1)
    hit, told, chance = used[np.arange(len(named)), named], {}, {}
    for number, label in enumerate(LABELS):
        mine = diseased == bool(number)
        if used[mine].any():
            ends = over_contributors(used[mine], named[mine])
            told[label] = {"rank1": (float(hit[mine].mean()), *ends)}
            chance[label] = {"rank1": float(guess[mine].mean())}
    return told, chance


def linked_by_label(
    values: Float[np.ndarray, " h"], who: Int64[np.ndarray, " h"], diseased: Bool[np.ndarray, " h"]
) -> Labelled:
    """Return "linkage_auc" by the label of the images' sources: `values` (H,) how contributor `who`
    (H,) stands among the others in an image whose source is `diseased` (H,) or not.
    """
    return {
        label: {
            "linkage_auc": (float(values[mine].mean()), *mean_interval(values[mine], who[mine]))
        }
        for label, mine in zip(LABELS, (~diseased, diseased), strict=True)
        if mine.any()
    }


def require_contributors(scene: Scene) -> None:
    """Raise `NotApplicable` for a release that names nobody who went in."""
    if scene.contributors.shape[1] == 0:
        raise NotApplicable("the method uses no images or identities of other patients")
