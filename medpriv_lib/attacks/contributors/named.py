"""Naming a contributor: by a recogniser, by one's own releases, by one of his originals."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.attacks.contributors.who import (
    comparable,
    labels_of,
    memberships,
    named_by_label,
    others,
    over_contributors,
    require_contributors,
)
from medpriv_lib.attacks.finding import Finding, LabelChance, Labelled, knowledge_of
from medpriv_lib.attacks.identification import best_of_patient
from medpriv_lib.attacks.labels import LABELS
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import ALL
from medpriv_lib.attacks.setting import Setting, seen_by
from medpriv_lib.attacks.verification import alike
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable


def named_as(
    named: Int64[np.ndarray, " n"],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    patients: int,
    peers: Bool[np.ndarray, "n p"] | None = None,
    diseased: Bool[np.ndarray, " n"] | None = None,
) -> Finding:
    """Ask a recogniser who is in a released image and see whether it names a contributor.

    Knowledge: a recogniser trained on originals of the patients; the released images alone. `named`
    (N,) whom it names. "rank1" is the share of images where that is a contributor; `chance` what
    naming somebody at random scores. `per_patient`: of the images that a patient went into, the
    share in which the recogniser names that patient. With `peers` (N, P), who shares the label with
    an image's contributors, and `diseased` (N,), the label of its source, also by label.
    """
    used = others(contributors, source, patients)
    found = _naming("contributors named", knowledge_of(named_as), named, used)
    return _by_label(found, used, named, source, peers, diseased)


def parrot(
    likeness: Float[np.ndarray, "n m"],
    known: Int64[np.ndarray, "m k"],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    patients: int,
    peers: Bool[np.ndarray, "n p"] | None = None,
    diseased: Bool[np.ndarray, " n"] | None = None,
) -> Finding:
    """Compare released images with the attacker's own and name who went into the most similar one.

    Knowledge: the method, applied by the attacker to other originals, and who contributed to each
    of these releases; the attacker leaves out the patient whom an image stands for. `likeness` (N,
    M) of the released images to the attacker's own ones, `known` (M, K) the contributors of those.
    Measures, `peers` and `diseased` as for `named_as`.
    """
    used = others(contributors, source, patients)
    rows, who = np.nonzero(memberships(known, patients))
    scores = best_of_patient(likeness[:, rows], who, patients)
    scores[np.arange(len(source)), source] = -np.inf
    named = scores.argmax(axis=1)
    found = _naming("contributors parrot", knowledge_of(parrot), named, used)
    return _by_label(found, used, named, source, peers, diseased)


def reverse(
    likeness: Float[np.ndarray, "o n"],
    probe: Int64[np.ndarray, " o"],
    contributors: Int64[np.ndarray, "n k"],
    source: Int64[np.ndarray, " n"],
    patients: int,
    diseased: Bool[np.ndarray, " n"] | None = None,
    looked_for: Bool[np.ndarray, " o"] | None = None,
) -> Finding:
    """Look among the released images for one that a patient, of whom one has an original, went
    into.

    Knowledge: an original of the contributor that the method did not use, and releases of other
    originals with their contributors to learn from. `likeness` (O, N) of the originals to the
    released images, `probe` (O,) whose they are; originals of patients who went into no image are
    left out. "rank1": the most similar released image, those that stand for the patient left out,
    was made from the patient; `chance` is picking one of them at random. With the labels of the
    images' sources, `diseased` (N,), and of the originals, `looked_for` (O,), also by the latter:
    the guess there picks one of the images with that label, where there are any.
    """
    used = others(contributors, source, patients)
    present = np.asarray(used.any(axis=0))[probe]
    if not present.any():
        raise NotApplicable(
            "none of the originals is of a contributor: there is nobody to look for"
        )
    probe, own = probe[present], probe[present][:, None] == source[None]
    hit = used[np.where(own, -np.inf, likeness[present]).argmax(axis=1), probe].astype(np.float64)
    found = Finding(
        "contributors reverse",
        knowledge_of(reverse),
        {"rank1": float(hit.mean())},
        {"rank1": mean_interval(hit, probe)},
        {"rank1": float((used.sum(axis=0)[probe] / (~own).sum(axis=1)).mean())},
        len(probe),
        len(np.unique(probe)),
        rate_per_patient(hit, probe),
        kind="contributors",
        target="contributor",
    )
    if diseased is None or looked_for is None:
        return found
    told: Labelled = {}
    chance: LabelChance = {}
    for number, label in enumerate(LABELS):
        mine = looked_for[present] == bool(number)
        if mine.any():
            among = ~own[mine] & (diseased == bool(number))
            among = np.where(among.any(axis=1, keepdims=True), among, ~own[mine])
            guess = (used.T[probe[mine]] & among).sum(axis=1) / among.sum(axis=1)
            told[label] = {
                "rank1": (float(hit[mine].mean()), *mean_interval(hit[mine], probe[mine]))
            }
            chance[label] = {"rank1": float(guess.mean())}
    return replace(found, by_label=told, label_chance=chance)


@attack(
    name="contributors named", kind="contributors", target="contributor", place=140, knows=named_as
)
def named_by_recogniser(setting: Setting) -> Finding:
    """Let the recogniser of originals name who is in each released image."""
    scene = setting.scene
    require_contributors(scene)
    named = setting.scores().argmax(axis=1)
    return named_as(
        named,
        scene.contributors,
        scene.patient,
        scene.cohort.patients,
        comparable(scene, labels_of(scene.cohort)),
        scene.cohort.diseased[scene.source],
    )


@attack(
    name="contributors reverse",
    kind="contributors",
    target="contributor",
    place=220,
    knows=reverse,
)
def looked_for(setting: Setting) -> Finding:
    """Look for each patient of whom there is an original that the method was not fitted to."""
    scene, cohort = setting.scene, setting.cohort
    unused = np.setdiff1d(np.flatnonzero(cohort.split != "train"), scene.source)
    shown = setting.released_points(ALL, contributors=True)
    return reverse(
        alike(setting.contributor_verifiers[ALL].bank[unused], shown),
        cohort.patient[unused],
        scene.contributors,
        scene.patient,
        cohort.patients,
        cohort.diseased[scene.source],
        cohort.diseased[unused],
    )


@attack(
    name="contributors parrot", kind="contributors", target="contributor", place=230, knows=parrot
)
def compared_with_own_releases(setting: Setting) -> Finding:
    """Compare the released images with those that the attacker made of other originals."""
    scene = setting.scene
    shown = setting.released_points(ALL, contributors=True)
    if scene.known_contributors is None:
        raise NotApplicable("nobody knows who contributed to the attacker's own releases")
    known = seen_by(setting.contributor_verifiers[ALL])(scene.known)
    return parrot(
        alike(shown, known),
        scene.known_contributors,
        scene.contributors,
        scene.patient,
        scene.cohort.patients,
        comparable(scene, labels_of(scene.cohort)),
        scene.cohort.diseased[scene.source],
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
        {"rank1": over_contributors(used, named)},
        {"rank1": float(used.sum(axis=1).mean() / used.shape[1])},
        len(named),
        len(who),
        dict(zip(who.tolist(), found.tolist(), strict=True)),
        kind="contributors",
        target="contributor",
    )


def _by_label(
    found: Finding,
    used: np.ndarray,
    named: np.ndarray,
    source: np.ndarray,
    peers: np.ndarray | None,
    diseased: np.ndarray | None,
) -> Finding:
    """Return the finding with its rate by label, where the labels are given."""
    if peers is None or diseased is None:
        return found
    told, chance = named_by_label(used, named, source, peers, diseased)
    return replace(found, by_label=told, label_chance=chance)
