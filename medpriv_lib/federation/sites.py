"""Hospitals: who has which patients, and whose patients are kept apart for testing."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.split import split_groups
from medpriv_lib.federation.scanner import Scanner

if TYPE_CHECKING:  # a site's command is there before torch would be
    import torch

How = Literal["even", "size", "label", "scanner"]
HOWS: tuple[How, ...] = get_args(How)
FEWEST = 2  # patients of a site: the update of a site of one is that patient's


@dataclass(frozen=True, eq=False)
class Site:
    """One hospital: its `name`, and the training and validation images of its own patients.

    The validation images may be missing; then the site has no say in the threshold. Raises
    `ValueError` for test images, for no training images and for fewer than two training patients.
    """

    name: str
    cohort: Cohort

    def __post_init__(self) -> None:
        """Check that nothing is here that a site must not train on."""
        if (self.cohort.split == "test").any():
            raise ValueError(
                f"site {self.name}: its cohort has test images; make the site with `Site.of`, "
                "which leaves them out"
            )
        if self.patients < FEWEST:
            raise ValueError(
                f"site {self.name}: {self.patients} training patient(s), and the update of fewer "
                f"than {FEWEST} would be that patient's own; join it with another site"
            )

    @classmethod
    def of(cls, cohort: Cohort, name: str) -> "Site":
        """Return a hospital with its own cohort, whose test images are left out.

        Raises `ValueError` where nothing is left, and as the class.
        """
        rows = np.flatnonzero(cohort.split != "test")
        if not (cohort.split[rows] == "train").any():
            raise ValueError(
                f"site {name}: its cohort has no training images; prepare it again with a split"
            )
        return cls(name, cohort.take(rows))

    @property
    def train(self) -> Cohort:
        """The training images."""
        return self.cohort.of("train")

    @property
    def val(self) -> Cohort | None:
        """The validation images, None where there are none."""
        return self.cohort.of("val") if (self.cohort.split == "val").any() else None

    @property
    def patients(self) -> int:
        """The number of patients with training images: the weight of the site."""
        return len(np.unique(self.cohort.patient[self.cohort.split == "train"]))


def split_by_patient(cohort: Cohort, generator: "torch.Generator") -> Cohort:
    """Return the cohort split anew, no patient in two splits: 65/15/20 % as far as patients allow.

    Raises `ValueError` for fewer than three patients.
    """
    import torch

    seed = int(torch.randint(2**62, (1,), generator=generator))
    split = split_groups(cohort.patient, cohort.diseased, np.random.default_rng(seed))
    return replace(cohort, split=split)


def deal(cohort: Cohort, sites: int, how: How, generator: "torch.Generator") -> tuple[Site, ...]:
    """Deal the patients who have no test image to hospitals; each patient goes to one of them.

    "even": equal numbers, healthy and diseased patients alike. "size": each site has twice as many
    patients as the one before. "label": ordered by the share of diseased images and cut into equal
    parts, so that the last site has most of the diseased. "scanner": as "even", and each site's
    images are taken by a camera of its own (`Scanner`). Patients with training images and those
    with validation images only are dealt in the same way, apart. Raises `ValueError` where every
    patient has test images (`split_by_patient` splits anew), or where a site would have fewer than
    two training patients.
    """
    if how not in HOWS:
        raise ValueError(f"unknown way to deal patients {how!r}; choose from {', '.join(HOWS)}")
    if sites < 1:
        raise ValueError(f"patients are dealt to at least one site, not {sites}")
    tested = np.unique(cohort.patient[cohort.split == "test"])
    rows = np.flatnonzero(~np.isin(cohort.patient, tested))
    training = np.unique(cohort.patient[rows][cohort.split[rows] == "train"])
    if len(training) < FEWEST * sites:
        raise ValueError(
            f"{len(training)} patients have training images and no test image, too few for "
            f"{sites} site(s) of at least {FEWEST}; take fewer sites, more patients, or split the "
            "cohort by patient first (`split_by_patient`)"
        )
    place = np.full(cohort.patients, -1)
    for group in (training, np.setdiff1d(cohort.patient[rows], training)):
        place[group] = _places(cohort.take(rows), group, sites, how, generator)
    dealt = [cohort.take(rows[place[cohort.patient[rows]] == number]) for number in range(sites)]
    if how == "scanner":
        dealt = [_taken_anew(one, generator) for one in dealt]
    return tuple(Site(f"site-{number}", one) for number, one in enumerate(dealt, 1))


def _places(
    cohort: Cohort, patients: np.ndarray, sites: int, how: How, generator: "torch.Generator"
) -> Int64[np.ndarray, " p"]:
    """Return the site of each of these patients."""
    import torch

    shuffled = patients[torch.randperm(len(patients), generator=generator).numpy()]
    count = np.bincount(cohort.patient, minlength=cohort.patients)[shuffled]
    ill = np.bincount(cohort.patient, cohort.diseased, minlength=cohort.patients)[shuffled]
    kind = (ill > 0).astype(int) + (ill == count)  # healthy, both, diseased
    order = np.argsort(ill / count if how == "label" else kind, kind="stable")
    weight = 2.0 ** np.arange(sites) if how == "size" else np.ones(sites)
    sizes = _sizes(len(patients), weight)
    where = np.repeat(np.arange(sites), sizes)
    if how != "label":  # each site takes from all along the line, at even spacing
        along = np.concatenate([(np.arange(size) + 0.5) / max(size, 1) for size in sizes])
        where = where[np.argsort(along, kind="stable")]
    found = np.empty(len(patients), dtype=np.int64)
    found[np.searchsorted(patients, shuffled[order])] = where
    return found


def _sizes(total: int, weight: np.ndarray) -> Int64[np.ndarray, " s"]:
    """Return whole numbers in proportion to the weights, by largest remainders; none below two
    where that is possible.
    """
    floor = min(FEWEST, total // len(weight))
    exact = (total - floor * len(weight)) * weight / weight.sum()
    sizes = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - sizes), kind="stable")
    sizes[order[: total - floor * len(weight) - sizes.sum()]] += 1
    return sizes + floor


def _taken_anew(cohort: Cohort, generator: "torch.Generator") -> Cohort:
    scanner = Scanner.drawn(generator)
    return replace(cohort, images=scanner.photograph(cohort.images, generator), twin=None)
