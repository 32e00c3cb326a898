"""Remarks of a package on the files that it reads, kept off the terminal while any thread reads."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

_counting = threading.Lock()
_readers: dict[str, int] = {}
_filters: dict[str, tuple] = {}


@contextlib.contextmanager
def quiet(package: str) -> Iterator[None]:
    """Keep the warnings of a package's modules quiet while any thread is inside.

    `warnings.catch_warnings` restores what it found, so two threads inside it leave the filters of
    one another behind. Here the first reader adds one filter and the last takes it away.
    """
    with _counting:
        _readers[package] = _readers.get(package, 0) + 1
        if _readers[package] == 1:
            warnings.filterwarnings("ignore", module=rf"{package}\..*")
            _filters[package] = warnings.filters[0]
    try:
        yield
    finally:
        with _counting:
            _readers[package] -= 1
            if _readers[package] == 0:
                with contextlib.suppress(ValueError):  # somebody else put other filters there
                    warnings.filters.remove(_filters.pop(package))  # type: ignore[attr-defined]
