"""Disease judges that never saw the patient.

Patients are shared across the splits of the paper, so a disease judge may recognise the patient and
recall the label. Here the patients are dealt into five folds, stratified by disease, and one judge
is trained for each of the ten pairs of folds, on the originals of the other three folds. An image
is judged by those whose pair covers the fold of its source patient and the folds of its
contributors: one judge where these are two folds, the mean logits of four where they are one. Where
contributors lie in two or more further folds no such judge exists; the four that never saw the
source patient judge, and the image is marked as `seen`. Pairs instead of single folds are what lets
a network that knows neither A nor B judge an image of patient A released with the identity of
patient B. A mean of four is a slightly stronger judge than one of them (`report` in `judges` gives
the accuracy of both on originals).

The judges are trained for a fixed number of epochs on the training and validation images of their
three folds, without early stopping: a validation image of a patient seen in training says little
about patients that were not.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits

FOLDS = 5
PAIRS = tuple(combinations(range(FOLDS), 2))


def folds(cohort: Cohort, k: int = FOLDS, *, seed: int) -> Int64[np.ndarray, " p"]:
    """Return the fold 0..k-1 of each of the P patients, stratified by disease and balanced in
    images.

    Patients with only healthy, both kinds of, and only diseased images are dealt out one stratum
    after the other, in random order, each to the fold that has the fewest patients of the stratum,
    then the fewest images. Raises `NotApplicable` where there are fewer than k patients.
    """
    images = np.bincount(cohort.patient, minlength=cohort.patients)
    diseased = np.bincount(cohort.patient[cohort.diseased], minlength=cohort.patients)
    if np.count_nonzero(images) < k:
        raise NotApplicable(
            f"{k} folds need at least {k} patients with images; the cohort has "
            f"{np.count_nonzero(images)}"
        )
    stratum = np.where(
        images == 0, 3, (diseased > 0).astype(int) + ((diseased == images) & (images > 0))
    )
    fold = np.zeros(cohort.patients, dtype=np.int64)
    generator = np.random.default_rng(seed)
    load = np.zeros(k)
    for kind in range(4):
        members = generator.permutation(np.flatnonzero(stratum == kind))
        count = np.zeros(k)
        for patient in members:
            fold[patient] = np.lexsort((load, count))[0]
            count[fold[patient]] += 1
            load[fold[patient]] += images[patient]
    return fold


def training_rows(
    cohort: Cohort, fold: Int64[np.ndarray, " p"], pair: tuple[int, int]
) -> Int64[np.ndarray, " m"]:
    """Return the rows that the judge of a pair of folds is trained on: no test image, no patient of
    the pair.
    """
    return np.flatnonzero((cohort.split != "test") & ~np.isin(fold[cohort.patient], pair))


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Ten disease judges: `networks[i]` never saw the patients whose `fold` (P,) is in
    `PAIRS[i]`.
    """

    networks: tuple[Recogniser, ...]
    fold: Int64[np.ndarray, " p"]

    def __post_init__(self) -> None:
        """Check that there is one judge per pair."""
        if len(self.networks) != len(PAIRS):
            raise ValueError(
                f"there must be {len(PAIRS)} judges, one per pair of folds, not "
                f"{len(self.networks)}"
            )

    def choose(
        self, patients: Int64[np.ndarray, " n"], contributors: Int64[np.ndarray, "n k"] | None
    ) -> tuple[Bool[np.ndarray, "n 10"], Bool[np.ndarray, " n"]]:
        """Return which judges read each image, and whether a contributor is known to them.

        `patients` (N,) are the source patients, `contributors` (N, K) patients or -1; a source
        patient of -1 is one that is not in the cohort, whom no judge knows.
        """
        patients = np.asarray(patients)
        source = self._folds_hit(patients[:, None])
        needed = (
            source if contributors is None else source | self._folds_hit(np.asarray(contributors))
        )
        covers = np.zeros((len(PAIRS), FOLDS), dtype=bool)
        for row, pair in enumerate(PAIRS):
            covers[row, list(pair)] = True
        seen = needed.sum(1) > 2
        needed = np.where(seen[:, None], source, needed)
        # folds that the judge has seen but must not
        missing = needed.astype(np.int64) @ (~covers).T.astype(np.int64)
        return missing == 0, seen

    def logits(
        self,
        images: Images,
        patients: Int64[np.ndarray, " n"],
        contributors: Int64[np.ndarray, "n k"] | None = None,
    ) -> tuple[Float[Tensor, "n 2"], Bool[np.ndarray, " n"]]:
        """Return the mean logits of the judges that `choose` names, and for which images a
        contributor was seen.

        Raises `ValueError` for patients that the folds do not know.
        """
        chosen, seen = self.choose(patients, contributors)
        total = torch.zeros(len(images), 2)
        for network, rows in zip(self.networks, chosen.T, strict=True):
            if rows.any():
                total[torch.from_numpy(rows)] += logits(network, images[rows])
        return total / torch.from_numpy(chosen.sum(1, keepdims=True)).float(), seen

    def _folds_hit(self, patients: Int64[np.ndarray, "n k"]) -> Bool[np.ndarray, "n 5"]:
        if patients.size and (patients.max() >= len(self.fold) or patients.min() < -1):
            raise ValueError(
                f"patients must be -1..{len(self.fold) - 1}, the ones these judges were made for; "
                f"found {patients.min()}..{patients.max()}"
            )
        fold = np.where(patients < 0, -1, self.fold[patients])
        return (fold[:, :, None] == np.arange(FOLDS)).any(axis=1)
