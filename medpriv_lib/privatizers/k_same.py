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

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.distances import (
    BLOCK_ENTRIES,
    FAR,
    byte_rank,
    centred,
    squared_distances,
    squared_norms,
)
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import AveragesFrom, Compared, Parameter, Privatizer, Resources
from medpriv_lib.privatizers.replacement import Pools

Means = Float64[np.ndarray, "m h w"] | Float64[np.ndarray, "m h w 3"]
K = Parameter("k", 6, "patients per mean, a whole number of at least 2", least=2)


class Averages(NamedTuple):
    """What a release holds, before rounding.

    `means` float64 (M, H, W) or (M, H, W, 3), the distinct mean images in levels 0..255; `which` int64 (N,), the mean
    that each released row shows; `source` int64 (N,) and `contributors` int64 (N, C) as in
    `Release`.
    """

    means: Means
    which: Int64[np.ndarray, " n"]
    source: Int64[np.ndarray, " n"]
    contributors: Int64[np.ndarray, "n c"]

    def release(self, method: str, parameters: dict[str, Any]) -> Release:
        """Round the means to grey levels and return them as a release."""
        return Release(
            rounded(self.means)[self.which], self.source, self.contributors, method, parameters
        )


def rounded(means: Float64[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Round grey levels in 0..255 to uint8, halves to the even neighbour."""
    return np.rint(means).astype(np.uint8)


def patients_table(members: list[np.ndarray]) -> Int64[np.ndarray, "m c"]:
    """Turn lists of patients into one table: distinct numbers in ascending order, padded with
    -1.
    """
    members = [np.unique(one) for one in members]
    table = np.full((len(members), max(map(len, members))), -1, dtype=np.int64)
    for row, one in zip(table, members, strict=True):
        row[: len(one)] = one
    return table


def group(images: Images, k: int, order: Int64[np.ndarray, " n"]) -> list[np.ndarray]:
    """Split images into groups of k to 2k - 1 by Gross's algorithm; return the rows of each group.

    The first image left in `order` (a permutation of the rows) is the seed; it and its k - 1
    nearest in Euclidean distance form a group and leave. Fewer than 2k images left form the last
    group. Ties go by the pixel bytes, then by `order`. Raises `NotApplicable` for fewer than k
    images.
    """
    n = len(images)
    if n < k:
        raise NotApplicable(f"{n} of at least k = {k} needed; choose a smaller k or add patients")
    pixels = centred(images)
    norms = squared_norms(pixels)
    rank = byte_rank(images, np.argsort(order))
    groups, left = [], np.asarray(order, dtype=np.int64)
    while len(left) >= 2 * k:
        # the distances of a block of coming seeds in one product; seeds that an earlier one takes
        # were for nothing
        block = max(1, min(-(-len(left) // k), BLOCK_ENTRIES // len(left)))
        keys = squared_distances(
            pixels[left[:block]], pixels[left], norms[left[:block]], norms[left]
        )
        keys *= n  # distance first, then rank: no two keys are equal
        keys += rank[left]
        here = np.ones(len(left), dtype=bool)
        count = len(left)
        for seed in range(block):
            if count < 2 * k:
                break
            if here[seed]:
                key = np.where(here, keys[seed], FAR)
                key[seed] = -1  # the seed itself before any copy of it
                nearest = np.argpartition(key, k - 1)[:k]
                groups.append(left[nearest])
                here[nearest] = False
                count -= k
        left = left[here]
    if len(left):
        groups.append(left)
    return groups


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
                'keep one each, or use KSameSelect(k, form="release")'
            )
        n = np.arange(len(cohort))
        order = np.lexsort((byte_rank(cohort.images, n), cohort.patient))
        groups = group(cohort.images, self.k, order)
        which = np.empty(len(cohort), dtype=np.int64)
        for number, rows in enumerate(groups):
            which[rows] = number
        table = patients_table([cohort.patient[rows] for rows in groups])
        means = np.stack([_mean(cohort.images[rows]) for rows in groups])
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
            "answer each image with training patients (query, as in the paper), or publish the images "
            "as a set in which k patients share each one (release)",
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
        """Return the method as `Privatizer.ready`; the release form asks for no training patients."""
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

        Raises `NotApplicable` for a class with fewer than k patients; in the query form `ValueError`
        before `fit` and for images of another size than the training images.
        """
        averages, parameters = self.averages(cohort), self.settings
        if self.form == "query":
            own = Pools.of(self._gallery()).known(cohort)
            among = ((averages.contributors == own[:, None]) & (own[:, None] >= 0)).any(axis=1)
            parameters["own_patient_rate"] = float(among.mean()) if (own >= 0).any() else None
        return averages.release(self.name, parameters)

    def _require_patients(self, cohort: Cohort, label: bool, which: str = "") -> None:
        count = len(np.unique(cohort.patient[cohort.diseased == label]))
        if count < self.k:
            word = "diseased" if label else "healthy"
            raise NotApplicable(
                f"K-Same-Select with k = {self.k}: only {count} {which}patients have a {word} image; "
                "choose a smaller k or add patients"
            )

    def _gallery(self) -> Cohort:
        if self.train is None:
            raise ValueError(
                "K-Same-Select in query form has no training images yet; call fit(train) first"
            )
        return self.train

    def _answers(self, cohort: Cohort) -> Averages:
        train = self._gallery()
        if cohort.images.shape[1:] != train.images.shape[1:]:
            raise ValueError(
                f"the images are {cohort.images.shape[1:]} pixels, the training images "
                f"{train.images.shape[1:]}; prepare them with the same size and colours"
            )
        for label in np.unique(cohort.diseased):
            self._require_patients(train, label, "training ")
        means = np.empty(cohort.images.shape, dtype=np.float64)
        contributors = np.empty((len(cohort), self.k), dtype=np.int64)
        for label in np.unique(cohort.diseased):
            asked = np.flatnonzero(cohort.diseased == label)
            gallery = train.take(train.diseased == label)
            for rows, nearest in _nearest_patients(cohort.images, asked, gallery, self.k):
                means[rows] = _mean(gallery.images[nearest], of=1)
                contributors[rows] = gallery.patient[nearest]
        n = np.arange(len(cohort), dtype=np.int64)
        return Averages(means, n, n, contributors)

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
            faces = rounded(np.stack([_mean(cohort.images[unit]) for unit in units]))
            for chosen in group(faces, self.k, np.arange(len(units))):
                group_units = [units[i] for i in chosen]
                count = max(map(len, group_units))
                rounds = np.stack(
                    [np.resize(unit, count) for unit in group_units], axis=1
                )  # np.resize cycles
                which.append(np.repeat(np.arange(done, done + count), len(chosen)))
                done += count
                means.append(_mean(cohort.images[rounds], of=1))
                members += [cohort.patient[rounds[0]]] * count
                source.append(rounds.ravel())
        row, shown = (np.concatenate(parts).astype(np.int64) for parts in (source, which))
        # the first copy for each row of the cohort, in row order, before the further ones
        first = np.unique(row, return_index=True)[1]
        place = np.concatenate([first, np.setdiff1d(np.arange(len(row)), first)])
        table = patients_table(members)
        return Averages(np.concatenate(means), shown[place], row[place], table[shown[place]])


def _nearest_patients(
    images: Images, asked: Int64[np.ndarray, " a"], gallery: Cohort, k: int
) -> Iterator[tuple[Int64[np.ndarray, " r"], Int64[np.ndarray, "r k"]]]:
    """Yield (rows, (rows, k) rows of `gallery`): the nearest image of each of the k nearest
    patients, nearest first.
    """
    by_patient = np.argsort(gallery.patient, kind="stable")
    starts = np.flatnonzero(np.diff(gallery.patient[by_patient], prepend=-1))
    rank = byte_rank(gallery.images, gallery.patient)
    row_of_rank = np.argsort(rank)
    pixels = centred(gallery.images[by_patient])
    norms = squared_norms(pixels)
    block = max(1, min(1024, BLOCK_ENTRIES // len(gallery)))
    for start in range(0, len(asked), block):
        rows = asked[start : start + block]
        keys = squared_distances(centred(images[rows]), pixels, norms_b=norms)
        keys *= len(gallery)  # distance first, then rank: no two keys are equal
        keys += rank[by_patient]
        keys = np.minimum.reduceat(keys, starts, axis=1)
        keys = np.sort(np.partition(keys, k - 1, axis=1)[:, :k], axis=1)
        yield rows, row_of_rank[keys % len(gallery)]


def _mean(images: UInt8[np.ndarray, "..."], of: int = 0) -> Float64[np.ndarray, "..."]:
    """Return the exact mean over the axis `of`, that of the patients."""
    return images.sum(axis=of, dtype=np.uint32) / images.shape[of]
