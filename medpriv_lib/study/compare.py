"""The paper's comparison: every method privatises the test images, every measure looks at them."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.provenance import provenance
from medpriv_lib.measures.measure import Cells, Ground
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.recognition.eye_judge import EyeJudge
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.reader import Reader
from medpriv_lib.recognition.verdicts import Panel, unseen_threshold
from medpriv_lib.study.decoded import networks_of
from medpriv_lib.study.examine import Examiner, grouped
from medpriv_lib.study.paired import comparisons
from medpriv_lib.study.rows import LARGEST, Method, Releases, methods, with_predicted_labels
from medpriv_lib.study.table import Row, arrange


@dataclass(frozen=True)
class Study:
    """What came out: the `rows` of the table, in percent, their `provenance`, and `notes` on why
    which measure has no number in which rows. `paired` holds by how much rows differ image by image
    (`paired.comparisons`), [] for a cohort without visits.
    """

    rows: list[Row]
    provenance: dict[str, Any]
    notes: list[dict] = field(default_factory=list)
    paired: list[dict] = field(default_factory=list)


def compare(
    cohort: Cohort,
    judges: Judges,
    vgan: PPRLVGAN,
    draws: int,
    seed: int,
    progress: bool = True,
    weights: Path | None = None,
    largest: int = LARGEST,
    expert: Expert | None = None,
    eye_judge: EyeJudge | None = None,
    wanted: Callable[[Method], bool] | None = None,
) -> Study:
    """Privatise the test images with every method, measure the releases and return the arranged
    table.

    `weights` is the folder where methods that need trained networks find theirs, None the shipped
    ones; `largest` the number of decodes that are kept in memory. `expert` and `eye_judge` judge on
    cohorts with visits, where more rows are run too, draws have random numbers of their
    own, and judges that never saw the patient have their threshold from validation images.
    `wanted` says of each row whether to run it, None runs all: a row's numbers are the same either
    way.
    """
    began = time.perf_counter()
    test = cohort.of("test")
    visits = cohort.visit is not None
    resources = Resources(cohort, weights, networks_of(vgan, judges if visits else None))
    reader = Reader(judges.disease)
    threshold = unseen_threshold(judges, cohort.of("val")) if visits else 0.0
    panel = Panel(judges, reader.logits, threshold)
    ground = Ground(cohort.of("train"), test, judges, seed, reader, panel, expert, eye_judge)
    read = ground.panel.ask(test.images, test.patient).disease
    cohorts = {"": test, "true": test, "predicted": replace(test, diseased=read)}
    examiner = Examiner(ground, resources, cohorts, draws)
    listed = methods(visits)
    listed += with_predicted_labels(listed)
    listed = [method for method in listed if wanted is None or wanted(method)]
    releases = Releases(resources, cohorts, seed, draws, largest, fresh=visits)
    releases.prepare(listed, lambda total: bar(total, "decoding", progress))
    examiner.prepare(listed, lambda total: bar(total, "decoding twins", progress))
    rows: list[Row] = []
    waiting: list[tuple[Row, Future[Cells]]] = []
    with bar(len(listed), "judging", progress) as shown, _second_thread() as second:
        for method in listed:
            row: Row = {
                "experiment": method.experiment,
                "set": method.set,
                "labels": method.labels,
                "note": "",
            }
            rows.append(row)
            try:
                drawn = list(releases.of(method))
            except NotApplicable as error:  # such as a class smaller than K
                row["note"] = f"empty: {error}"
            else:
                row |= examiner.all_draws(method, drawn)
                few = drawn[: examiner.few]
                waiting.append((row, second.submit(examiner.few_draws, method, few)))
            shown.update(1)
        for row, cells in waiting:
            row |= cells.result()
    made = provenance(cohort, test, {"draws": draws, "seed": seed})
    made["explained"] = examiner.sizes()
    made["seconds"] = round(time.perf_counter() - began, 1)
    if visits:
        made["unseen_threshold"] = round(threshold, 4)
    between = comparisons(examiner.values, test.patient) if visits else []
    return Study(arrange(rows), made, list(grouped(examiner.notes)), between)


@contextlib.contextmanager
def _second_thread() -> Iterator[ThreadPoolExecutor]:
    """Measure few draws of a row while further rows are judged, one row after the other.

    Those measures are mostly Python, which leaves a core idle.
    """
    second = ThreadPoolExecutor(1)
    try:
        yield second
    finally:
        second.shutdown(cancel_futures=True)


@contextlib.contextmanager
def bar(total: int, what: str, progress: bool) -> Iterator[tqdm]:
    """Show progress on stderr where a person is looking; stay quiet in pipes."""
    hidden = not (progress and sys.stderr.isatty())
    with tqdm(total=total, desc=what, disable=hidden, leave=False, unit_scale=True) as shown:
        yield shown
