"""The same work on many pieces, in several processes."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import cv2

P = TypeVar("P")
R = TypeVar("R")


def in_processes(
    make: Callable[[P], R], pieces: Sequence[P], workers: int | None = None, each: int = 1
) -> Iterator[R]:
    """Yield `make(piece)` of all pieces, in their order.

    `workers` None takes all cores, 1 (or one piece) this process; `each` is how many pieces a
    process is handed at once. `make` and the pieces are pickled, so they are defined at the top of
    a module. An error in one piece is raised here, and what has not begun by then is not begun.
    """
    workers = min(workers or os.cpu_count() or 1, len(pieces))
    if workers <= 1:
        yield from map(make, pieces)
        return
    # spawned, not forked: OpenCV and torch hold threads
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawned, cv2.setNumThreads, (1,)) as pool:
        try:
            yield from pool.map(make, pieces, chunksize=each)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
