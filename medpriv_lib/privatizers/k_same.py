"""K-Same and K-Same-Select: release the mean of K patients' images, in three forms that promise
different things.

- `KSame(k)`: the algorithm of Newton, Sweeney and Malin (2005) as Gross et al. (2006) state it, on
  a set with one image per patient. An attacker who matches the releases against that set names at
  most floor(n / k) of n patients.
- `KSameSelect(k, form="release")`: the same on (patient, label) units, for several images per
  patient.
- `KSameSelect(k, form="query")`: what Montenegro et al. (2021) describe: each image is answered
  with the mean over the K nearest training patients of its label. The source may be in no group, so
  the bound above does not hold.

The bound does not cover an attacker who knows labels, or who sees several releases. Means are exact
whole-number sums divided in float64; a release rounds them to grey levels, halves to the even one.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.distances import byte_rank
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.groups import (
    MEANS_AT_ONCE,
    Averages,
    group,
    mean_of,
    nearest_patients,
    patients_table,
    rounded,
    rounded_means,
)
from medpriv_lib.privatizers.protocol import (
    AveragesFrom,
    Compared,
    Parameter,
    Privatizer,
    Resources,
)
from medpriv_lib.privatizers.replacement import Pools

K = Parameter("k", 6, "patients per mean, a whole number of at least 2", least=2)


class KSame(Privatizer):
    """Release k copies of the mean of every group of k to 2k - 1 patients (Newton et al. 2005;
    Gross et al. 2006).

    The groups are formed within the cohort that is released, seeds in patient-number order, so
    permuting the images permutes the releases. The set has to be person-specific, one image per
    patient. `several_images=True` lifts that check to show what then happens: a group may hold one
    patient k times, and the guarantee is void.
    """

    name = "k-same"
    title = "K-Same"
    marker = "d"
    parameters = (K,)

    def __init__(self, k: int = 6, several_images: bool = False) -> None:
        """Take the number of patients that share an image. Raises `ValueError` below 2: the mean of
        one patient's image is that image.
        """
        self.check({"k": k})
        self.k, self.several_images = int(k), several_images

    @classmethod
    def claims_k(cls, settings: Mapping[str, Any]) -> int:
        """Return k."""
        return int(settings["k"])

    @classmethod
    def averages_from(cls, settings: Mapping[str, Any]) -> AveragesFrom:
        """Return "given": the groups are formed within the set that is released."""
        return "given"

    def averages(self, cohort: Cohort) -> Averages:
        """Return the groups' means in float64. Raises `NotApplicable` as `privatize` does."""
        patients, counts = np.unique(cohort.patient, return_counts=True)
        if len(patients) < len(cohort) and not self.several_images:
            worst = cohort.patient_names[patients[counts.argmax()]]
            raise NotApplicable(
                f"K-Same needs one image per patient, but patient {worst} has {counts.max()}; "
                "keep one each, or use the method k-same-select"
            )
        n = np.arange(len(cohort))
        order = np.lexsort((byte_rank(cohort.images, n), cohort.patient))
        groups = group(cohort.images, self.k, order)
        which = np.empty(len(cohort), dtype=np.int64)
        for number, rows in enumerate(groups):
            which[rows] = number
        table = patients_table([cohort.patient[rows] for rows in groups])
        means = np.stack([mean_of(cohort.images[rows]) for rows in groups])
        return Averages(means, which, n.astype(np.int64), table[which])

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return each image's group mean, in the order given; nothing is drawn.

        Raises `NotApplicable` for fewer than k images, or for several images of one patient.
        """
        return self.averages(cohort).release(self.name, self.settings)


class KSameSelect(Privatizer):
    """K-Same within each class of the label, so that the label survives (Gross et al. 2006).

    `form="query"` is the paper's: `fit` keeps the training images; each image is answered with the
    mean of one image, the nearest, of each of the k nearest training patients of its label. The
    source's own patient may be among them; `own_patient_rate` in the release's parameters says how
    often (None where no patient is a training patient). `form="release"` publishes a set: within
    each label the patients are grouped by `group` on their mean images; round r averages the r-th
    image of every member (in the order of their pixel bytes, starting again after the last) and is
    released once for every member. Rows 0..N-1 of that release stand for the cohort's rows in
    order; the further rows are the copies for members with fewer images. Either form tells the
    label of everyone in a group, and in the release form a patient with both labels stands in two
    partitions. Raises `ValueError` for k below 2 and an unknown form, `NotApplicable` for a class
    with fewer than k patients.
    """

    name = "k-same-select"
    title = "K-Same-Select"
    marker = "D"
    parameters = (
        K,
        Parameter(
            "form",
            "query",
            "answer each image with training patients (query, as in the paper), or publish the "
            "images as a set in which k patients share each one (release)",
            choices=("query", "release"),
        ),
    )
    needs = "patients"
    compared = tuple(
        Compared(f"{k} identities{suffix}", {"k": k, "form": form}, labels="true")
        for form, suffix in (("query", ""), ("release", ", release form"))
        for k in (3, 6, 9, 12)
    )

    def __init__(self, k: int = 6, form: str = "query") -> None:
        """Take the number of patients per mean and the form."""
        self.check({"k": k, "form": form})
        self.k, self.form = int(k), form
        self.train: Cohort | None = None

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the method as `Privatizer.ready`; the release form asks for no training images."""
        method = cls(**settings)
        return method if method.form == "release" else method.fit(resources.train(cls.name))

    @classmethod
    def claims_k(cls, settings: Mapping[str, Any]) -> int:
        """Return k."""
        return int(settings["k"])

    @classmethod
    def averages_from(cls, settings: Mapping[str, Any]) -> AveragesFrom:
        """Return "train" for the query form, "given" for the release form."""
        return "train" if settings["form"] == "query" else "given"

    def fit(self, train: Cohort) -> Self:
        """Keep the training images to answer with (query form) and return the method itself."""
        if self.form == "query":
            for label in np.unique(train.diseased):
                self._require_patients(train, label, "training ")
            self.train = train
        return self

    def averages(self, cohort: Cohort) -> Averages:
        """Return the means in float64. Raises `NotApplicable` as `privatize` does."""
        return self._answers(cohort) if self.form == "query" else self._rounds(cohort)

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return the means rounded to grey levels; nothing is drawn.

        Raises `NotApplicable` for a class with fewer than k patients; in the query form
        `ValueError` before `fit` and for images of another size than the training images.
        """
        parameters = self.settings
        if self.form != "query":
            return self.averages(cohort).release(self.name, parameters)
        gallery, nearest = self._gallery(), self._nearest(cohort)
        contributors = gallery.patient[nearest]
        own = Pools.of(gallery).numbers(cohort)
        among = ((contributors == own[:, None]) & (own[:, None] >= 0)).any(axis=1)
        parameters["own_patient_rate"] = float(among.mean()) if (own >= 0).any() else None
        return Release(
            rounded_means(gallery.images, nearest),
            np.arange(len(cohort), dtype=np.int64),
            contributors,
            self.name,
            parameters,
        )

    def _require_patients(self, cohort: Cohort, label: bool, which: str = "") -> None:
        count = len(np.unique(cohort.patient[cohort.diseased == label]))
        if count < self.k:
            word = "diseased" if label else "healthy"
            raise NotApplicable(
                f"K-Same-Select with k = {self.k}: only {count} {which}patients have a {word} "
                "image; choose a smaller k or add patients"
            )

    def _gallery(self) -> Cohort:
        if self.train is None:
            raise ValueError(
                "K-Same-Select in query form has no training images yet; call fit(train) first"
            )
        return self.train

    def _nearest(self, cohort: Cohort) -> Int64[np.ndarray, "n k"]:
        """Return the rows of the training images that each image is answered with."""
        train = self._gallery()
        if cohort.images.shape[1:] != train.images.shape[1:]:
            raise ValueError(
                f"the images are {cohort.images.shape[1:]} pixels, the training images "
                f"{train.images.shape[1:]}; prepare them with the same size and colours"
            )
        for label in np.unique(cohort.diseased):
            self._require_patients(train, label, "training ")
        found = np.empty((len(cohort), self.k), dtype=np.int64)
        for label in np.unique(cohort.diseased):
            asked = np.flatnonzero(cohort.diseased == label)
            of_label = np.flatnonzero(train.diseased == label)
            for rows, nearest in nearest_patients(cohort.images, asked, train, of_label, self.k):
                found[rows] = nearest
        return found

    def _answers(self, cohort: Cohort) -> Averages:
        nearest, train = self._nearest(cohort), self._gallery()
        means = np.empty(cohort.images.shape, dtype=np.float64)
        for start in range(0, len(nearest), MEANS_AT_ONCE):
            part = slice(start, start + MEANS_AT_ONCE)
            means[part] = mean_of(train.images[nearest[part]], of=1)
        n = np.arange(len(cohort), dtype=np.int64)
        return Averages(means, n, n, train.patient[nearest])

    def _rounds(self, cohort: Cohort) -> Averages:
        rank = byte_rank(cohort.images, np.arange(len(cohort)))
        means, members, source, which = [], [], [], []
        done = 0
        for label in np.unique(cohort.diseased):
            self._require_patients(cohort, label)
            rows = np.flatnonzero(cohort.diseased == label)
            rows = rows[np.lexsort((rank[rows], cohort.patient[rows]))]
            units = np.split(rows, np.flatnonzero(np.diff(cohort.patient[rows])) + 1)
            # whole grey levels keep the distances between units exact
            faces = rounded(np.stack([mean_of(cohort.images[unit]) for unit in units]))
            for chosen in group(faces, self.k, np.arange(len(units))):
                group_units = [units[i] for i in chosen]
                count = max(map(len, group_units))
                rounds = np.stack(
                    [np.resize(unit, count) for unit in group_units], axis=1
                )  # np.resize cycles
                which.append(np.repeat(np.arange(done, done + count), len(chosen)))
                done += count
                means.append(mean_of(cohort.images[rounds], of=1))
                members += [cohort.patient[rounds[0]]] * count
                source.append(rounds.ravel())
        row, shown = (np.concatenate(parts).astype(np.int64) for parts in (source, which))
        # the first copy for each row of the cohort, in row order, before the further ones
        first = np.unique(row, return_index=True)[1]
        place = np.concatenate([first, np.setdiff1d(np.arange(len(row)), first)])
        table = patients_table(members)
        return Averages(np.concatenate(means), shown[place], row[place], table[shown[place]])
