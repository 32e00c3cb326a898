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

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.core.intervals import mean_interval


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
    return _finding("naive", knowledge_of(naive), scores, patient)


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
    similar one stands for the source's patient: Newton's own case.
    """
    present = np.isin(probe, gallery)
    if not present.any():
        raise ValueError(
            "none of the originals is of a patient in the release: there is nobody to look for"
        )
    found = _finding(
        "reverse",
        knowledge_of(reverse),
        best_of_patient(likeness[present], gallery, patients),
        probe[present],
        gallery=len(np.unique(gallery)),
        where=np.flatnonzero(present),
    )
    if own is not None:
        hit = hits(best_of_patient(own, gallery, patients), gallery)
        found.measures["rank1_own"], found.intervals["rank1_own"] = (
            float(hit.mean()),
            mean_interval(hit, gallery),
        )
        found.chance["rank1_own"] = 1 / len(np.unique(gallery))
    return found


def parrot(
    likeness: Float[np.ndarray, "n m"],
    probe: Int64[np.ndarray, " n"],
    gallery: Int64[np.ndarray, " m"],
    patients: int,
) -> Finding:
    """Compare released images with released images of known patients.

    Knowledge: the method, applied by the attacker to other originals of these patients. `likeness`
    (N, M) of the released images to the attacker's own ones, `probe` (N,) the source patients,
    `gallery` (M,) the patients of the attacker's images; no source is among both.
    """
    present = np.isin(probe, gallery)
    if not present.any():
        raise ValueError(
            "the attacker has no released image of any of these patients to compare with"
        )
    return _finding(
        "parrot",
        knowledge_of(parrot),
        best_of_patient(likeness[present], gallery, patients),
        probe[present],
        gallery=len(np.unique(gallery)),
        where=np.flatnonzero(present),
    )


def _standing(scores: np.ndarray, patient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many patients stand before the true one, and how many level with it, itself
    included.
    """
    own = scores[np.arange(len(patient)), patient][:, None]
    return (scores > own).sum(axis=1), (scores == own).sum(axis=1)


def _within(above: np.ndarray, level: np.ndarray, places: int) -> np.ndarray:
    return np.clip((places - above) / level, 0, 1)


def _finding(
    attack: str,
    knowledge: str,
    scores: np.ndarray,
    patient: np.ndarray,
    gallery: int | None = None,
    where: np.ndarray | None = None,
) -> Finding:
    gallery = scores.shape[1] if gallery is None else gallery
    above, level = _standing(scores, patient)
    hit, near = _within(above, level, 1), _within(above, level, 5)
    numbers, index, count = np.unique(patient, return_inverse=True, return_counts=True)
    rate = np.bincount(index, weights=hit) / count
    cmc = [float(_within(above, level, place).mean()) for place in range(1, gallery + 1)]
    return Finding(
        attack,
        knowledge,
        {"rank1": float(hit.mean()), "rank5": float(near.mean())},
        {"rank1": mean_interval(hit, patient), "rank5": mean_interval(near, patient)},
        {"rank1": 1 / gallery, "rank5": min(1.0, 5 / gallery)},
        len(patient),
        len(numbers),
        dict(zip(numbers.tolist(), rate.tolist(), strict=True)),
        {"cmc": cmc},
        hits=hit,
        probe=np.arange(len(patient)) if where is None else where,
    )
