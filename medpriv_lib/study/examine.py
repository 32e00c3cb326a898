"""Every measure on every row of the study, and the reasons where a measure does not apply."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.release import Release
from medpriv_lib.measures.measure import Cells, Exam, Ground, Measure, measured
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.study.rows import Bar, Method, Releases
from medpriv_lib.study.table import all_measures


@dataclass(frozen=True)
class Note:
    """Why a measure, or a part of one, has no number: for one row or for all ("")."""

    measure: str
    reason: str
    experiment: str = ""
    set: str = ""


class Examiner:
    """Computes the cells of one row after the other, by all measures.

    P(t), the releases of the disease-free twins, are made by the same methods from the same seeds:
    the latent noise of each image, its replacement identities and every other choice are those of
    P(x).
    """

    def __init__(
        self,
        ground: Ground,
        resources: Resources,
        cohorts: Mapping[str, Cohort],
        draws: int,
        among: Iterable[type[Measure]] | None = None,
    ) -> None:
        """Prepare the measures `among`, all there are by default.

        `resources`, `cohorts` and `draws` as for `Releases`.
        """
        self.ground, self.resources = ground, resources
        self.measures: list[Measure] = []
        self.notes: list[Note] = []
        visits = ground.test.visit is not None
        for cls in all_measures().values() if among is None else among:
            if cls.needs_visits and not visits:  # nobody asks for it there
                continue
            try:
                self.measures.append(cls(self.ground))
            except NotApplicable as error:  # this measure asks for what the cohort does not hold
                self.notes.append(Note(cls.name, str(error)))
        self.few = max((each.draws for each in self.measures if each.draws is not None), default=0)
        self.twins = None
        if ground.evident.any() and (shown := ground.test.twin) is not None:
            twins = {key: replace(one, images=shown) for key, one in cohorts.items()}
            few = min(draws, self.few)
            self.twins = Releases(resources, twins, ground.seed, few, fresh=visits)
        self.values: dict[tuple[str, str], dict[str, np.ndarray]] = {}

    def sizes(self) -> dict[str, int]:
        """Return from how many draws and images columns come that are dearer than verdicts."""
        return {key: size for each in self.measures for key, size in each.sizes().items()}

    def prepare(self, rows: Iterable[Method], bar: Bar) -> None:
        """Decode what is needed of the twins; `bar(total)` returns a progress bar."""
        if self.twins is not None:
            self.twins.prepare(rows, bar, self.ground.evident)

    def all_draws(self, method: Method, drawn: Sequence[Release]) -> Cells:
        """Return the cells of those measures that look at every draw.

        Raises `ValueError` where a release does not hold one image per test image, in their order.
        """
        for release in drawn:
            if not np.array_equal(release.source, np.arange(len(self.ground.test))):
                raise ValueError(
                    f"{release.method}: one released image per test image is needed, in their order"
                )
        self.ground.panel.ask(  # large batches are faster
            np.concatenate([each.images for each in drawn]),
            np.tile(self.ground.test.patient, len(drawn)),
            np.concatenate([each.contributors for each in drawn]),
        )
        return self._cells(method, drawn, [each for each in self.measures if each.draws is None])

    def few_draws(self, method: Method, drawn: Sequence[Release]) -> Cells:
        """Return the cells of the other measures, from the first draws (`few` of them)."""
        return self._cells(
            method, drawn, [each for each in self.measures if each.draws is not None]
        )

    def row(self, method: Method, drawn: Sequence[Release]) -> Cells:
        """Return all cells of a row from its draws on the test images; errors as of `all_draws`."""
        return {**self.all_draws(method, drawn), **self.few_draws(method, drawn[: self.few])}

    def _cells(self, method: Method, drawn: Sequence[Release], among: Iterable[Measure]) -> Cells:
        @cache
        def twins() -> list[Release]:
            if self.twins is None:
                raise NotApplicable("the cohort holds no twins without the disease")
            return list(self.twins.of(method))

        cells: Cells = {}
        for measure in among:
            exam = Exam(
                method.experiment,
                method.set,
                method.labels,
                list(islice(drawn, measure.draws)),
                twins,
                lambda: method.ready(self.resources),
            )
            found, reasons = measured(measure, exam)
            cells |= found
            self.values.setdefault(method.name, {}).update(exam.values)
            self.notes += [Note(measure.name, reason, *method.name) for reason in reasons]
        return cells


def grouped(notes: Iterable[Note]) -> Iterator[dict[str, object]]:
    """Yield each measure and reason once, with the names of the rows it is said of, [] for all.

    Measures come in the order of the table, whichever was asked first.
    """
    place = {name: number for number, name in enumerate(all_measures())}
    rows: dict[tuple[str, str], list[str]] = {}
    for note in sorted(notes, key=lambda note: place.get(note.measure, len(place))):
        said = rows.setdefault((note.measure, note.reason), [])
        if note.set:
            said.append(f"{note.experiment}/{note.set}")
    for (measure, reason), names in rows.items():
        yield {"measure": measure, "reason": reason, "rows": names}
