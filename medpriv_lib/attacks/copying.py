"""Copying: does a generated image repeat a training image more closely than two patients resemble
each other?

The distance of a generated image to its nearest training image means nothing alone: the more
training images, the nearer the nearest. The yardstick is a real image that the generator never saw,
and its nearest training image of *another* patient, in the same training set.

In pixels a mean of several images is nearer to everything than any image is, without copying one:
read averages in an embedding. And two images of one patient differ in pixels by gaze and light more
than two patients do; "same_patient" says how far an embedding is from that.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.attacks.contributors.who import require_contributors
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import ALL
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.distances import distances
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable

Embed = Callable[[UInt8[np.ndarray, "n h w"]], Float[np.ndarray, "n d"]]
LEVEL = 0.05
BLOCK = 512


def pixels(images: UInt8[np.ndarray, "n h w"]) -> Float[np.ndarray, "n p"]:
    """Return grey or colour levels as rows, the embedding of an attacker without a network."""
    return images.reshape(len(images), -1).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Nearest:
    """For each of N images the `distance` to its nearest gallery image and that image's `row`."""

    distance: Float[np.ndarray, " n"]
    row: Int64[np.ndarray, " n"]


def nearest(
    queries: Float[np.ndarray, "n d"],
    gallery: Float[np.ndarray, "m d"],
    patient: Int64[np.ndarray, " n"] | None = None,
    of: Int64[np.ndarray, " m"] | None = None,
) -> Nearest:
    """Return each query's nearest gallery row; with `patient` and `of` only among the gallery's
    other patients.

    Queries are taken `BLOCK` at a time, so that memory stays bounded. Raises `NotApplicable` for an
    empty gallery, and where a query is left without another patient.
    """
    if len(gallery) == 0:
        raise NotApplicable("the gallery holds no image; there is nothing to be nearest to")
    distance, row = np.empty(len(queries)), np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), BLOCK):
        part = slice(start, start + BLOCK)
        found = distances(queries[part], gallery)
        if patient is not None and of is not None:
            found[patient[part, None] == of[None, :]] = np.inf
        row[part] = found.argmin(axis=1)
        distance[part] = found[np.arange(len(found)), row[part]]
    if np.isinf(distance).any():
        raise NotApplicable(
            "the gallery holds images of one patient only; distances to others need a second one"
        )
    return Nearest(distance, row)


def copying(
    generated: UInt8[np.ndarray, "n h w"],
    used: Int64[np.ndarray, "n k"] | None,
    train: Cohort,
    unseen: Cohort,
    embed: Embed = pixels,
    seen_as: str = "pixels",
) -> Finding:
    """Look for training images among the generated ones.

    Knowledge: the training images of the generator; this is the auditor's view, not a stranger's.
    `used` (N, K) whose identities the generated images show, or None; `unseen` real images that are
    not training images (their patients may be); `embed` how images are compared, `seen_as` its
    name. Measures: "copied", the share of the generated images nearer to a training image than all
    but the nearest `LEVEL` (5 %) of the unseen ones are to their nearest other patient; "closer",
    how probable it is that a generated image is nearer than an unseen one is to another patient
    (0.5: alike); "same_patient", the same for unseen images to their own patient, where the
    training images hold them: what real images of one patient score. "contributor", the share whose
    nearest training image is of a patient whose identity was used; "ratio", median distance over
    the median distance between patients.
    """
    base = embed(train.images)
    own = nearest(embed(generated), base)
    queries = embed(unseen.images)
    strangers = nearest(queries, base, unseen.patient, train.patient).distance
    limit = np.quantile(strangers, LEVEL)
    copied, copied_of = own.distance < limit, train.patient[own.row]
    measures = {
        "copied": float(copied.mean()),
        "closer": closer(own.distance, strangers),
        "ratio": float(np.median(own.distance) / np.median(strangers)),
    }
    chance = {"copied": LEVEL, "closer": 0.5}
    if used is not None and used.shape[1]:
        measures["contributor"] = float((used == copied_of[:, None]).any(axis=1).mean())
        chance["contributor"] = float(np.mean([np.isin(train.patient, row).mean() for row in used]))
    itself = _to_own_patient(queries, unseen, base, train)
    if len(itself):
        measures["same_patient"] = closer(itself, strangers)
        chance["same_patient"] = 0.5
    return Finding(
        f"copying in {seen_as}",
        knowledge_of(copying),
        measures,
        {"copied": mean_interval(copied, copied_of)},
        chance,
        len(generated),
        len(np.unique(copied_of)),
        rate_per_patient(copied, copied_of),
        {"generated": np.sort(own.distance).tolist(), "strangers": np.sort(strangers).tolist()},
        kind="copying",
        target="member",
    )


@attack(name="copying in pixels", kind="copying", target="member", place=150, knows=copying)
def copied_in_pixels(setting: Setting) -> Finding:
    """Look for training images among the released ones, pixel by pixel."""
    scene = setting.scene
    train, sources = _training(setting)
    return copying(scene.released, scene.contributors, train, sources)


@attack(
    name="copying in the verifier's embedding",
    kind="copying",
    target="member",
    place=160,
    knows=copying,
)
def copied_in_embedding(setting: Setting) -> Finding:
    """Look for training images among the released ones, as the tower of originals sees them."""
    scene = setting.scene
    train, sources = _training(setting)
    see = setting.verifiers[ALL].original
    return copying(
        scene.released, scene.contributors, train, sources, see, "the verifier's embedding"
    )


def _training(setting: Setting) -> tuple[Cohort, Cohort]:
    """Return the training images and the sources of the released ones."""
    cohort = setting.cohort
    require_contributors(setting.scene)
    if not (cohort.split == "train").any():
        raise NotApplicable("without training images nothing can be copied")
    return cohort.of("train"), cohort.take(setting.scene.source)


def closer(distance: Float[np.ndarray, " n"], reference: Float[np.ndarray, " m"]) -> float:
    """Return the probability that one of `distance` is below one of `reference`, ties counted half:
    an AUC.
    """
    ordered = np.sort(reference)
    above = len(ordered) - np.searchsorted(ordered, distance, side="right")
    ties = np.searchsorted(ordered, distance, side="right") - np.searchsorted(
        ordered, distance, side="left"
    )
    return float((above + 0.5 * ties).mean() / len(ordered))


def _to_own_patient(
    queries: np.ndarray, unseen: Cohort, base: np.ndarray, train: Cohort
) -> np.ndarray:
    """Return the distance of each unseen image to the nearest training image of its own patient,
    where there is one.
    """
    out = []
    for patient in np.intersect1d(unseen.patient, train.patient):
        out.append(
            distances(queries[unseen.patient == patient], base[train.patient == patient]).min(
                axis=1
            )
        )
    return np.concatenate(out) if out else np.empty(0)
