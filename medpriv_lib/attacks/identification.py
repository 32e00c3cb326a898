"""Identification: which of the known patients is in this image? Newton, Sweeney and Malin (2005)
ask it in three ways.

- *naive*: the recogniser has seen originals only and is shown a released image. The paper's own
  columns are this.
- *reverse*: the gallery is what was released, the probe is an original that the attacker has.
- *parrot*: gallery and probe are both released; the attacker does to his own images what was done
  to the others.

Rank 1 is the share of the probes whose patient comes first, rank 5 among the first five; the CMC
curve gives all ranks. A patient's score is that of the most similar of the patient's gallery
images. Patients without one cannot be found, and their probes are left out: `n` says how many are
left.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import ALL, Scene
from medpriv_lib.attacks.setting import Setting, seen_by
from medpriv_lib.attacks.verification import alike
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable


def hits(
    scores: Float[np.ndarray, "n p"], patient: Int64[np.ndarray, " n"], within: int = 1
) -> Float[np.ndarray, " n"]:
    """Return how probable it is that each probe's true patient is among the first `within` of P, in
    0..1.

    Larger scores come first. Patients with equal scores stand in random order, so that k equal ones
    are each first with 1 / k: an attacker who cannot tell them apart has to guess. -inf marks a
    patient who is not in the gallery.
    """
    return _within(*_standing(scores, patient), within)


def best_of_patient(
    likeness: Float[np.ndarray, "n m"], gallery: Int64[np.ndarray, " m"], patients: int
) -> Float[np.ndarray, "n p"]:
    """Return each probe's likeness to each patient: the largest over the patient's gallery images,
    -inf without any.

    `likeness` (N, M) of probes to gallery images, `gallery` (M,) whose these are.
    """
    out = np.full((len(likeness), patients), -np.inf, dtype=likeness.dtype)
    order = np.argsort(gallery, kind="stable")
    starts = np.flatnonzero(np.diff(gallery[order], prepend=-1))
    if len(order):
        out[:, gallery[order][starts]] = np.maximum.reduceat(likeness[:, order], starts, axis=1)
    return out


def naive(scores: Float[np.ndarray, "n p"], patient: Int64[np.ndarray, " n"]) -> Finding:
    """Show released images to a recogniser of originals.

    Knowledge: a recogniser trained on other originals of these patients; the attacker does not know
    that the images were changed. `scores` (N, P) its logits, `patient` (N,) the source patients.
    """
    return naming("naive", knowledge_of(naive), scores, patient)


def reverse(
    likeness: Float[np.ndarray, "n m"],
    probe: Int64[np.ndarray, " n"],
    gallery: Int64[np.ndarray, " m"],
    patients: int,
    own: Float[np.ndarray, "m m"] | None = None,
) -> Finding:
    """Look for a patient, of whom one has an original, among the released images.

    Knowledge: an original of the patient that is not the source of any released image, and pairs of
    originals and released images of these patients to learn from. `likeness` (N, M) of the
    originals to the released images, `probe` (N,) and `gallery` (M,) whose they are. With `own` (M,
    M), the likeness of each source itself to all released images, "rank1_own" is how often the most
    similar one stands for the source's patient: Newton's own case. Raises `NotApplicable` where no
    original is of a patient in the release.
    """
    present = np.isin(probe, gallery)
    if not present.any():
        raise NotApplicable(
            "none of the originals is of a patient in the release: there is nobody to look for"
        )
    found = naming(
        "reverse",
        knowledge_of(reverse),
        best_of_patient(likeness[present], gallery, patients),
        probe[present],
        gallery=len(np.unique(gallery)),
        where=np.flatnonzero(present),
    )
    if own is None:
        return found
    hit = hits(best_of_patient(own, gallery, patients), gallery)
    return replace(
        found,
        measures=found.measures | {"rank1_own": float(hit.mean())},
        intervals=found.intervals | {"rank1_own": mean_interval(hit, gallery)},
        chance=found.chance | {"rank1_own": 1 / len(np.unique(gallery))},
    )


def parrot(
    likeness: Float[np.ndarray, "n m"],
    probe: Int64[np.ndarray, " n"],
    gallery: Int64[np.ndarray, " m"],
    patients: int,
) -> Finding:
    """Compare released images with released images of known patients.

    Knowledge: the method, applied by the attacker to other originals of these patients. `likeness`
    (N, M) of the released images to the attacker's own ones, `probe` (N,) the source patients,
    `gallery` (M,) the patients of the attacker's images; no source is among both. Raises
    `NotApplicable` where the attacker has no image of any of these patients.
    """
    present = np.isin(probe, gallery)
    if not present.any():
        raise NotApplicable(
            "the attacker has no released image of any of these patients to compare with"
        )
    return naming(
        "parrot",
        knowledge_of(parrot),
        best_of_patient(likeness[present], gallery, patients),
        probe[present],
        gallery=len(np.unique(gallery)),
        where=np.flatnonzero(present),
    )


@attack(name="naive", kind="naming", target="source", place=10, asked="draw", knows=naive)
def named_by_recogniser(setting: Setting) -> Finding:
    """Let the recogniser of originals name who is in each released image."""
    scene, scores = setting.scene, setting.scores()
    linked = originals_of(scene, scores.argmax(axis=1))
    return replace(naive(scores, scene.patient), linked=linked)


@attack(name="reverse", kind="naming", target="source", place=20, asked="draw", knows=reverse)
def looked_for(setting: Setting) -> Finding:
    """Look for the patient of each other original among the released images."""
    scene, cohort = setting.scene, setting.cohort
    shown, bank = setting.released_points(ALL), setting.verifiers[ALL].bank
    likeness = alike(bank[scene.others], shown)
    found = reverse(
        likeness,
        cohort.patient[scene.others],
        scene.patient,
        cohort.patients,
        alike(bank[scene.source], shown),
    )
    # its probes are originals, not the released images
    return replace(
        found,
        rows=scene.others[found.probe],
        linked=np.stack([likeness.argmax(axis=1), scene.others], axis=1),
    )


@attack(name="parrot", kind="naming", target="source", place=30, asked="draw", knows=parrot)
def compared_with_own_releases(setting: Setting) -> Finding:
    """Compare the released images with those that the attacker made of other originals."""
    scene, cohort = setting.scene, setting.cohort
    shown = setting.released_points(ALL)
    likeness = alike(shown, seen_by(setting.verifiers[ALL])(scene.known))
    found = parrot(likeness, scene.patient, cohort.patient[scene.known_source], cohort.patients)
    closest = scene.known_source[likeness.argmax(axis=1)]
    return replace(found, linked=np.stack([np.arange(len(closest)), closest], axis=1))


def originals_of(scene: Scene, named: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, "l 2"]:
    """Return, for each released image whose named patient has another original, both numbers.

    An attacker who names a patient has no particular original in mind: the first one is taken.
    """
    who, first = np.unique(scene.cohort.patient[scene.others], return_index=True)
    row_of = np.full(scene.cohort.patients, -1, dtype=np.int64)
    row_of[who] = scene.others[first]
    rows = np.where(named >= 0, row_of[np.maximum(named, 0)], -1)
    there = np.flatnonzero(rows >= 0)
    return np.stack([there, rows[there]], axis=1)


def _standing(scores: np.ndarray, patient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many patients stand before the true one, and how many level with it, itself
    included. Raises `ValueError` where the true one's score is no number: it would count as found.
    """
    own = scores[np.arange(len(patient)), patient][:, None]
    if np.isnan(own).any():
        raise ValueError(
            f"{np.isnan(own).sum()} of {len(own)} scores of the true patient are NaN: an attack "
            "divided by zero, and its ranks would mean nothing"
        )
    return (scores > own).sum(axis=1), (scores == own).sum(axis=1)


def _within(above: np.ndarray, level: np.ndarray, places: int) -> np.ndarray:
    return np.clip((places - above) / level, 0, 1)


def naming(
    name: str,
    knowledge: str,
    scores: np.ndarray,
    patient: np.ndarray,
    gallery: int | None = None,
    where: np.ndarray | None = None,
) -> Finding:
    """Return the finding of an attack that scores every patient, (N, P), for each image of
    `patient` (N,).

    `gallery` how many patients can be named (None: all), `where` (N,) which of the images under
    attack these are (None: all of them).
    """
    gallery = scores.shape[1] if gallery is None else gallery
    above, level = _standing(scores, patient)
    hit, near = _within(above, level, 1), _within(above, level, 5)
    cmc = [float(_within(above, level, place).mean()) for place in range(1, gallery + 1)]
    return Finding(
        name,
        knowledge,
        {"rank1": float(hit.mean()), "rank5": float(near.mean())},
        {"rank1": mean_interval(hit, patient), "rank5": mean_interval(near, patient)},
        {"rank1": 1 / gallery, "rank5": min(1.0, 5 / gallery)},
        len(patient),
        len(np.unique(patient)),
        rate_per_patient(hit, patient),
        {"cmc": cmc},
        kind="naming",
        target="source",
        hits=hit,
        probe=np.arange(len(patient)) if where is None else where,
    )
