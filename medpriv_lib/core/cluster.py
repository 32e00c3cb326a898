"""The same work on many pieces: in processes of this machine, or on a Dask cluster."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from medpriv_lib.core.extra import ARCHIVE
from medpriv_lib.core.processes import in_processes

P = TypeVar("P")
R = TypeVar("R")

HERE = ("127.0.0.1", "localhost", "::1")
RETRIES = 3  # of one piece, each after the worker that had it was lost
PATIENCE = 30  # seconds until a scheduler answers


def spread(
    make: Callable[[P], R],
    pieces: Sequence[P],
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[R]:
    """Yield `make(piece)` of all pieces, in their order.

    Without a `scheduler` as `in_processes`. With one ("tls://host:8786", started by Dask's own
    commands; its certificates are those of Dask's configuration) on its workers, which must see
    the same folders under the same names and have this library; a piece whose worker was lost is
    given to another one. `make` may be called twice for one piece, so it leaves what is there.
    Raises `ValueError` for an address whose messages anybody on the way could read or change, and
    `ConnectionError` where nobody answers.
    """
    if scheduler is None:
        yield from in_processes(make, pieces, workers)
        return
    require_private(scheduler)
    distributed = ARCHIVE.need("distributed")
    try:
        client = distributed.Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except OSError as error:
        raise ConnectionError(
            f"no scheduler answers at {scheduler} ({error}); start one by `dask scheduler`, its "
            "workers by `dask worker`, and see Dask's configuration for the certificates"
        ) from error
    except (TypeError, RuntimeError) as error:  # a context that was not configured; no tls at all
        raise ValueError(
            f"--scheduler {scheduler}: there are no certificates for tls:// in Dask's "
            f"configuration ({error}); name them there (distributed.comm.tls)"
        ) from error
    with client:
        futures = client.map(make, pieces, pure=False, retries=RETRIES)
        try:
            for number, future in enumerate(futures):
                yield future.result()
                futures[number] = None  # what was fetched is released
        except BaseException:
            client.cancel([one for one in futures if one is not None])
            raise


def require_private(scheduler: str) -> None:
    """Raise `ValueError` for an address of Dask that is neither encrypted nor on this machine."""
    address = urlsplit(scheduler)
    if address.scheme == "tls" or (address.scheme == "tcp" and address.hostname in HERE):
        return
    raise ValueError(
        f"--scheduler {scheduler}: names of files and patients would travel in the open, and "
        "whoever reaches such a scheduler runs programs on its workers; start it with "
        "certificates and give its tls:// address"
    )
