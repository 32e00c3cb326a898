"""Recomputation: a method that draws nothing gives the same answer again.

Whoever has the method and the images it draws from recomputes the answer for every original that
could be behind a released image, and looks which answer it is.
"""

import numpy as np
from jaxtyping import Int64, UInt8

from medpriv_lib.attacks.copying import pixels
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.identification import hits
from medpriv_lib.attacks.labels import by_label
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.verification import FALSE, pairs, placed
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.distances import distances
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.privatizers.protocol import Privatizer

TRIED = 16  # images on which the method is seen to draw, or not


def recomputation(
    released: UInt8[np.ndarray, "n h w"],
    source: Int64[np.ndarray, " n"],
    answers: UInt8[np.ndarray, "m h w"],
    candidates: Int64[np.ndarray, " m"],
    cohort: Cohort,
) -> Finding:
    """Look for each released image among the answers to all candidates.

    Knowledge: the method with all that it draws from, and the originals that may be behind a
    released image, the source among them. `answers` (M, H, W) to the originals of rows `candidates`
    (M,) of `cohort`; `source` (N,) rows of it, each a candidate. Measures: "rank1_own", how often
    the nearest answer is that to the source, equal ones sharing the hit; "own_auc" and "own_tar_1"
    among candidates of other patients with the side and the label of the source; "exact", how often
    the answer to the source is the released image to the last level. Raises `NotApplicable` where
    no candidate can be confused with a source.
    """
    far = distances(pixels(released), pixels(answers))
    place = np.searchsorted(np.sort(candidates), source)
    itself = np.argsort(candidates, kind="stable")[place]
    patient = cohort.patient[source]
    first = hits(-far, itself)
    which = pairs(cohort, source, candidates)
    auc, taken, rows = [], [], []
    for row in range(len(source)):
        rivals = which.impostor[row] & (which.cell[row] == which.cell[row, itself[row]])
        if rivals.any():
            score, others = -far[row, [itself[row]]], np.sort(-far[row, rivals])
            area, accepted, _ = placed(score, others)
            auc.append(area[0])
            taken.append(accepted[0])
            rows.append(row)
    if not rows:
        raise NotApplicable(
            "no candidate of another patient has the side and the label of a source"
        )
    of, area_of, accepted_of = np.array(rows), np.array(auc), np.array(taken)
    exact = (answers[itself] == released).reshape(len(source), -1).all(axis=1)
    outcomes = {
        "rank1_own": (first, source),
        "own_auc": (area_of, source[of]),
        "own_tar_1": (accepted_of, source[of]),
    }
    chance = {"rank1_own": 1 / len(candidates), "own_auc": 0.5, "own_tar_1": FALSE}
    return Finding(
        "recomputation",
        knowledge_of(recomputation),
        {key: float(values.mean()) for key, (values, _) in outcomes.items()}
        | {"exact": float(exact.mean())},
        {
            key: mean_interval(values, cohort.patient[whose])
            for key, (values, whose) in outcomes.items()
        },
        chance,
        len(source),
        len(np.unique(patient)),
        rate_per_patient(first, patient),
        kind="matching",
        target="source",
        hits=first,
        probe=np.arange(len(source)),
        by_label=by_label(outcomes, cohort),
        linked=np.stack([np.arange(len(source)), candidates[far.argmin(axis=1)]], axis=1),
    )


def draws(method: Privatizer, some: Cohort) -> bool:
    """Tell whether two runs on these images differ."""
    first, second = (method.privatize(some, seeded(0, "recomputation", run)) for run in range(2))
    return not np.array_equal(first.images, second.images)


@attack(
    name="recomputation",
    kind="matching",
    target="source",
    place=320,
    asked="draw",
    knows=recomputation,
)
def recomputed(setting: Setting) -> Finding:
    """Recompute the answers of a method that draws nothing.

    Where the answer to an image depends on the others released with it, the candidates are the
    sources, else all originals of the cohort.
    """
    method, scene, cohort = setting.ready, setting.scene, setting.cohort
    together = method.averages_from(method.settings) == "given"
    rows = scene.source if together else np.arange(len(cohort))
    rows = np.unique(rows)
    few = cohort.take(rows if together else scene.source[:TRIED])
    if setting.once("method draws", lambda: draws(method, few)):
        raise NotApplicable("the method draws: its answer cannot be computed again")
    answers = setting.once(
        "answers",
        lambda: method.in_sets(cohort.take(rows), seeded(setting.seed, "recomputation")),
    )
    return recomputation(scene.released, scene.source, answers.images[: len(rows)], rows, cohort)
