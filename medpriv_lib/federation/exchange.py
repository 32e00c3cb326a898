"""How updates get from the sites to the coordinator: its side and theirs, as one thing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from flwr.clientapp.typing import Mod

from medpriv_lib.federation.aggregation import Aggregation, InTheOpen
from medpriv_lib.federation.sites import Site


def _none(site: Site) -> Sequence[Mod]:
    """Return no mod: a site's replies leave as they are."""
    return ()


@dataclass(frozen=True)
class Exchange:
    """The coordinator's `aggregation`, and the sites' side of it: `mods` around each site's app,
    and the `phases` of a round beside its training. By default in the open.
    """

    aggregation: Aggregation = field(default_factory=InTheOpen)
    mods: Callable[[Site], Sequence[Mod]] = _none
    phases: Sequence[str] = ()
