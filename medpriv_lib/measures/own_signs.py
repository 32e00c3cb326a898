"""Are the signs in the release those of this very case?

`evidence_kept` is fooled by whoever paints the same sign on everybody: the signs of different cases
resemble each other, so that a painted mean has a good share of each. Here the release of a case has
to fit the case's own signs better than it fits those of others with the same label.

With d_i = P(x_i) - P(t_i), what the disease changes in the release of case i, and the signs s_j =
x_j - t_j of case j inside its mask, the score of a pair is

    f(i, j) = <d_i, s_j> / ||s_j||

the response of the filter that is matched to s_j; dividing by the length keeps large signs from
answering to everything. The score of case i is the share of the others j, images of other patients
that show signs, with f(i, j) < f(i, i), a tie counting half; its mean over cases is the AUC of
telling a case's own signs from others', given the release. It is 1 where each release fits its own
signs best. Where all releases change in the same way, whatever that is and however strongly, it is
exactly 1/2: of each pair i, j one wins what the other loses. The same among images of the same
patient from other visits tells whether the signs are those of the day.

Beside it stands the share e that *others'* releases have of these signs, the mean over j of
<d_j, s_i> / ||s_i||^2: what is left of e when the case is not asked at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.cells import mean_of, ratio_of
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure, Part
from medpriv_lib.measures.signs import Maps, Signs

Score = Float[np.ndarray, " n"]


def responses(change: Maps, signs: Maps) -> Float[np.ndarray, "n m"]:
    """Return <d_i, s_j> of every change i (N, H, W) with the signs of every case j (M, H, W)."""
    return change.reshape(len(change), -1) @ signs.reshape(len(signs), -1).T


def own_versus_other(change: Maps, signs: Maps, other: Bool[np.ndarray, "n n"]) -> Score:
    """Return for each case the share of others whose signs its release fits worse than its own.

    `change` d and `signs` s are (N, H, W); `other[i, j]` says whether case j is held against case
    i. nan where nobody is. Raises `ValueError` where some case has no signs.
    """
    size = np.sqrt((signs**2).sum(axis=(1, 2)))
    if not (size > 0).all():
        raise ValueError("a case without signs has no own signs; leave it out")
    fit = responses(change, signs) / size
    own = np.diagonal(fit)[:, None]
    won = ((fit < own) + 0.5 * (fit == own)) * other
    count = other.sum(axis=1)
    return np.where(count > 0, won.sum(axis=1) / np.maximum(count, 1), np.nan)


def kept_by_others(change: Maps, signs: Maps, other: Bool[np.ndarray, "n n"]) -> Score:
    """Return for each case the mean e that the releases of others have of its signs; nan where
    there is nobody else.
    """
    share = responses(change, signs).T / (signs**2).sum(axis=(1, 2))[:, None]  # [case, whose d]
    count = other.sum(axis=1)
    return np.where(count > 0, (share * other).sum(axis=1) / np.maximum(count, 1), np.nan)


def of_other_patients(patient: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, "n n"]:
    """Return which case is of another patient than which."""
    return np.asarray(patient[:, None] != patient[None])


def of_other_visits(
    patient: Int64[np.ndarray, " n"], visit: Int64[np.ndarray, " n"]
) -> Bool[np.ndarray, "n n"]:
    """Return which case is of the same patient at another visit."""
    return np.asarray((patient[:, None] == patient) & (visit[:, None] != visit))


class OwnSigns(Measure):
    """The columns that tell a case's own signs from others'."""

    name = "own-signs"
    draws = 3
    needs_visits = True
    columns = (
        Column("own_signs_auc", "own", spread="interval"),
        Column("own_visit_auc", "visit", spread="interval"),
        Column("evidence_weighted", "e", spread="interval"),
        Column("evidence_of_others", "e oth", spread="interval"),
        Column("evidence_own_minus_other", "e diff", spread="interval"),
    )

    def __init__(self, ground: Ground) -> None:
        """Find the signs, and who is held against whom."""
        super().__init__(ground)
        self.signs = Signs.of(ground)
        self.other = of_other_patients(self.signs.patient)
        self.visits = of_other_visits(self.signs.patient, self.signs.visit)

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return (
            "own: does a release fit its own signs better than other patients' (50: guessing), "
            "visit: than the\nsame patient's of another day; e: share of the signs kept, weighted "
            "by their energy; e oth: by the\nreleases of others; e diff: own minus others'"
        )

    def parts(self) -> Sequence[Part]:
        """Measure against other patients and against other visits apart."""
        return self.cells, self._visits

    def cells(self, exam: Exam) -> Cells:
        """Return how well a release tells its own signs from those of other patients."""
        if not self.other.any():
            raise NotApplicable("signs of one patient only: there are no others to tell them from")
        signs, patient = self.signs, self.signs.patient
        energy = (signs.maps**2).sum(axis=(1, 2))
        own, kept, others, tops = [], [], [], []
        for change in signs.changes(exam):
            own.append(own_versus_other(change, signs.maps, self.other))
            tops.append((change * signs.maps).sum(axis=(1, 2)))
            kept.append(tops[-1] / energy)
            others.append(kept_by_others(change, signs.maps, self.other))
        n = len(self.ground.test)
        exam.values["own_signs_auc"] = signs.spread_over(own, n)
        exam.values["evidence_kept"] = signs.spread_over(kept, n)
        gaps = [one - other for one, other in zip(kept, others, strict=True)]
        return {
            **mean_of(own, patient, "own_signs_auc"),
            **ratio_of(tops, [energy] * len(tops), patient, "evidence_weighted"),
            **mean_of(others, patient, "evidence_of_others"),
            **mean_of(gaps, patient, "evidence_own_minus_other"),
        }

    def _visits(self, exam: Exam) -> Cells:
        if not self.visits.any():
            raise NotApplicable("no patient has signs at two visits")
        signs = self.signs
        own = [own_versus_other(one, signs.maps, self.visits) for one in signs.changes(exam)]
        return mean_of(own, signs.patient, "own_visit_auc")
