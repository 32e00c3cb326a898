"""Threads that compute on one core each, side by side.

A network that asks for all cores waits for the slowest of them at every layer, and Python between two layers leaves all
but one idle. Several threads that ask for one core each, on images of their own, keep them all busy.
"""

import contextlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch


@contextlib.contextmanager
def workers(count: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of `count` threads (None: as many as torch uses); what waits in it is dropped at the end."""
    cores, switch = torch.get_num_threads(), sys.getswitchinterval()
    pool = ThreadPoolExecutor(count or cores, initializer=torch.set_num_threads, initargs=(1,))
    try:
        sys.setswitchinterval(min(switch, 0.0005))  # each asks for the interpreter often and briefly
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        sys.setswitchinterval(switch)
        torch.set_num_threads(cores)  # threads made later take over the last number that any thread has set
