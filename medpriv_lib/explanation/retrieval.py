"""Case-based explanation: show a decision's most similar earlier cases, privatised.

"Query" is the case in front of the viewer, "gallery" the cases on file, "source" a gallery image
that is to be hidden behind its privatised version. Cases are compared in the recogniser's own
embedding, so that "similar" means similar to the network that decided (Silva et al. 2020 also
retrieve by learned features, of the regions that matter; Montenegro et al. 2021 privatise what is
retrieved).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.release import Release
from medpriv_lib.explanation.ranking import kendall, ndcg, ndcg_by_chance
from medpriv_lib.measures.cells import mean_of
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure, Place
from medpriv_lib.privatizers.protocol import Privatizer
from medpriv_lib.recognition.embedding import embeddings
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits

ENTRIES = 4_000_000  # distances held at once: 32 MB, whatever the sizes of query set and gallery
UNKNOWN = -1
QUERIES, CASES = 24, 5  # of a row of the study: so many test images, each explained by so many


@dataclass(frozen=True, eq=False)
class Gallery:
    """The cases on file: `points` float32 (G, D) embeddings, `decision` int64 (G,), `patient` int64
    (G,).
    """

    points: Float[np.ndarray, "g d"]
    decision: Int64[np.ndarray, " g"]
    patient: Int64[np.ndarray, " g"]

    def __post_init__(self) -> None:
        """Refuse an empty gallery and parts that do not fit."""
        if len(self.points) == 0:
            raise ValueError(
                "the gallery is empty: there is no case to explain with; give a cohort with images"
            )
        if not len(self.points) == len(self.decision) == len(self.patient):
            raise ValueError("a gallery needs one decision and one patient per embedding")

    @classmethod
    def of(cls, network: Recogniser, cohort: Cohort) -> "Gallery":
        """Embed the images of a cohort and decide on each."""
        return cls(
            embeddings(network, cohort.images), decide(network, cohort.images), cohort.patient
        )


@dataclass(frozen=True, eq=False)
class Retrieved:
    """For Q queries and K cases each: `rows` int64 (Q, K) of the gallery, nearest first, `distance`
    and `similarity`.

    `distance` is Euclidean in the embedding; `similarity` = 1 - distance / (median distance to all
    allowed cases): 1 the same embedding, 0 no nearer than the middle case, below 0 further.
    """

    rows: Int64[np.ndarray, "q k"]
    distance: Float[np.ndarray, "q k"]
    similarity: Float[np.ndarray, "q k"]


def decide(network: Recogniser, images: UInt8[np.ndarray, "n h w"]) -> Int64[np.ndarray, " n"]:
    """Return the class that the recogniser gives each image."""
    return logits(network, images).argmax(1).numpy() if len(images) else np.zeros(0, dtype=np.int64)


def retrieve(
    points: Float[np.ndarray, "q d"],
    decision: Int64[np.ndarray, " q"],
    patient: Int64[np.ndarray, " q"],
    gallery: Gallery,
    k: int,
    entries: int = ENTRIES,
) -> Retrieved:
    """Return the k nearest gallery cases of each query's own decision, none of the query's own
    patient.

    `points`, `decision`, `patient` are the queries' embeddings, decisions and patients (`UNKNOWN`
    where nobody knows: then nobody is left out). Equal distances go to the smaller gallery row.
    At most `entries` distances are held at once. Raises `ValueError` for k < 1, `NotApplicable` for
    a decision that no case of the gallery has, and for k larger than the number of allowed cases.
    """
    if k < 1:
        raise ValueError(f"at least one case must be shown, not k = {k}")
    _check_allowed(decision, patient, gallery, k)
    rows = np.empty((len(points), k), dtype=np.int64)
    distance, similarity = np.empty(rows.shape), np.empty(rows.shape)
    stored = gallery.points.astype(np.float64)
    norms = (stored**2).sum(1)
    step = max(1, entries // len(stored))
    for first in range(0, len(points), step):
        queries = points[first : first + step].astype(np.float64)
        squares = (queries**2).sum(1)[:, None] + norms - 2 * queries @ stored.T
        for offset, square in enumerate(squares):
            q = first + offset
            allowed = np.flatnonzero(
                (gallery.decision == decision[q]) & _others(gallery.patient, patient[q])
            )
            rows[q], distance[q] = _nearest(queries[offset], stored, allowed, square[allowed], k)
            middle = float(np.sqrt(max(np.median(square[allowed]), 0)))
            similarity[q] = (
                1 - distance[q] / middle if middle > 0 else (distance[q] == 0).astype(float)
            )
    return Retrieved(rows, distance, similarity)


def _nearest(
    query: np.ndarray, stored: np.ndarray, allowed: np.ndarray, square: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Measure exactly every case up to the k-th distance and a rounding error; order by distance,
    then row.
    """
    limit = np.partition(square, k - 1)[k - 1]
    near = allowed[square <= limit + 1e-9 * (1 + abs(limit) + (query**2).sum())]
    exact = np.sqrt(((stored[near] - query) ** 2).sum(1))
    order = np.lexsort((near, exact))[:k]
    return near[order], exact[order]


def _others(patients: np.ndarray, own: int) -> np.ndarray:
    return np.ones(len(patients), dtype=bool) if own == UNKNOWN else patients != own


def _check_allowed(decision: np.ndarray, patient: np.ndarray, gallery: Gallery, k: int) -> None:
    for label in np.unique(decision):
        same = gallery.decision == label
        if not same.any():
            raise NotApplicable(
                f"class {label} is absent from the gallery: the recogniser gives that decision to "
                f"none of its {len(same)} cases; use a larger gallery"
            )
    for label, own in {(int(d), int(p)) for d, p in zip(decision, patient, strict=True)}:
        count = int(((gallery.decision == label) & _others(gallery.patient, own)).sum())
        if count < k:
            raise NotApplicable(
                f"k = {k} cases are asked for, but the gallery has only {count} of class {label} "
                f"from other patients; ask for at most {count}"
            )


def privatize_cases(
    cohort: Cohort,
    rows: Int64[np.ndarray, " n"],
    privatizer: Privatizer,
    generator: torch.Generator,
) -> Release:
    """Privatise chosen images of a cohort; `Release.source` are rows of `cohort`, in the order
    given.

    Raises `NotApplicable` for a method that does not release one image per case.
    """
    release = privatizer.privatize(cohort.take(rows), generator)
    order = np.argsort(release.source, kind="stable")  # a release may come in another order
    if not np.array_equal(release.source[order], np.arange(len(rows))):
        raise NotApplicable(
            f"{release.method} does not release one image per case and cannot be used to explain"
        )
    return Release(
        release.images[order],
        np.asarray(rows, dtype=np.int64),
        release.contributors[order],
        release.method,
        release.parameters,
    )


def score_retrieval(
    network: Recogniser,
    identity: Recogniser | None,
    queries: Cohort,
    gallery: Cohort,
    privatizer: Privatizer,
    k: int,
    generator: torch.Generator,
    known: Gallery | None = None,
) -> dict[str, Any]:
    """Explain every query by its k nearest cases, privatised, and say what that does; arrays are
    (Q,).

    `same_decision`: share of the released cases that get the query's decision. `ndcg` and `tau`:
    does the order of the cases by distance to the query survive; `ndcg_chance` beside it.
    `reveals`: the identity judge names the source patient of at least one released case;
    `reveals_contributor`: or any patient that went into one (None without an identity judge, or
    without contributors). `known` spares embedding the gallery again.
    """
    known = Gallery.of(network, gallery) if known is None else known
    points, decision = embeddings(network, queries.images), decide(network, queries.images)
    found = retrieve(points, decision, queries.patient, known, k)
    release = privatize_cases(gallery, found.rows.ravel(), privatizer, generator)
    same = (decide(network, release.images).reshape(-1, k) == decision[:, None]).mean(1)
    moved = embeddings(network, release.images).reshape(len(points), k, -1)
    after = np.sqrt(((moved.astype(np.float64) - points[:, None]) ** 2).sum(2))
    result = {
        "same_decision": same,
        "ndcg": ndcg(found.distance, after),
        "ndcg_chance": ndcg_by_chance(k),
        "tau": kendall(found.distance, after),
        "reveals": None,
        "reveals_contributor": None,
    }
    if identity is not None:
        named = decide(identity, release.images)
        own = named == gallery.patient[release.source]
        result["reveals"] = own.reshape(-1, k).any(1)
        if release.contributors.shape[1]:
            any_of = (release.contributors == named[:, None]).any(1) | own
            result["reveals_contributor"] = any_of.reshape(-1, k).any(1)
    return result


class Retrieval(Measure):
    """The retrieval columns: test images explained by privatised training images."""

    name = "retrieval"
    columns = (
        Column("retrieval_same_decision", spread="interval", place=Place.EXPLANATION),
        Column("retrieval_ndcg", spread="interval", place=Place.EXPLANATION),
        Column("retrieval_tau", spread="interval", place=Place.EXPLANATION),
        Column("retrieval_reveals", spread="interval", place=Place.EXPLANATION),
        Column("retrieval_reveals_contributor", spread="interval", place=Place.EXPLANATION),
        Column("retrieval_ndcg_chance", place=Place.RETRIEVAL_BESIDE),
    )

    def __init__(self, ground: Ground) -> None:
        """Put the training images on file and choose the queries."""
        super().__init__(ground)
        train, reader = ground.train, ground.reader
        decision = reader.logits(train.images).argmax(1).numpy()
        self.known = Gallery(reader.points(train.images), decision, train.patient)
        self.queries = ground.test.take(ground.spread_out(QUERIES))

    def sizes(self) -> dict[str, int]:
        """Return how many cases are explained."""
        return {"queries": len(self.queries)}

    def cells(self, exam: Exam) -> Cells:
        """Return what explaining the queries keeps and reveals."""
        if exam.labels == "predicted":
            raise NotApplicable("on file, the labels are known: see true labels")
        judges = self.ground.judges
        scores = score_retrieval(
            judges.disease,
            judges.identity,
            self.queries,
            self.ground.train,
            exam.method(),
            CASES,
            self.generator("retrieval", exam.experiment, exam.set),
            self.known,
        )
        cells: Cells = {"retrieval_ndcg_chance": 100 * scores.pop("ndcg_chance")}
        for name, values in scores.items():
            if values is not None:
                patient = self.queries.patient
                cells |= mean_of([values.astype(float)], patient, f"retrieval_{name}")
        return cells
