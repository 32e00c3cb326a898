"""The deep-radiomics pipeline as one object, with a slot for a technology at each arrow.

    acquire -> collect -> features or network -> train -> infer -> explain by a case

`DeepRadiomics(train="masked", infer="ckks").run(prepared)` runs the whole of it on patients whom no
model has seen; without arguments nothing is protected. What each slot may hold stands in `SLOTS`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import area, auc_interval, ranks
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.randomness import fresh, seeded
from medpriv_lib.measures.radiomics.extract import TEXTURES, radiomics
from medpriv_lib.measures.radiomics.region import eye_regions
from medpriv_lib.pipeline.slots.collect import COLLECTING
from medpriv_lib.pipeline.slots.explain import EXPLAINING, nearest_of_decision
from medpriv_lib.pipeline.slots.infer import INFERRING
from medpriv_lib.pipeline.slots.release import LEAVING
from medpriv_lib.pipeline.slots.technology import (
    Context,
    Given,
    Model,
    Price,
    Seen,
    Table,
    Technology,
    priced,
)
from medpriv_lib.pipeline.slots.train import TRAINING, strangers
from medpriv_lib.recognition.crossfit import FOLDS, folds
from medpriv_lib.recognition.expert import Expert

SLOTS: dict[str, dict[str, Technology]] = {
    "collect": COLLECTING,
    "release": LEAVING,
    "train": TRAINING,
    "infer": INFERRING,
    "explain": EXPLAINING,
}
FEATURES = ("radiomics", "deep")
MOST = 4.0  # spreads at which a feature is cut
FOLD_SEED = 0


def describe(images: UInt8[np.ndarray, "n s s"], how: str) -> Float[np.ndarray, "n f"]:
    """Return a vector of each prepared eye: "radiomics" (107 features of iris and pupil), or
    "deep", the embedding (64) of the expert's first network, which has met no patient of a cohort.

    Raises `ValueError` for another `how`, and what `radiomics` raises.
    """
    if how == "deep":
        network = Expert.load().networks[0].eval()
        with torch.no_grad():
            parts = [network.embed(part) for part in to_tensor(images).split(64)]
        return torch.cat(parts).double().numpy()
    if how != "radiomics":
        raise ValueError(f"features are {' or '.join(FEATURES)}, not {how!r}")
    regions = eye_regions(images)
    iris = radiomics(images, regions.iris, families=("first order", *TEXTURES))
    pupil = radiomics(images, regions.pupil, (1, 1), families=("first order", "shape"))
    return np.hstack([iris.values, pupil.values])


@dataclass(frozen=True, eq=False)
class Prepared:
    """A cohort and the vectors of its images, scaled by those of invented healthy people.

    `vectors` (N, F), multiples of the strangers' spread, cut at 4; `fold` (P,) 0..4 of each
    patient. Images of the split "test" are an attacker's photographs, in no training and not asked
    about.
    """

    cohort: Cohort
    how: str
    vectors: Float[np.ndarray, "n f"]
    fold: Int64[np.ndarray, " p"]
    scale: Callable[[UInt8[np.ndarray, "n s s"]], Float[np.ndarray, "n f"]] = field(repr=False)

    def table(self, rows: np.ndarray) -> Table:
        """Return the vectors of some images; each image stands for itself."""
        c = self.cohort
        return Table(self.vectors[rows], c.diseased[rows], c.patient[rows], np.asarray(rows))


def acquire(cohort: Cohort, how: str = "radiomics") -> Prepared:
    """Describe a cohort's images; errors as of `describe`, and `NotApplicable` for fewer than five
    patients.
    """
    fold = folds(cohort, seed=FOLD_SEED)
    public = describe(strangers(), how)
    mean, spread = public.mean(axis=0), public.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)

    def scale(images: np.ndarray) -> np.ndarray:
        return np.clip((describe(images, how) - mean) / spread, -MOST, MOST)

    return Prepared(cohort, how, scale(cohort.images), fold, scale)


@dataclass(eq=False)
class Outcome:
    """What a run gave: `auc` with its 95 % interval over patients whom no model saw, CPU `seconds`
    and bytes `sent` of each stage over all folds, what was `seen` at each stage (one list a fold),
    `notes` of each stage, and, where cases are shown, how well the expert tells the query's label
    from them (`case_auc`).

    Scores are ranks within their fold: models of different folds have no common scale.
    """

    auc: tuple[float, float, float]
    case_auc: tuple[float, float, float] | None
    seconds: dict[str, float]
    sent: dict[str, int]
    seen: dict[str, list[list[Seen]]]
    notes: dict[str, list[dict[str, float | str]]]
    images: int
    patients: int


@dataclass(frozen=True)
class DeepRadiomics:
    """The declaration: the name of a technology of `SLOTS` for each arrow.

    `epsilon` is what a patient may spend in one run; `queries` how many images of each fold are
    explained by a case, `few` how many go through encryption (`Context.few`). Raises `ValueError`
    for an unknown name.
    """

    collect: str = "plain"
    release: str = "plain"
    train: str = "pooled"
    infer: str = "plain"
    explain: str = "original"
    epsilon: float = 3.0
    queries: int = 0
    few: int = 20

    def __post_init__(self) -> None:
        """Check every name."""
        for stage, there in SLOTS.items():
            if getattr(self, stage) not in there:
                raise ValueError(
                    f"{stage} cannot be {getattr(self, stage)!r}; choose from {', '.join(there)}"
                )
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be above 0, not {self.epsilon}")

    def run(
        self,
        prepared: Prepared,
        seed: int | None = None,
        parts: int = FOLDS,
        price: Price = priced,
    ) -> Outcome:
        """Train without each of the first `parts` folds of patients, and ask about that fold.

        `seed` None draws all noise from the operating system's entropy; a number is for studies;
        `price` says what noise a budget allows, and what it costs.
        Raises `NotApplicable` where two technologies do not fit together.
        """
        work = _Run(self, prepared, seed, price)
        for fold in range(parts):
            work.fold(fold)
        return work.outcome()


class _Run:
    """One run: what was gathered over the folds so far."""

    def __init__(
        self, plan: DeepRadiomics, prepared: Prepared, seed: int | None, price: Price
    ) -> None:
        self.plan, self.prepared, self.seed, self.price = plan, prepared, seed, price
        self.seconds = dict.fromkeys(SLOTS, 0.0)
        self.sent = dict.fromkeys(SLOTS, 0)
        self.seen: dict[str, list[list[Seen]]] = {stage: [] for stage in SLOTS}
        self.notes: dict[str, list[dict[str, float | str]]] = {stage: [] for stage in SLOTS}
        self.ranks: list[np.ndarray] = []
        self.asked: list[np.ndarray] = []
        self.cases: list[tuple[np.ndarray, np.ndarray]] = []

    def fold(self, fold: int) -> None:
        """Run the pipeline once."""
        cohort, plan = self.prepared.cohort, self.plan
        free = cohort.split != "test"
        held = self.prepared.fold[cohort.patient] == fold
        rows, asked = np.flatnonzero(free & ~held), np.flatnonzero(free & held)
        named = seeded(self.seed, "pipeline", fold) if self.seed is not None else fresh()
        context = Context(
            named,
            plan.epsilon,
            1 / (len(np.unique(cohort.patient[rows])) + 1),
            self.prepared.table(np.flatnonzero(~free)),
            cohort,
            rows,
            self.prepared.scale,
            plan.few,
            self.price,
        )
        training, queries = self.prepared.table(rows), self.prepared.table(asked)
        told = self._at("collect", training, context)
        for stage in ("release", "train"):  # some technologies hand a finished model on
            told = told if isinstance(told, Model) else self._at(stage, told, context)
        model = told
        score = self._at("infer", model, queries, training, context)
        self.ranks.append(ranks(score) / len(score))
        self.asked.append(asked)
        if plan.queries:
            some = np.linspace(0, len(asked) - 1, min(plan.queries, len(asked))).astype(int)
            called = score > np.quantile(score, 1 - cohort.diseased[rows].mean())
            nearest = nearest_of_decision(
                queries.features[some], called[some], training, training.diseased
            )
            images = self._at("explain", nearest, context)
            self.cases.append((images, asked[some]))

    def _at(self, stage: str, *arguments: Any) -> Any:
        technology = SLOTS[stage][getattr(self.plan, stage)]
        start = time.process_time()
        given: Given = technology.work(*arguments)
        spent = time.process_time() - start
        self.seconds[stage] += spent if given.seconds is None else given.seconds
        self.sent[stage] += given.sent
        self.seen[stage].append(given.seen)
        self.notes[stage].append(given.notes)
        return given.result

    def outcome(self) -> Outcome:
        """Return what came out."""
        cohort = self.prepared.cohort
        asked = np.concatenate(self.asked)
        auc = measured(np.concatenate(self.ranks), cohort, asked)
        case_auc = None
        if self.cases:
            rows = np.concatenate([part for _, part in self.cases])
            shown = Expert.load().score(np.concatenate([images for images, _ in self.cases]))
            case_auc = measured(shown, cohort, rows)
        return Outcome(
            auc, case_auc, self.seconds, self.sent, self.seen, self.notes,
            len(asked), len(np.unique(cohort.patient[asked])),
        )  # fmt: skip


def measured(
    score: Float[np.ndarray, " n"], cohort: Cohort, rows: Int64[np.ndarray, " n"]
) -> tuple[float, float, float]:
    """Return the area under the ROC curve of the scores of some images, and its interval."""
    ill, patient = cohort.diseased[rows], cohort.patient[rows]
    return area(score, ill), *auc_interval(score, ill, patient)
