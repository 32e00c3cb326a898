"""Secure aggregation for a federation in one process: `aggregation=masked(sites)`."""

from collections.abc import Sequence

from flwr.clientapp.typing import Mod

from medpriv_lib.federation.certificates import two_thirds
from medpriv_lib.federation.exchange import Exchange
from medpriv_lib.federation.secure_aggregation.identity import enrol
from medpriv_lib.federation.secure_aggregation.masked_average import MaskedAverage
from medpriv_lib.federation.secure_aggregation.site_mod import PHASES, masking_mod
from medpriv_lib.federation.sites import Site


def masked(sites: Sequence[Site], threshold: int | None = None) -> Exchange:
    """Return the exchange of masked updates: new identities for these sites, and their roster.

    `threshold` None: two thirds of the sites, rounded up. In one process everybody's keys lie side
    by side, so this is for trying and for studies; errors as of `Roster`.
    """
    wanted = two_thirds(len(sites)) if threshold is None else threshold
    identities, roster = enrol("in one process", len(sites), wanted)
    numbers = {site.name: number for number, site in enumerate(sites, 1)}

    def mods(site: Site) -> Sequence[Mod]:
        identity = identities[numbers[site.name]]
        return [masking_mod(lambda context: (identity, roster))]

    return Exchange(MaskedAverage(roster), mods, PHASES)
