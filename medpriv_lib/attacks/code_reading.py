"""Code reading: recover the code behind a generated image, and see whose original it came from.

A generator that shows a patient in another's eye draws a code around what its encoder makes of the
source. Whoever has the weights can decode codes of his own, learn to read them back, and compare
what he reads with the codes of the originals that he holds.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.attacks.codes import (
    CodeReader,
    Estimate,
    Population,
    fit_reader,
    log_density,
    population,
)
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.identification import hits, naming, originals_of
from medpriv_lib.attacks.labels import by_label
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.towers import identities
from medpriv_lib.attacks.verification import Places, finding, pairs, places
from medpriv_lib.core.intervals import mean_interval
from medpriv_lib.core.randomness import seeded


@dataclass(frozen=True, eq=False)
class Codes:
    """What an attacker with the weights knows: the `reader`, the covariance (Z, Z) of its `error`,
    how codes vary (`spread`), and of all originals of the cohort the `mean` and standard deviation
    `sigma` (R, Z) of their codes.
    """

    reader: CodeReader
    error: Float[np.ndarray, "z z"]
    spread: Population
    mean: Float[np.ndarray, "r z"]
    sigma: Float[np.ndarray, "r z"]


def codes_of(setting: Setting) -> Codes:
    """Return what the attacker with the weights has learned, once for all draws.

    He learns from all originals but the sources under attack. Raises `NotApplicable` where the
    method has no codes or the attacker no weights.
    """
    return setting.once("codes", lambda: _learned(setting))


def _learned(setting: Setting) -> Codes:
    method, cohort, rows = setting.coded, setting.cohort, setting.scenes[0].others
    mean, sigma = (part.numpy() for part in method.posterior(cohort.images))
    spread = population(mean[rows], sigma[rows], identities(cohort)[rows])
    budget, generator = setting.budget, seeded(setting.seed, "code reading")
    reader = fit_reader(
        method, cohort.take(rows), generator, budget.code_decodes, budget.code_errors
    )
    return Codes(reader, reader.error, spread, mean, sigma)


def read(setting: Setting) -> Estimate:
    """Return the codes read from the draw under attack, once for all attacks."""
    reader = codes_of(setting).reader
    return setting.once(("codes", setting.draw), lambda: reader.read(setting.scene.released))


def to_itself(codes: Codes, z: Float[np.ndarray, "n z"]) -> Float[np.ndarray, "n r"]:
    """Return how much likelier each code read is if the image was made from each original than from
    anybody: log-ratios (N, R).
    """
    error, spread = codes.error, codes.spread
    base = log_density(z, spread.mean, spread.whole + error)
    each = [
        log_density(z, mean, np.diag(np.square(sigma, dtype=np.float64)) + error) - base
        for mean, sigma in zip(codes.mean, codes.sigma, strict=True)
    ]
    return np.stack(each, axis=1)


def to_eyes(
    codes: Codes,
    z: Float[np.ndarray, "n z"],
    source: Int64[np.ndarray, " n"],
    eye: Int64[np.ndarray, " r"],
    gallery: Int64[np.ndarray, " m"],
) -> Float[np.ndarray, "n m"]:
    """Return how much likelier each code read is if the image shows each original's eye than
    anybody's: log-ratios (N, M).

    All originals of the eye among the rows `gallery` count together, but never the source of the
    image itself, row `source` (N,); the pair with the source has the score of the eye's others, or
    0 where there are none. `eye` (R,) numbers the eyes of all originals.
    """
    error, spread = codes.error, codes.spread
    base = log_density(z, spread.mean, spread.whole + error)

    def ratio(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        gain = spread.between @ np.linalg.inv(spread.between + spread.within / len(rows))
        middle = spread.mean + gain @ (codes.mean[rows].mean(axis=0) - spread.mean)
        left = spread.between - gain @ spread.between
        around = (left + left.T) / 2 + spread.within + spread.noise + error
        return log_density(z[images], middle, around) - base[images]

    scores = np.zeros((len(z), len(gallery)))
    for one in np.unique(eye[gallery]):
        place = np.flatnonzero(eye[gallery] == one)
        mine = np.isin(source, gallery[place])
        strangers = np.flatnonzero(~mine)
        if len(strangers):
            scores[np.ix_(strangers, place)] = ratio(strangers, gallery[place])[:, None]
        for image in np.flatnonzero(mine):
            rest = gallery[place][gallery[place] != source[image]]
            if len(rest):
                scores[image, place] = ratio(np.array([image]), rest)
    return scores


def code_reading(codes: Codes, z: Float[np.ndarray, "n z"], scene: Scene) -> Finding:
    """Read the code behind each released image and compare it with those of originals.

    Knowledge: the weights of the generator, originals of other patients to decode and learn from,
    and other originals of the patient who is looked for; for "own_auc", "rank1_own" and their kind
    the source itself. `z` (N, Z) the codes read. Measures as of `verification.finding` and
    `with_source`. Raises `NotApplicable` as the former does.
    """
    cohort, everything = scene.cohort, np.arange(len(scene.cohort))
    which = pairs(cohort, scene.source, everything)
    eyes, likely = (
        to_eyes(codes, z, scene.source, identities(cohort), everything),
        to_itself(codes, z),
    )
    other = places(eyes, which, scene.patient)
    itself = places(likely, which, scene.patient)
    joined: Places = replace(
        other, own_place=itself.own_place, own_accepted=itself.own_accepted, own_row=itself.own_row
    )
    know = knowledge_of(code_reading)
    found = finding("code reading", know, [joined], [np.arange(len(z))], cohort, scene.source)
    theirs = np.where(everything[None] == scene.source[:, None], -np.inf, eyes)
    linked = np.stack([np.arange(len(z)), theirs.argmax(axis=1)], axis=1)
    return with_source(replace(found, linked=linked), likely, scene)


def with_source(found: Finding, likely: Float[np.ndarray, "n r"], scene: Scene) -> Finding:
    """Return the finding with how often each image's own source comes first, and among the first
    five, by the scores `likely` (N, R) of all originals; equal scores share a place.

    Measures "rank1_own" and "rank5_own" of all originals of the cohort; "rank1_sources" and
    "rank5_sources" of the sources of this release alone, which is what somebody can ask who knows
    what went in. With intervals over patients, chance, and by label.
    """
    candidates = np.unique(scene.source)
    asked = {
        "own": (likely, scene.source),
        "sources": (likely[:, candidates], np.searchsorted(candidates, scene.source)),
    }
    outcomes, chance = {}, {}
    for among, (scores, place) in asked.items():
        for within in (1, 5):
            outcomes[f"rank{within}_{among}"] = hits(scores, place, within)
            chance[f"rank{within}_{among}"] = min(1.0, within / scores.shape[1])
    told = by_label({key: (one, scene.source) for key, one in outcomes.items()}, scene.cohort)
    return replace(
        found,
        measures=found.measures | {key: float(one.mean()) for key, one in outcomes.items()},
        intervals=found.intervals
        | {key: mean_interval(one, scene.patient) for key, one in outcomes.items()},
        chance=found.chance | chance,
        by_label=found.by_label
        | {label: found.by_label.get(label, {}) | each for label, each in told.items()},
    )


def named_by_code(codes: Codes, z: Float[np.ndarray, "n z"], scene: Scene) -> Finding:
    """Name the patient whose other originals have the codes most like that read.

    Knowledge: the weights of the generator, and other originals of all patients, none of them the
    source; for "rank1_own" and its kind the source itself. `z` (N, Z) the codes read; a patient
    counts by the likelier eye. Measures as of `naming` and `with_source`.
    """
    scores = of_patients(codes, z, scene)
    gallery = np.isfinite(scores[0])
    found = naming(
        "named by code",
        knowledge_of(named_by_code),
        scores,
        scene.patient,
        gallery=int(gallery.sum()),
    )
    found = replace(found, linked=originals_of(scene, scores.argmax(axis=1)))
    return with_source(found, to_itself(codes, z), scene)


def of_patients(
    codes: Codes, z: Float[np.ndarray, "n z"], scene: Scene
) -> Float[np.ndarray, "n p"]:
    """Return the log-ratio of each patient's likelier eye, (N, P); -inf for patients of whom the
    attacker holds no original.
    """
    cohort, rows = scene.cohort, scene.others
    eyes = to_eyes(codes, z, scene.source, identities(cohort), rows)
    scores = np.full((len(z), cohort.patients), -np.inf)
    for patient in np.unique(cohort.patient[rows]):
        scores[:, patient] = eyes[:, cohort.patient[rows] == patient].max(axis=1)
    return scores


@attack(
    name="code reading",
    kind="linking",
    target="source",
    place=270,
    asked="draw",
    knows=code_reading,
)
def _linked(setting: Setting) -> Finding:
    return code_reading(codes_of(setting), read(setting).z, setting.scene)


@attack(
    name="named by code",
    kind="naming",
    target="source",
    place=280,
    asked="draw",
    knows=named_by_code,
)
def _named(setting: Setting) -> Finding:
    return named_by_code(codes_of(setting), read(setting).z, setting.scene)
