"""Homogeneity: who knows that somebody is in a group learns what the group has in common.

K-anonymity says nothing about the sensitive attribute (Machanavajjhala et al. 2007, the homogeneity
attack). The yardstick is what groups of the same sizes would tell if labels were dealt out at
random: small groups agree by chance.
"""

import numpy as np
from jaxtyping import Bool, Int64

from medpriv_lib.attacks.contributors.who import labels_of, require_contributors
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.anonymity import groups_of_equal

SIMULATIONS = 200


def homogeneity(
    group: Int64[np.ndarray, " n"],
    patient: Int64[np.ndarray, " n"],
    diseased: Bool[np.ndarray, " n"],
    rng: np.random.Generator,
    simulations: int = SIMULATIONS,
) -> Finding:
    """Guess the label of a group's member as the group's more frequent one.

    Knowledge: in which group of equal images the patient is, and how many of that group have the
    disease. `group`, `patient`, `diseased` (N,) per released image; groups as of `anonymity.audit`.
    Measures: "right", the share of correct guesses; "majority", what always guessing the more
    frequent label of all scores; "one_label", the share of images in a group with one label;
    "bits", the mutual information of group and label. `chance` deals the labels out at random among
    the images, `simulations` times.
    """
    sure, bits = _told(group, diseased)
    expected = np.mean(
        [_summary(*_told(group, rng.permutation(diseased))) for _ in range(simulations)], axis=0
    )
    right, one, information = _summary(sure, bits)
    guess = _counts(group, diseased)
    hit = np.where(diseased, guess[:, 0] > guess[:, 1], guess[:, 1] >= guess[:, 0])
    return Finding(
        "homogeneity",
        knowledge_of(homogeneity),
        {
            "right": right,
            "majority": float(max(diseased.mean(), 1 - diseased.mean())),
            "one_label": one,
            "bits": information,
        },
        {"right": mean_interval(sure, patient), "one_label": mean_interval(sure == 1, patient)},
        dict(zip(("right", "one_label", "bits"), expected.tolist(), strict=True)),
        len(group),
        len(np.unique(patient)),
        rate_per_patient(hit, patient),
        kind="homogeneity",
        target="label",
    )


def of_contributors(
    contributors: Int64[np.ndarray, "n k"],
    shown: Bool[np.ndarray, " n"],
    has_label: Bool[np.ndarray, "p 2"],
) -> Finding:
    """Read the label that a released image shows as the label of everybody who went into it.

    Knowledge: whose images or identities went into a released image, and the label that is
    published with it. `shown` (N,) that label; `has_label` (P, 2) whether a patient truly has
    images without and with the disease. "right" is the share of (image, contributor) pairs where
    the contributor has an image of that label; `chance` what the pairs would give if the shown
    labels were dealt out among all patients alike.
    """
    rows, columns = np.nonzero(contributors >= 0)
    if len(rows) == 0:
        raise NotApplicable("this release names no contributors; nobody's label is told by it")
    who = contributors[rows, columns]
    right = has_label[who, shown[rows].astype(int)]
    known = has_label[has_label.any(axis=1)]
    base = float(known[:, shown.astype(int)].mean())
    return Finding(
        "homogeneity of contributors",
        knowledge_of(of_contributors),
        {"right": float(right.mean())},
        {"right": mean_interval(right, who)},
        {"right": base},
        len(contributors),
        len(np.unique(who)),
        rate_per_patient(right, who),
        kind="homogeneity",
        target="label",
    )


@attack(
    name="homogeneity of contributors",
    kind="homogeneity",
    target="label",
    place=130,
    knows=of_contributors,
)
def labels_of_contributors(setting: Setting) -> Finding:
    """Read the label that a released image shows as that of everybody who went into it."""
    scene, cohort = setting.scene, setting.cohort
    require_contributors(scene)
    shown = cohort.diseased[scene.source]
    return of_contributors(scene.contributors, shown, labels_of(cohort))


@attack(name="homogeneity", kind="homogeneity", target="label", place=210, knows=homogeneity)
def labels_of_groups(setting: Setting) -> Finding:
    """Read the more frequent label of a group of equal images as that of each member."""
    scene, cohort = setting.scene, setting.cohort
    groups = groups_of_equal(scene.released)
    if len(np.unique(groups)) == len(groups):
        raise NotApplicable("no two released images are equal: there are no groups")
    labels = cohort.diseased[scene.source]
    return homogeneity(groups, scene.patient, labels, setting.stream("contributors"))


def _counts(group: np.ndarray, diseased: np.ndarray) -> np.ndarray:
    """Return per image how many of its group have the disease and how many have not: (N, 2)."""
    number = int(group.max()) + 1
    sick = np.bincount(group, weights=diseased, minlength=number)
    return np.stack([sick, np.bincount(group, minlength=number) - sick], axis=1)[group]


def _told(group: np.ndarray, diseased: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return per image the share of its group's more frequent label, and the bits that the group
    tells of the label.
    """
    counts = _counts(group, diseased)
    share = counts / counts.sum(axis=1, keepdims=True)
    return share.max(axis=1), _entropy(np.array([diseased.mean(), 1 - diseased.mean()])) - _entropy(
        share
    )


def _entropy(share: np.ndarray) -> np.ndarray:
    return -(share * np.log2(np.where(share > 0, share, 1))).sum(axis=-1)


def _summary(sure: np.ndarray, bits: np.ndarray) -> tuple[float, float, float]:
    return float(sure.mean()), float((sure == 1).mean()), float(bits.mean())
