"""What the expert, who never met a patient of the cohort, reads from the releases.

- AUC and F1 against the label of the source, at the expert's own threshold;
- how many healthy cases are called ill, and to how many of those that the expert calls healthy in
  the original the release has *added* a sign, so that it calls them ill now;
- severity: the rank correlation (Spearman) of the expert's score of the release with that of the
  original among the diseased: does the release show *how* ill the eye is? Another patient's
  photograph with the right label does not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.intervals import (
    area,
    auc_interval,
    f1_interval,
    mean_interval,
    resampled,
)
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure, Part

FEWEST = 10  # diseased images, below which a rank correlation says nothing
RESAMPLED = 300  # draws of patients for the interval of a rank correlation


def rank_correlation(one: Float[np.ndarray, " n"], two: Float[np.ndarray, " n"]) -> float:
    """Return Spearman's rank correlation, ties at their mean rank; 0 where either is constant."""
    from scipy.stats import spearmanr

    constant = np.ptp(one) == 0 or np.ptp(two) == 0
    return 0.0 if constant else float(spearmanr(one, two).statistic)


class ExpertReading(Measure):
    """The columns of the expert, from one draw of each row."""

    name = "expert"
    draws = 1
    needs_visits = True
    columns = (
        Column("expert_auc", "xAUC", spread="interval"),
        Column("expert_f1", "xF1", spread="interval"),
        Column("expert_healthy_ill", "x ill", spread="interval"),
        Column("expert_added", "added", spread="interval"),
        Column("expert_severity", "sever", spread="interval"),
    )

    def __init__(self, ground: Ground) -> None:
        """Let the expert read the originals. Raises `NotApplicable` without an expert, and where it
        was taught on images of another kind.
        """
        super().__init__(ground)
        if ground.expert is None:
            raise NotApplicable("there is no expert: teach one by data_scripts/train_expert.py")
        first, images = ground.expert.networks[0], ground.test.images
        if images.shape[1] != first.size or images.ndim != 3:
            raise NotApplicable(f"the expert reads grey images of {first.size} pixels")
        self.expert, self.ill = ground.expert, ground.test.diseased
        self.original = self.expert.score(images)

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return (
            "the expert met none of the patients; xAUC, xF1: against the label; x ill: healthy "
            "eyes called ill, added:\nthat it called healthy in the original; sever: rank "
            "correlation of its scores among the diseased"
        )

    def parts(self) -> Sequence[Part]:
        """Measure the label, the healthy and the diseased apart."""
        return self.cells, self._healthy, self._severity

    def cells(self, exam: Exam) -> Cells:
        """Return AUC and F1 against the label."""
        ill, patient = self.ill, self.ground.test.patient
        if ill.all() or not ill.any():
            raise NotApplicable("all test images have the same label")
        score = self.expert.score(exam.drawn[0].images)
        called = score >= self.expert.threshold
        exam.values["expert_right"] = (called == ill).astype(float)
        f1 = 2 * float((called & ill).sum()) / float(called.sum() + ill.sum())
        return {
            **_cells("expert_auc", area(score, ill), *auc_interval(score, ill, patient)),
            **_cells("expert_f1", f1, *f1_interval(called, ill, patient)),
        }

    def _healthy(self, exam: Exam) -> Cells:
        healthy = ~self.ill
        if not healthy.any():
            raise NotApplicable("no test image is healthy")
        patient = self.ground.test.patient
        called = self.expert.score(exam.drawn[0].images) >= self.expert.threshold
        well = healthy & (self.original < self.expert.threshold)
        exam.values["expert_healthy_ill"] = np.where(healthy, called, np.nan)
        cells: Cells = {}
        for name, rows in (("expert_healthy_ill", healthy), ("expert_added", well)):
            if rows.any():
                ends = mean_interval(called[rows], patient[rows])
                cells |= _cells(name, float(called[rows].mean()), *ends)
        return cells

    def _severity(self, exam: Exam) -> Cells:
        rows = np.flatnonzero(self.ill)
        if len(rows) < FEWEST:
            raise NotApplicable(f"fewer than {FEWEST} test images are diseased")
        now, before = self.expert.score(exam.drawn[0].images)[rows], self.original[rows]
        patient = self.ground.test.patient[rows]
        ends = resampled(lambda r: rank_correlation(now[r], before[r]), patient, RESAMPLED)
        return _cells("expert_severity", rank_correlation(now, before), *ends)


def _cells(name: str, value: float, low: float, high: float) -> Cells:
    ends = {f"{name}_low": low, f"{name}_high": high}
    return {name: 100 * value} | {k: None if np.isnan(v) else 100 * v for k, v in ends.items()}
