"""What a measure is: the columns that it declares, and the cells that it computes for one row."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Privatizer
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.recognition.eye_judge import EyeJudge
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.reader import Reader
from medpriv_lib.recognition.verdicts import Panel

Cells = dict[str, Any]  # by column: text, a number, or None where there is none


class Place(IntEnum):
    """Where a column stands in the table. A new column leaves this alone and stands after all."""

    PAPER = 0
    OWN = 1
    COUNT = 2
    SPREAD = 3
    EXPLANATION = 4
    RELEVANCE_BESIDE = 5
    RETRIEVAL_BESIDE = 6
    DISTANCE = 7
    SIGNS = 8
    NEW = 9


@dataclass(frozen=True)
class Column:
    """One column of the study's table, with its spread.

    `name` in the file; `title` of at most six letters in the terminal, "" where it is not shown
    there; `kind` "rate" (a number), "count" (a whole number) or "text"; `percent` whether it is in
    percent; `spread` "interval" adds `<name>_low` and `<name>_high`, the 95 % interval over
    patients, "draws" also `<name>_std`, the standard deviation over random draws.
    """

    name: str
    title: str = ""
    kind: Literal["rate", "count", "text"] = "rate"
    percent: bool = True
    spread: Literal["", "interval", "draws"] = ""
    place: Place = Place.NEW

    @property
    def spreads(self) -> tuple[str, ...]:
        """The names of the columns that hold the spread."""
        ends = {"": (), "interval": ("low", "high"), "draws": ("std", "low", "high")}[self.spread]
        return tuple(f"{self.name}_{end}" for end in ends)


@dataclass(frozen=True, eq=False)
class Ground:
    """What all rows of a study are measured on.

    `train` the images that methods learn from; `test` those that are released, with their true
    labels; `judges` the fixed networks, `panel` and `reader` (the disease judge) what they have
    read already; `seed` that of the study. Where the signs of the disease are known, `test` has
    twins and masks, and `evident` (N,) says in which of its images there are any. `expert` is the
    disease judge that met no patient of the cohort, `eye_judge` the one that names eyes, None where
    there is none.
    """

    train: Cohort
    test: Cohort
    judges: Judges
    seed: int
    reader: Reader = field(default=None)  # type: ignore[assignment]
    panel: Panel = field(default=None)  # type: ignore[assignment]
    expert: Expert | None = None
    eye_judge: EyeJudge | None = None

    def __post_init__(self) -> None:
        """Give the disease judge one memory, whoever asks."""
        if self.reader is None:
            object.__setattr__(self, "reader", Reader(self.judges.disease))
        if self.panel is None:
            object.__setattr__(self, "panel", Panel(self.judges, self.reader.logits))

    @property
    def evident(self) -> Bool[np.ndarray, " n"]:
        """Which test images show signs that are known."""
        masks = self.test.evidence
        if masks is None:
            return np.zeros(len(self.test), dtype=bool)
        return np.asarray(masks.any(axis=(1, 2)))

    def spread_out(self, count: int) -> np.ndarray:
        """Return at most `count` rows of the test images, evenly spread: for what is dear."""
        last = len(self.test) - 1
        return np.unique(np.linspace(0, last, min(last + 1, count)).astype(int))


@dataclass(frozen=True, eq=False)
class Exam:
    """One row of the study under examination.

    `experiment`, `set` and `labels` ("" none, "true" or "predicted") name the row; `drawn` are the
    releases of the test images, one released image per test image in their order, as many random
    draws as the measure asks for. `twins()` returns the releases of the disease-free twins by the
    same draws, valid where `Ground.evident` holds; `method()` the privatizer, ready to run. Both
    raise `NotApplicable` where there is none. A measure may leave the value of each test image in
    `values`, by the column's name, float (N,), nan where there is none: what two rows are compared
    by, image by image. Of a column that is a ratio of sums over images, such as F1, they are the
    summands of both, (N, 2).
    """

    experiment: str
    set: str
    labels: str
    drawn: Sequence[Release]
    twins: Callable[[], Sequence[Release]]
    method: Callable[[], Privatizer]
    values: dict[str, Float[np.ndarray, "n ..."]] = field(default_factory=dict)


Part = Callable[[Exam], Cells]


class Measure(ABC):
    """Computes its columns for one row after the other.

    A new measure is one file with one class that derives from this one; its columns are in the
    table as soon as the class is defined. `name` is the measure's; `columns` what it declares;
    `draws` how many random draws of a row it looks at, None for all of them; `needs_visits`
    whether it is measured on cohorts with visits only: it then raises `NotApplicable` on others,
    and the study does not ask it there.
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    draws: ClassVar[int | None] = 1
    needs_visits: ClassVar[bool] = False

    def __init__(self, ground: Ground) -> None:
        """Prepare what all rows share. Raises `NotApplicable` where no row can be measured."""
        if self.needs_visits and ground.test.visit is None:
            raise NotApplicable("this cohort has no visits")
        self.ground = ground

    @abstractmethod
    def cells(self, exam: Exam) -> Cells:
        """Return the cells of one row, by column name; a column that is left out stays empty.

        Raises `NotApplicable`, with the reason, where this row cannot be measured.
        """

    def parts(self) -> Sequence[Part]:
        """Return what is computed apart: one part may be not applicable without the rest."""
        return (self.cells,)

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean, for the terminal below these rows; "" says nothing."""
        return ""

    def sizes(self) -> dict[str, int]:
        """Return from how many images the columns come, where that is not all of them."""
        return {}

    def generator(self, *names: str) -> torch.Generator:
        """Return a generator for one named part of the measure."""
        return seeded(self.ground.seed, *names)


def measured(measure: Measure, exam: Exam) -> tuple[Cells, list[str]]:
    """Return the cells of one row, and the reasons of all parts that do not apply to the row."""
    cells: Cells = {}
    reasons = []
    for part in measure.parts():
        try:
            cells |= part(exam)
        except NotApplicable as error:
            reasons.append(str(error))
    return cells, reasons
