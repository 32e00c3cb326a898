"""The rows of the study: every method that is compared, with its settings and names there."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Privatizer, Resources
from medpriv_lib.privatizers.registry import privatizers
from medpriv_lib.study.decoded import Decoded
from medpriv_lib.study.table import paper_names

PREDICTED = ", predicted labels"  # ends the name of a row that was given the judge's reading
LARGEST = 60_000  # decodes of 64x64 pixels kept in memory as float16: 490 MB

Bar = Callable[[int], AbstractContextManager[tqdm]]


@dataclass(frozen=True)
class Method:
    """One row: its names, whose labels it is given, and the privatizer behind it.

    `experiment` and `set` name it; `labels` "" none, "true" or "predicted"; `cls` and `settings`
    make the privatizer; `random` says whether draws differ. With `shared` the draws take each image
    from that many releases, at random: a draw by itself is one of the method, and less has to be
    made and judged. A row that `needs_visits` is run on cohorts with visits only.
    """

    experiment: str
    set: str
    cls: type[Privatizer]
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: Literal["", "true", "predicted"] = ""
    random: bool = False
    shared: int = 0
    needs_visits: bool = False

    @property
    def name(self) -> tuple[str, str]:
        """Experiment and set."""
        return self.experiment, self.set

    @property
    def stream(self) -> str:
        """The name of its random numbers: the same for true and for predicted labels."""
        return self.set.removesuffix(PREDICTED)

    def ready(self, resources: Resources) -> Privatizer:
        """Return the privatizer, ready to run.

        Raises `NotApplicable` for a row that needs visits and whose weights nobody trained yet.
        """
        try:
            return self.cls.ready(resources, **self.settings)
        except FileNotFoundError as error:
            if not self.needs_visits:
                raise
            folder = weights.DEFAULT if resources.weights is None else resources.weights
            # the note stands in tables that are shared: no path of this machine
            said = str(error).replace(f"{folder}{os.sep}", "")
            raise NotApplicable(f"not trained: {said}") from error

    def release(
        self,
        resources: Resources,
        cohort: Cohort,
        generator: torch.Generator,
        in_sets: bool = False,
    ) -> Release:
        """Return one draw, one released image per image of `cohort`, in their order; `in_sets` as
        of `Privatizer.in_sets`.

        Raises `NotApplicable` where this cohort does not allow the method.
        """
        method = self.ready(resources)
        release = (method.in_sets if in_sets else method.privatize)(cohort, generator)
        n = len(cohort)
        if len(release) == n:
            return release
        # a method may hand out more images than it was given: the first are one per image, in order
        return replace(
            release,
            images=release.images[:n],
            source=release.source[:n],
            contributors=release.contributors[:n],
        )


def methods(visits: bool = False) -> list[Method]:
    """Return the rows of the table: the paper's in its order, then what else methods declare.

    With `visits`, those of a cohort that has some: more controls, and methods that need
    what only such a cohort holds.
    """
    listed = [
        Method(
            one.experiment or ("control" if cls.control else cls.name),
            one.set,
            cls,
            one.settings,
            one.labels,
            one.random,
            one.shared,
            one.needs_visits,
        )
        for cls in privatizers().values()
        for one in cls.compared
        if visits or not one.needs_visits
    ]
    place = {name: number for number, name in enumerate(paper_names())}
    return sorted(listed, key=lambda row: place.get(row.name, len(place)))


class Heading(NamedTuple):
    """How an experiment stands on pages and figures: its `title`, and matplotlib's `marker`."""

    title: str
    marker: str


def headings(experiments: Iterable[str]) -> dict[str, Heading]:
    """Return the heading of every experiment named, once each, in their order.

    An experiment that is named after its method has the method's title. One that no method of this
    library asks for, such as one in an older table, is drawn under its own name.
    """
    known: dict[str, Heading] = {}
    for row in methods(visits=True):
        title = row.cls.title if row.experiment == row.cls.name else row.experiment.capitalize()
        known.setdefault(row.experiment, Heading(title, row.cls.marker))
    return {
        name: known.get(name, Heading(name, Privatizer.marker))
        for name in dict.fromkeys(experiments)
    }


def with_predicted_labels(rows: Iterable[Method]) -> list[Method]:
    """Return the label-using rows again, to be given what the disease judge reads from the
    originals.
    """
    return [
        replace(row, set=row.set + PREDICTED, labels="predicted")
        for row in rows
        if row.labels == "true"
    ]


class Releases:
    """Makes the releases of every method: from decodes where these are kept, else by the
    privatizers themselves.
    """

    def __init__(
        self,
        resources: Resources,
        cohorts: Mapping[str, Cohort],
        seed: int,
        draws: int,
        largest: int = LARGEST,
        fresh: bool = False,
    ) -> None:
        """`cohorts` maps the labels "", "true", "predicted" to the test images with these labels.

        `resources` is what methods draw from; `largest` the number of decodes that are kept. With
        `fresh` every draw is made by its privatizer from random numbers of its own, the noise of
        the code included; else draws share decodes, and the noise of the code of each image.
        """
        self.resources, self.cohorts = resources, cohorts
        self.seed, self.draws, self.largest = seed, draws, largest
        self.decoded = None if fresh else Decoded.of(resources, cohorts[""], seed)
        self._named: dict[tuple[str, str], list[np.ndarray] | NotApplicable] = {}

    def prepare(self, rows: Iterable[Method], bar: Bar, only: np.ndarray | None = None) -> None:
        """Draw the identities of every row and decode all that are needed; `bar(total)` returns a
        progress bar.

        With `only`, a bool (N,), just those images are decoded, and only they may be used of the
        releases.
        """
        if self.decoded is None:
            return
        for row in rows:
            if self.decoded.serves(row.cls):
                try:
                    self._named[row.name] = [
                        self.decoded.drawn(row.cls, row.settings, self.cohorts[row.labels], draw)
                        for draw in range(self.draws)
                    ]
                except NotApplicable as error:  # the other rows can be had; this one is kept as is
                    self._named[row.name] = error
        needed = np.zeros(self.decoded.index.shape, dtype=bool)
        for named in self._named.values():
            for draw in named if isinstance(named, list) else []:
                np.put_along_axis(needed, draw, True, axis=1)
        if only is not None:
            needed &= only[:, None]
        total = int(needed.sum())
        if total > self.largest:  # each draw is made when it is its turn, and not kept
            self._named = {
                name: named
                for name, named in self._named.items()
                if isinstance(named, NotApplicable)
            }
        elif total:
            with bar(total) as progress:
                self.decoded.decode(needed, progress.update)

    def serves(self, row: Method) -> bool:
        """Say whether the releases of a row are taken from decodes that `prepare` makes."""
        return self.decoded is not None and self.decoded.serves(row.cls)

    def of(self, row: Method) -> Iterator[Release]:
        """Yield the draws of a row. Raises `NotApplicable` where this cohort does not allow the
        method.
        """
        named = self._named.get(row.name)
        if isinstance(named, NotApplicable):
            raise named
        if row.shared:
            yield from self._shared(row)
            return
        for draw in range(self.draws if row.random else 1):
            if named is None or self.decoded is None:
                yield self._made(row, draw)
            else:
                yield self.decoded.release(row.cls, row.settings, named[draw])

    def _made(self, row: Method, draw: int) -> Release:
        generator = seeded(self.seed, row.experiment, row.stream, draw)
        return row.release(self.resources, self.cohorts[row.labels], generator)

    def _shared(self, row: Method) -> Iterator[Release]:
        releases = [self._made(row, number) for number in range(row.shared)]  # however many draws
        n = np.arange(len(releases[0]))
        for draw in range(self.draws):
            generator = seeded(self.seed, "shared", row.experiment, row.stream, draw)
            pick = torch.randint(len(releases), (len(n),), generator=generator).numpy()
            yield replace(
                releases[0],
                images=np.stack([each.images for each in releases])[pick, n],
                contributors=np.stack([each.contributors for each in releases])[pick, n],
            )
