"""Options of what works on an archive: processes here, or a cluster."""

import argparse
from typing import Any

from medpriv_lib.cli.options import whole


def add_spreading(parser: argparse.ArgumentParser) -> None:
    """Declare on how many processes or machines an archive is worked on."""
    parser.add_argument(
        "--workers",
        type=whole(1, 4096),
        metavar="N",
        help="processes that work on an archive (default: one for each core)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="tls://HOST:PORT of a Dask scheduler whose workers see the same folders: they work "
        "on the archive in place of processes here",
    )


def spreading(args: argparse.Namespace) -> dict[str, Any]:
    """Return what `add_spreading` declared; refuse a scheduler that would be given no secret."""
    if args.scheduler is not None:
        from medpriv_lib.core.cluster import require_private

        require_private(args.scheduler)
    return {"workers": args.workers, "scheduler": args.scheduler}
