"""The audit: among how many patients an image really hides, whatever the method claims.

The *anonymity group* of a released image is the set of patients for whom byte-identical images were
released: somebody who sees the image alone cannot tell which of them it stands for (k-anonymity:
Sweeney 2002). It is not the set of patients whose images *went into* it: the mean of K patients
that is released for one of them only hides that one among nobody, and an image may stand for a
patient of whom nothing went in. Both are counted here, in patients: several images of one patient
in a group hide nobody.

A group in which everybody has the same label tells the label of everybody in it (l-diversity:
Machanavajjhala et al. 2007). Two measures of theirs, in words: the number of distinct labels, and
the share of the more frequent one.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.registry import privatizers


@dataclass(frozen=True, eq=False)
class Audit:
    """What is true of each of N released images.

    `group` int64 (N,) numbers the anonymity groups; equal bytes, equal number. `hides_among` (N,)
    the patients of the group; `copies` (N,) the released images in it; `went_in` (N,) the different
    patients whose images or identities were used (0 where the method uses none); `labels` (N,) the
    distinct labels in the group; `certainty` (N,) the share of the more frequent label among its
    (patient, label) pairs, 0.5 to 1; `claimed` the K that the release claims, or None; `method` its
    name; `patients` how many the images stand for, or None.
    """

    group: Int64[np.ndarray, " n"]
    hides_among: Int64[np.ndarray, " n"]
    copies: Int64[np.ndarray, " n"]
    went_in: Int64[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    certainty: Float[np.ndarray, " n"]
    claimed: int | None
    method: str
    patients: int | None = None

    @property
    def smallest(self) -> int:
        """The patients in the smallest anonymity group."""
        return int(self.hides_among.min())

    @property
    def distribution(self) -> dict[int, int]:
        """How many released images hide among 1, 2, … patients; ascending, empty sizes left out."""
        sizes, counts = np.unique(self.hides_among, return_counts=True)
        return dict(zip(sizes.tolist(), counts.tolist(), strict=True))

    @property
    def l_diversity(self) -> int:
        """The fewest distinct labels in a group: 1 means that some group tells everybody's
        label.
        """
        return int(self.labels.min())

    @property
    def warnings(self) -> list[str]:
        """One sentence for each promise that does not hold; empty where all hold or nothing was
        claimed.
        """
        found = []
        if self.claimed is not None and self.smallest < self.claimed:
            below = int((self.hides_among < self.claimed).sum())
            found.append(
                f"{self.method} claims K = {self.claimed}, but {below} of {len(self.group)} "
                "released images hide among fewer patients (the smallest group has "
                f"{self.smallest}): most likely each image was answered by itself, or one patient "
                "has several images"
            )
        if self.claimed is not None and 0 < int(self.went_in.min()) < self.claimed:
            below = int((self.went_in < self.claimed).sum())
            found.append(
                f"{self.method} claims K = {self.claimed}, but fewer patients went into {below} of "
                f"{len(self.group)} released images (at least {int(self.went_in.min())})"
            )
        told = int((self.labels == 1).sum())
        if self.claimed is not None and self.claimed > 1 and told and self.smallest > 1:
            found.append(
                f"{told} of {len(self.group)} released images stand for patients who all have the "
                "same label: who knows that somebody is in the group knows the label"
            )
        return found

    def text(self) -> str:
        """Return the audit as a few lines for a report."""
        sizes = ", ".join(f"{count} among {size}" for size, count in self.distribution.items())
        lines = [
            f"{len(self.group)} released images in {len(np.unique(self.group))} groups of equal "
            "images",
            f"patients an image hides among: at least {self.smallest}, median "
            f"{np.median(self.hides_among):g} ({sizes})",
            f"patients that went into an image: {self.went_in.min()} to {self.went_in.max()}",
            f"distinct labels in a group: at least {self.l_diversity}; share of the more frequent "
            f"label, mean {self.certainty.mean():.2f}",
        ]
        return "\n".join(lines + [f"warning: {sentence}" for sentence in self.warnings])


def audit(release: Release, cohort: Cohort, claimed: int | None = None) -> Audit:
    """Return the true anonymity group of every image of a release, counted in patients.

    `cohort` is the one that was privatised: `release.source` are its rows. `claimed` is the K to
    hold the release to; None takes what its method claims with its settings, and nothing where the
    method claims none or is unknown here. Raises `ValueError` for an empty release and for one that
    does not stand for rows of this cohort.
    """
    if len(release) == 0:
        raise ValueError("the release holds no image; there is nothing to audit")
    if release.source.min() < 0 or release.source.max() >= len(cohort):
        raise ValueError(
            f"the release stands for row {release.source.max()} of a cohort of {len(cohort)} "
            "images; audit it with the cohort that it was made from"
        )
    if claimed is None and (method := privatizers().get(release.method)) is not None:
        claimed = method.claims_k(release.parameters)
    patient, label = cohort.patient[release.source], cohort.diseased[release.source]
    group = groups_of_equal(release.images)
    pairs = np.unique(np.stack([group, patient, label.astype(np.int64)], axis=1), axis=0)
    number = int(group.max()) + 1
    diseased = np.bincount(pairs[:, 0], weights=pairs[:, 2], minlength=number)
    total = np.bincount(pairs[:, 0], minlength=number)
    patients = np.bincount(np.unique(pairs[:, :2], axis=0)[:, 0], minlength=number)
    certainty = np.maximum(diseased, total - diseased) / total
    labels = (diseased > 0).astype(np.int64) + (diseased < total)
    return Audit(
        group=group,
        hides_among=patients[group],
        copies=np.bincount(group, minlength=number)[group],
        went_in=distinct(release.contributors),
        labels=labels[group],
        certainty=certainty[group],
        claimed=None if claimed is None else int(claimed),
        method=release.method,
        patients=len(np.unique(patient)),
    )


def groups_of_equal(images: UInt8[np.ndarray, "n h w"]) -> Int64[np.ndarray, " n"]:
    """Return a number per image; two have the same one where, and only where, all their bytes are
    equal.

    They are given in the order of first appearance. The comparison is exact: bytes are the keys,
    not a hash of them.
    """
    known: dict[bytes, int] = {}
    return np.array(
        [known.setdefault(image.tobytes(), len(known)) for image in images], dtype=np.int64
    )


def distinct(patients: Int64[np.ndarray, "n k"]) -> Int64[np.ndarray, " n"]:
    """Return how many different patients each row names; -1 pads are no patient, and K = 0 gives
    zeros.
    """
    if patients.shape[1] == 0:
        return np.zeros(len(patients), dtype=np.int64)
    ordered = np.sort(patients, axis=1)
    new = np.ones(ordered.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return (new & (ordered >= 0)).sum(axis=1)
