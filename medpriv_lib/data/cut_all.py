"""All files of a listing cut out, and those whose eye does not fit its person's looked at again."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from jaxtyping import Shaped
from numpy import ndarray
from tqdm import tqdm

from medpriv_lib.data.cut_out import CutOut, Part
from medpriv_lib.data.eyes.same_person import is_odd, usual_sizes
from medpriv_lib.data.left_out import LeftOut
from medpriv_lib.data.listing import Listing

Some = TypeVar("Some", bound=Part)
REMEDY = "look at it, or cut the eye out and prepare without localising"


@dataclass(frozen=True)
class Cuts:
    """What came of a listing: `kept` parts by row, `lost` files, and `odd`, kept rows whose iris is
    far from the usual size of the person's.
    """

    kept: dict[int, Part]
    lost: list[LeftOut]
    odd: list[int]


def cut_all(cut: CutOut, workers: int | None, progress: bool | None) -> Cuts:
    """Cut every file, in several threads: OpenCV and Pillow release the GIL.

    Stopped by an interruption or an error, no file that is still waiting is read.
    """
    odd: list[int] = []
    with _threads(workers or min(8, os.cpu_count() or 1)) as pool:
        done = pool.map(cut.cut, range(len(cut.listing)))
        hidden = None if progress is None else not progress  # None: quiet where nobody watches
        parts = list(
            tqdm(done, total=len(cut.listing), desc="prepare", unit="image", disable=hidden)
        )
        if cut.how.localize:
            odd = _look_again(cut, parts, pool)
    kept, lost = sorted_out(cut.listing, parts)
    return Cuts(kept, lost, odd)


def sorted_out(listing: Listing, parts: Sequence[Part]) -> tuple[dict[int, Part], list[LeftOut]]:
    """Return the parts that become images, by row, and what is lost of the others.

    An eye counts only with its signs.
    """
    kept, lost = {}, []
    for row, part in enumerate(parts):
        finding = part.finding
        if part.there and (finding is None or part.agrees or finding.sure):
            kept[row] = part
        else:
            name, patient = listing.name_of(row), str(listing.patient[row])
            if part.bad:
                lost.append(LeftOut(name, patient, part.bad))
                continue
            doubt = "no eye was found" if finding is None else finding.doubt
            lost.append(LeftOut(name, patient, f"{doubt}; {REMEDY}"))
    return kept, lost


@contextlib.contextmanager
def _threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of threads that forgets what is waiting once its user leaves."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _look_again(cut: CutOut, parts: list[Part], pool: ThreadPoolExecutor) -> list[int]:
    """Replace parts whose eye is missing, doubtful or of another size than the person's other eyes.

    Returns the rows that are sure and stay odd.
    """
    open_rows = to_look_at_again(parts, cut.listing.patient)
    again = pool.map(cut.cut, open_rows, open_rows.values())
    odd = []
    for row, part in zip(open_rows, again, strict=True):
        parts[row], is_odd_one = the_better(parts[row], part)
        odd += [row] * is_odd_one
    return odd


def to_look_at_again(parts: Sequence[Part], patient: Shaped[ndarray, " n"]) -> dict[int, float]:
    """Return the rows that are looked at again, with the size of iris to look for, in px.

    Those whose eye is missing, doubtful or of another size than the person's other eyes. A doubtful
    eye of the usual size counts, and is marked so: the other images speak for it.
    """
    findings = {row: part.finding for row, part in enumerate(parts) if part.finding is not None}
    group = {row: (str(patient[row]), parts[row].shape) for row in findings}
    open_rows: dict[int, float] = {}
    for row, size in usual_sizes(findings, group).items():
        finding = findings[row]
        if finding.sure_of_size and not is_odd(finding, size):
            parts[row].agrees = True
        else:
            open_rows[row] = size
    return open_rows


def the_better(part: Some, again: Some) -> tuple[Some, bool]:
    """Return what counts after a second look, and whether it is sure and stays odd."""
    if again.there and again.finding is not None and again.finding.sure_of_size:
        again.agrees = True
        return again, False
    return part, part.finding is not None and part.finding.sure
