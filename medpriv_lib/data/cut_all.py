"""All files of a listing cut out, and those whose eye does not fit its person's looked at again."""

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tqdm import tqdm

from medpriv_lib.data.cut_out import CutOut, Part
from medpriv_lib.data.eyes.same_person import is_odd, usual_sizes
from medpriv_lib.data.left_out import LeftOut

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
    listing, odd = cut.listing, []
    with _threads(workers or min(8, os.cpu_count() or 1)) as pool:
        done = pool.map(cut.cut, range(len(listing)))
        hidden = None if progress is None else not progress  # None: quiet where nobody watches
        parts = list(tqdm(done, total=len(listing), desc="prepare", unit="image", disable=hidden))
        if cut.localize and not cut.first_recipe:
            odd = _look_again(cut, parts, pool)
    kept, lost = {}, []
    for row, part in enumerate(parts):
        finding = part.finding
        if part.image is not None and (
            finding is None or cut.first_recipe or part.agrees or finding.sure
        ):
            kept[row] = part
        else:
            name, patient = listing.name_of(row), str(listing.patient[row])
            if part.bad:
                lost.append(LeftOut(name, patient, part.bad))
                continue
            doubt = "no eye was found" if finding is None or cut.first_recipe else finding.doubt
            lost.append(LeftOut(name, patient, f"{doubt}; {REMEDY}"))
    return Cuts(kept, lost, odd)


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

    A doubtful eye of the usual size counts: the other images speak for it. Returns the rows that
    are sure and stay odd.
    """
    findings = {row: part.finding for row, part in enumerate(parts) if part.finding is not None}
    listing = cut.listing
    group = {row: (str(listing.patient[row]), parts[row].shape) for row in findings}
    open_rows: dict[int, float] = {}
    for row, size in usual_sizes(findings, group).items():
        finding = findings[row]
        if finding.sure_of_size and not is_odd(finding, size):
            parts[row].agrees = True
        else:
            open_rows[row] = size
    again = pool.map(cut.cut, open_rows, open_rows.values())
    odd = []
    for row, part in zip(open_rows, again, strict=True):
        if part.image is not None and part.finding is not None and part.finding.sure_of_size:
            part.agrees = True
            parts[row] = part
        elif findings[row].sure:
            odd.append(row)
    return odd
