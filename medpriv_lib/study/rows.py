"""The rows of the study: which methods, with which parameters, under which names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.randomness import seeded
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import ClassMean, Original, PriorSample, RealOther
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.privatizers.protocol import Privatizer
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.study.decoded import Decoded, RememberingDecoder
from medpriv_lib.study.table import PREDICTED

KERNELS = (3, 9, 15, 21)
GROUPS = (3, 6, 9, 12)
AVERAGED = 6
SHARED = 4  # prior samples of each image, from which its draws are taken
PAPER_SETS = {
    ("random", 1): "random identities",
    ("same", 1): "identities with the same pathology",
    ("different", 1): "identities with a different pathology",
    ("random", AVERAGED): f"average of {AVERAGED} with random identities",
    ("same", AVERAGED): f"average of {AVERAGED} with the same pathology",
}
LARGEST = 60_000  # decodes of 64x64 pixels kept in memory as float16: 490 MB


@dataclass(frozen=True)
class Method:
    """One row: its names, whose `labels` it is given ("", "true" or "predicted"), and how it comes
    to a release.

    `make` returns the privatizer, fitted; `random` says whether draws differ. With `shared` the
    draws take each image from that many releases, at random: a draw by itself is one of the method,
    and less has to be decoded and judged. For PPRL-VGAN and its averages `policy` and `k` (1: no
    average) are given too, so that the study can take its decodes from `Decoded`.
    """

    experiment: str
    set: str
    labels: str
    random: bool
    make: Callable[[Cohort], Privatizer] = field(repr=False)
    policy: str = ""
    k: int = 0
    shared: int = 0

    def release(self, train: Cohort, test: Cohort, generator: torch.Generator) -> Release:
        """Return one draw. Raises `ValueError` where this cohort does not allow the method."""
        release = self.make(train).privatize(test, generator)
        n = len(test)
        if len(release) == n:
            return release
        # K-Same's release form hands out more images than it was given: the first are one per
        # image, in order
        return Release(
            release.images[:n],
            release.source[:n],
            release.contributors[:n],
            release.method,
            release.parameters,
        )


def methods(vgan: PPRLVGAN, prior: RememberingDecoder | None = None) -> Iterator[Method]:
    """Yield the rows of the table: the paper's in its order, ours, the controls.

    `prior` decodes the prior samples in place of `vgan`, for rows that share them.
    """
    prior = vgan if prior is None else prior
    yield Method("baseline", "original test set", "", False, lambda train: Original())
    yield from _vgan_rows(vgan)
    for kernel in KERNELS:
        yield Method(
            "blur", f"kernel {kernel}", "", False, lambda train, kernel=kernel: Blur(kernel)
        )
    for k in GROUPS:
        yield Method(
            "k-same-select",
            f"{k} identities",
            "true",
            False,
            lambda train, k=k: KSameSelect(k, form="query").fit(train),
        )
    for k in GROUPS:  # one group shares each release: the form that keeps K-Same's promise for several images a patient
        yield Method(
            "k-same-select",
            f"{k} identities, release form",
            "true",
            False,
            lambda train, k=k: KSameSelect(k, form="release").fit(train),
        )
    yield Method(
        "control",
        "real image, other patient, same label",
        "true",
        True,
        lambda train: RealOther().fit(train),
    )
    yield Method(
        "control", "mean image of the label", "true", False, lambda train: ClassMean().fit(train)
    )
    yield Method(
        "control",
        "prior sample, random identities",
        "",
        True,
        lambda train: PriorSample(prior),
        shared=SHARED,
    )
    yield Method(
        "control",
        "prior sample, same pathology",
        "true",
        True,
        lambda train: PriorSample(prior, "same"),
        shared=SHARED,
    )


def with_predicted_labels(rows: Iterator[Method]) -> Iterator[Method]:
    """Yield the label-using rows again, to be given what the disease judge reads from the
    originals.
    """
    for row in rows:
        if row.labels == "true":
            yield replace(row, set=row.set + PREDICTED, labels="predicted")


def _vgan_rows(vgan: PPRLVGAN) -> Iterator[Method]:
    for (policy, k), name in PAPER_SETS.items():
        if k == 1:

            def make(train, policy=policy):
                return vgan.with_policy(policy)
        else:

            def make(train, policy=policy, k=k):
                return Averaged(vgan, k, policy)

        yield Method("pprl-vgan", name, "" if policy == "random" else "true", True, make, policy, k)


class Releases:
    """Makes the releases of every method: from decodes where these are kept, else by the
    privatizers themselves.
    """

    def __init__(
        self, train: Cohort, cohorts: dict[str, Cohort], vgan: PPRLVGAN, seed: int, draws: int
    ) -> None:
        """`cohorts` maps the labels "", "true", "predicted" to the test images with these
        labels.
        """
        self.train, self.cohorts, self.seed, self.draws = train, cohorts, seed, draws
        self.decoded = Decoded(vgan, cohorts[""], seed)
        self._named: dict[tuple, list[np.ndarray] | ValueError] = {}

    def prepare(self, rows: list[Method], bar: Callable, only: np.ndarray | None = None) -> None:
        """Draw the identities of every row and decode all that are needed; `bar(total)` returns a
        progress bar.

        With `only`, a bool (N,), just those images are decoded, and only they may be used of the
        releases.
        """
        for row in rows:
            if row.policy:
                try:
                    self._named[row.experiment, row.set] = [
                        self._draw(row, draw) for draw in range(self.draws)
                    ]
                except ValueError as error:  # this row cannot be had on this cohort; the others can
                    self._named[row.experiment, row.set] = error
        needed = np.zeros(self.decoded.index.shape, dtype=bool)
        for named in self._named.values():
            for draw in named if isinstance(named, list) else []:
                np.put_along_axis(needed, draw, True, axis=1)
        if only is not None:
            needed &= only[:, None]
        total = int(needed.sum())
        if total > LARGEST:  # a large cohort: each draw is made when it is its turn, and not kept
            self._named = {
                name: named for name, named in self._named.items() if isinstance(named, ValueError)
            }
        elif total:
            with bar(total) as progress:
                self.decoded.decode(needed, progress.update)

    def of(self, row: Method) -> Iterator[Release]:
        """Yield the draws of a row. Raises `ValueError` where this cohort does not allow the
        method.
        """
        named = self._named.get((row.experiment, row.set))
        if isinstance(named, ValueError):
            raise named
        if row.shared:
            yield from self._shared(row)
            return
        for draw in range(self.draws if row.random else 1):
            if named is None:
                yield self._made(row, draw)
            elif row.k == 1:
                yield self.decoded.single(named[draw], row.policy)
            else:
                yield self.decoded.averaged(named[draw], row.policy)

    def _made(self, row: Method, draw: int) -> Release:
        name = row.set.removesuffix(
            PREDICTED
        )  # the same random numbers for true and predicted labels
        return row.release(
            self.train, self.cohorts[row.labels], seeded(self.seed, row.experiment, name, draw)
        )

    def _shared(self, row: Method) -> Iterator[Release]:
        releases = [self._made(row, number) for number in range(row.shared)]  # however many draws
        n = np.arange(len(releases[0]))
        for draw in range(self.draws):
            generator = seeded(
                self.seed, "shared", row.experiment, row.set.removesuffix(PREDICTED), draw
            )
            pick = torch.randint(len(releases), (len(n),), generator=generator).numpy()
            yield replace(
                releases[0],
                images=np.stack([each.images for each in releases])[pick, n],
                contributors=np.stack([each.contributors for each in releases])[pick, n],
            )

    def _draw(self, row: Method, draw: int) -> np.ndarray:
        cohort = self.cohorts[row.labels]
        if row.k == 1:
            return self.decoded.identities(cohort, row.policy, draw)
        return self.decoded.averaged_identities(cohort, row.k, row.policy, draw)
