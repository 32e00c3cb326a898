"""Wait until the sites are there."""

import time

from flwr.serverapp import Grid

from medpriv_lib.federation.aggregation import RoundFailed

EVERY = 0.5  # seconds


def gathered(grid: Grid, sites: int, patience: float) -> None:
    """Return when this many sites are connected; raise `RoundFailed` after `patience` seconds."""
    until = time.monotonic() + patience
    while (there := len(list(grid.get_node_ids()))) < sites:
        if time.monotonic() > until:
            raise RoundFailed(
                f"{there} of {sites} sites are connected after {patience:.0f} s; start the missing "
                "ones with `medpriv federate site`, then the same again"
            )
        time.sleep(EVERY)
