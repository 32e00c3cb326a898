"""The whole study as one call: load or train the networks, compare, write table and figures."""

import os
from pathlib import Path

from medpriv_lib.core import weights as store
from medpriv_lib.core.budgets import FRESH_DRAWS, PAPER, Budget
from medpriv_lib.core.cohort import SPLITS, Cohort
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.pipeline.weights import load_weights
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.recognition.expert import NAME as EXPERT
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.recognition.eye_judge import NAME as EYE_JUDGE
from medpriv_lib.recognition.eye_judge import EyeJudge
from medpriv_lib.study.compare import Study, compare
from medpriv_lib.study.seeds import train_seeds
from medpriv_lib.study.table import require_own_table, write_table


def run_study(
    cohort: Cohort | None = None,
    weights: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    draws: int | None = None,
    seed: int = 0,
    train: bool = False,
    seeds: int = 1,
    budget: Budget = PAPER,
    device: str | None = None,
    progress: bool = True,
) -> Study:
    """Run the comparison and return its table; with `out`, also write table, provenance and figures
    there.

    `cohort` None is the cohort of the package and `weights` None the shipped ones; another cohort
    is trained on unless `weights` names a folder made by `medpriv fit` for it. `train` fits
    everything anew, below `out`, once for each of `seeds` seeds from `seed` on; stopped at any
    point, the same call goes on from there. `draws` random draws of the replacement identities
    (None: the budget's; three at most for a cohort with visits). Scoring runs on the CPU
    unless `device` says otherwise. Raises `ValueError` where the arguments do not fit together or
    the weights belong to another cohort.
    """
    own = cohort is not None
    cohort = default_cohort() if cohort is None else cohort
    train = train or (own and weights is None)
    if draws is None:
        draws = budget.draws if cohort.visit is None else min(budget.draws, FRESH_DRAWS)
    folder = None if out is None else Path(out)
    _check(draws, seeds, train, weights is not None, folder)
    if folder is not None:
        require_own_table(folder)
    for split in SPLITS:
        cohort.of(split)  # an empty split is an error now, not after hours of training
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    if train and folder is not None:
        several = range(seed, seed + seeds)

        def scored(weights: Path, into: Path, seed: int) -> Study:
            return score_weights(cohort, weights, into, draws, seed, None, progress)

        return train_seeds(cohort, folder, draws, several, budget, scored, device, progress)
    return score_weights(cohort, weights, folder, draws, seed, device, progress)


def score_weights(
    cohort: Cohort,
    weights: str | os.PathLike | None,
    out: Path | None,
    draws: int,
    seed: int,
    device: str | None = None,
    progress: bool = True,
) -> Study:
    """Compare by trained networks; with `out`, write table and figures into that folder."""
    judges, vgan, cards = load_weights(weights, cohort, device)
    folder = None if weights is None else Path(weights)
    expert, eye_judge = more_judges(cohort, folder, device)
    study = compare(
        cohort, judges, vgan, draws, seed, progress, folder, expert=expert, eye_judge=eye_judge
    )
    study.provenance["weights"] = cards
    for judge in (expert, eye_judge):
        if judge is not None:
            study.provenance[judge.card["kind"]] = judge.card["sha256"]
    study.provenance["device"] = device or "cpu"
    if out is not None:
        from medpriv_lib.study.figures.examples import write_figures  # matplotlib is slow to import
        from medpriv_lib.study.figures.requirements import write_explanation_figures

        write_table(study.rows, out, study.provenance, study.notes, study.paired)
        resources = Resources(cohort, folder, {vgan.name: vgan})
        write_figures(cohort, resources, study.rows, out, seed)
        missing = write_explanation_figures(cohort, vgan, judges.disease, study.rows, out, seed)
        if missing:
            study.notes.append({"measure": "figure 5", "reason": missing, "rows": []})
            write_table(study.rows, out, study.provenance, study.notes, study.paired)
    return study


def more_judges(
    cohort: Cohort, folder: Path | None, device: str | None = None
) -> tuple[Expert | None, EyeJudge | None]:
    """Return the expert and the eye judge of a cohort with visits, None for what there is
    not.

    The eye judge lies in the weights' folder, the expert there or in the package. Errors as of
    their `load`.
    """
    if cohort.visit is None:
        return None, None
    places = [store.DEFAULT if folder is None else folder, store.FOLDER]
    experts = [place / EXPERT for place in places if (place / f"{EXPERT}.safetensors").is_file()]
    expert = Expert.load(experts[0]).to(device or "cpu") if experts else None
    judge, eyes = None, places[0] / EYE_JUDGE
    if eyes.with_suffix(".safetensors").is_file():
        judge = EyeJudge.load(eyes, cohort).to(device or "cpu")
    return expert, judge


def _check(draws: int, seeds: int, train: bool, weights: bool, out: Path | None) -> None:
    """Raise `ValueError` for arguments that do not fit together, before any work."""
    if draws < 1 or seeds < 1:
        raise ValueError(f"there must be at least one draw and one seed, not {draws} and {seeds}")
    if train and weights:
        raise ValueError(
            "training anew and using weights exclude each other; leave out one of the two"
        )
    if train and out is None:
        raise ValueError("training needs a folder that keeps what is finished; name one with --out")
    if seeds != 1 and not train:
        raise ValueError("several seeds need training: add --train")
