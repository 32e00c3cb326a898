"""The study's explanation columns: what survives of the signs, where relevance falls, whether an
eye can be read.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.randomness import seeded
from medpriv_lib.core.release import Release
from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.explanation.relevance_scores import score_relevance
from medpriv_lib.explanation.retrieval import Gallery, score_retrieval
from medpriv_lib.measures.columns import COUNT, KIDS, RATIO, mean_of, ratio_of
from medpriv_lib.measures.evidence import evidence_kept, logit_kept, similarity
from medpriv_lib.measures.intelligibility import are_copies, found, kid, sharpness
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.reader import Reader
from medpriv_lib.study.rows import Method, Releases

DRAWS = 3  # evidence: it varies little between draws, and each needs the decodes of the twins
LOOKED_AT = (
    32  # localising takes ten times as long as judging: so many images of a row, evenly spread
)
EYES = 0.5  # where the localiser finds fewer of the originals, these are no eyes and its column stays empty
QUERIES, CASES = (
    24,
    5,
)  # retrieval: so many test images, evenly spread, each explained by so many cases
RELEVANCE = (
    "relevance_mass",
    "relevance_rank",
    "relevance_pointing",
    "relevance_area",
    "relevance_defined",
)
SMALLEST = 32  # px: the least side that the localiser takes


class Examiner:
    """Computes the explanation columns of one row after the other.

    P(t), the release of the disease-free twins, is made by the same methods from the same seeds:
    the latent noise of each image, its replacement identities and every other choice are those of
    P(x). Without twins and masks (real images) the evidence and relevance columns stay empty.
    """

    def __init__(
        self,
        train: Cohort,
        cohorts: dict[str, Cohort],
        vgan: PPRLVGAN,
        judges: Judges,
        seed: int,
        draws: int,
        reader: Reader | None = None,
    ) -> None:
        """`cohorts` as for `Releases`: the test images under the labels that the rows are given.

        `reader` is the disease judge with what it has read already.
        """
        self.test, self.judge, self.seed = cohorts[""], judges.disease, seed
        self.reader = Reader(judges.disease) if reader is None else reader
        self._found, self._similar, self._relevant = Memory(), Memory(), Memory()
        self.train, test = train, self.test
        known = test.evidence is not None and test.twin is not None
        self.evident = test.evidence.any(axis=(1, 2)) if known else np.zeros(len(test), dtype=bool)
        self.twins = None
        if self.evident.any():
            twins = {
                labels: replace(cohort, images=cohort.twin) for labels, cohort in cohorts.items()
            }
            self.twins = Releases(train, twins, vgan, seed, min(draws, DRAWS))
            self.signs = test.take(self.evident)
            self.margins = self._margin(self.signs.images), self._margin(self.signs.twin)
        self.looked_at = np.unique(
            np.linspace(0, len(test) - 1, min(len(test), LOOKED_AT)).astype(int)
        )
        self.eyes = min(test.images.shape[1:]) >= SMALLEST and (
            self._eyes_in(test.images).mean() >= EYES
        )
        self.real = self.reader.points(train.images)
        self.identity = judges.identity
        self.known = Gallery(
            self.real, self.reader.logits(train.images).argmax(1).numpy(), train.patient
        )
        self.queries = test.take(
            np.unique(np.linspace(0, len(test) - 1, min(len(test), QUERIES)).astype(int))
        )
        self.floor = self._kid(test.images, "floor")

    def sizes(self) -> dict[str, int]:
        """Return from how many draws and images the columns come: these are dearer than
        verdicts.
        """
        return {
            "draws": DRAWS,
            "with_signs": int(self.evident.sum()),
            "eyes_looked_at": len(self.looked_at),
            "queries": len(self.queries),
        }

    def prepare(self, rows: Sequence[Method], bar: Callable) -> None:
        """Decode what is needed of the twins; `bar(total)` returns a progress bar."""
        if self.twins is not None:
            self.twins.prepare(list(rows), bar, self.evident)

    def row(self, method: Method, drawn: Sequence[Release]) -> dict[str, float | int | None]:
        """Return the explanation columns of a method from its draws on the test images (the first
        ones are used).

        Raises `ValueError` where a release does not hold one image per test image, in their order.
        """
        for release in drawn:
            if not np.array_equal(release.source, np.arange(len(self.test))):
                raise ValueError(
                    f"{release.method}: one released image per test image is needed, in their order"
                )
        columns = self._intelligibility(drawn[0].images, method)
        if self.twins is not None:
            columns |= self._evidence(drawn, list(self.twins.of(method))) | self._relevance(
                drawn[0].images
            )
        if method.labels != "predicted":  # on file, the labels are known
            columns |= self._retrieval(method)
        return columns | {COUNT: int(self.evident.sum())}

    def _evidence(
        self, drawn: Sequence[Release], twins: Sequence[Release]
    ) -> dict[str, float | None]:
        kept, inside, outside, tops, bottoms = [], [], [], [], []
        signs = self.signs
        for release, twin in zip(drawn, twins, strict=False):  # as many draws as the twins have
            images, without = release.images[self.evident], twin.images[self.evident]
            kept.append(evidence_kept(images, without, signs.images, signs.twin, signs.evidence))
            similar = self._similar.recall(
                keys_of(images, range(len(images))),
                lambda rows: np.stack(
                    similarity(images[rows], signs.images[rows], signs.evidence[rows]), axis=1
                ),
            )  # noqa: B023 - used at once
            inside.append(similar[:, 0])
            outside.append(similar[:, 1])
            top, bottom = logit_kept(self._margin(images), self._margin(without), *self.margins)
            tops.append(top)
            bottoms.append(bottom)
        patient = signs.patient
        return (
            mean_of(kept, patient, "evidence_kept")
            | ratio_of(tops, bottoms, patient, RATIO)
            | mean_of(inside, patient, "evidence_ssim_inside")
            | mean_of(outside, patient, "evidence_ssim_outside")
        )

    def _relevance(self, images: np.ndarray) -> dict[str, float | None]:
        images, evidence = images[self.evident], self.signs.evidence

        def read(rows: np.ndarray) -> np.ndarray:
            known = self.reader.logits(images[rows]).amax(1).numpy() > 0
            scores = score_relevance(self.judge, images[rows], evidence[rows], known=known)
            return np.stack([scores[name] for name in RELEVANCE], axis=1)

        scores = self._relevant.recall(keys_of(images, range(len(images))), read)
        columns: dict[str, float | None] = {}
        for name, values in zip(RELEVANCE, scores.T, strict=True):
            summary = mean_of([values], self.signs.patient, name)
            columns |= (
                summary
                if name not in ("relevance_area", "relevance_defined")
                else {name: summary[name]}
            )
        return columns

    def _intelligibility(self, images: np.ndarray, method: Method) -> dict[str, float | None]:
        test = self.test
        columns = mean_of(
            [sharpness(images, test.images)], test.patient, "intelligibility_sharpness"
        )
        if (
            self.eyes and method.labels != "predicted"
        ):  # whose label it is does not change whether an eye is found
            hits = self._eyes_in(images).astype(float)
            columns |= mean_of([hits], test.patient[self.looked_at], "intelligibility_found")
        copies = are_copies(images, self.train.images)
        distance = None if copies else self._kid(images, f"{method.experiment}/{method.set}")
        return columns | {KIDS[0]: distance, KIDS[1]: self.floor}

    def _retrieval(self, method: Method) -> dict[str, float | None]:
        """Explain the queries by training images; empty where the files hold too few cases of a
        decision.
        """
        generator = seeded(self.seed, "retrieval", method.experiment, method.set)
        try:
            scores = score_retrieval(
                self.judge,
                self.identity,
                self.queries,
                self.train,
                method.make(self.train),
                CASES,
                generator,
                self.known,
            )
        except ValueError:
            return {}
        columns: dict[str, float | None] = {
            "retrieval_ndcg_chance": 100 * scores.pop("ndcg_chance")
        }
        for name, values in scores.items():
            if values is not None:
                columns |= mean_of(
                    [values.astype(float)], self.queries.patient, f"retrieval_{name}"
                )
        return columns

    def _eyes_in(self, images: np.ndarray) -> np.ndarray:
        images = images[self.looked_at]
        return self._found.recall(keys_of(images), lambda rows: found(images[rows], locate))

    def _kid(self, images: np.ndarray, name: str) -> float | None:
        mean, _ = kid(self.real, self.reader.points(images), seeded(self.seed, "kid", name))
        return None if np.isnan(mean) else 1000 * mean

    def _margin(self, images: np.ndarray) -> np.ndarray:
        """Return by how much the logit of the disease exceeds that of health."""
        scores = self.reader.logits(images).to(torch.float64).numpy()
        return scores[:, 1] - scores[:, 0]
