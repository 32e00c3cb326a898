"""The coordinator's side of a round: it collects, passes on, and opens the sum alone.

    adverts -> keys -> shares -> inboxes -> masked -> survivors -> agreements -> opened -> total

`receive` takes one message of the phase that is open. Each closing step asks for as many sites as
the roster's threshold, and below it the round ends with `ValueError`: nothing was opened, and
nothing can be. A message of another round or phase, or a second one of a site, raises `ValueError`
with one line.
"""

from typing import NoReturn

import numpy as np
from jaxtyping import UInt64

from medpriv_lib.federation.secure_aggregation import keys, masks, shamir
from medpriv_lib.federation.secure_aggregation.identity import Roster
from medpriv_lib.federation.secure_aggregation.member import (
    advert_parts,
    agreement_parts,
    pair_use,
    self_use,
)
from medpriv_lib.federation.secure_aggregation.messages import (
    Advert,
    Agreement,
    Agreements,
    Inbox,
    Keys,
    Masked,
    Opened,
    Shares,
    Survivors,
)

FromSite = Advert | Shares | Masked | Agreement | Opened


class Coordinator:
    """One round, for vectors of `count` numbers that answer to `about` (see `Member.mask`)."""

    def __init__(self, roster: Roster, round_number: int, count: int, about: bytes = b"") -> None:
        """Open the round for adverts."""
        self.roster, self.round, self.about = roster, round_number, about
        self.count = count
        self._open: type = Advert
        self._adverts: dict[int, Advert] = {}
        self._shares: dict[int, Shares] = {}
        self._arrived: list[int] = []
        self._agreed: dict[int, Agreement] = {}
        self._opened: dict[int, Opened] = {}
        self._sum = np.zeros(count, np.uint64)

    def receive(self, message: FromSite) -> None:
        """Take one site's message of the open phase. Errors as the module says."""
        site = message.site
        if message.round != self.round:
            self._refuse(
                f"site {site} sent a message of round {message.round}: it is an old one, or the "
                "site is late"
            )
        if not isinstance(message, self._open):
            self._refuse(
                f"site {site} sent {type(message).__name__}, and {self._open.__name__} is awaited"
            )
        if site in self._heard():
            self._refuse(f"site {site} sent {type(message).__name__} twice")
        if site not in self._expected():
            self._refuse(f"site {site} takes no part in this phase of the round")
        if isinstance(message, Advert):
            self._take_advert(message)
        elif isinstance(message, Shares):
            self._take_shares(message)
        elif isinstance(message, Masked):
            self._take_masked(message)
        elif isinstance(message, Agreement):
            self._take_agreement(message)
        else:
            self._take_opened(message)

    def keys(self) -> Keys:
        """Close the adverts; return the keys for all that sent one."""
        self._close(Advert, Shares, "sent keys")
        every = self._adverts.items()
        return Keys(
            self.round,
            {site: one.box for site, one in every},
            {site: one.mask for site, one in every},
            {site: one.signature for site, one in every},
        )

    def inboxes(self) -> dict[int, Inbox]:
        """Close the shares; return for each site what the others left with it."""
        self._close(Shares, Masked, "left shares")
        return {
            site: Inbox(
                self.round,
                {peer: one.sealed[site] for peer, one in self._shares.items() if peer != site},
            )
            for site in self._shares
        }

    def survivors(self) -> Survivors:
        """Close the masked numbers; return who sent them."""
        self._close(Masked, Agreement, "sent masked numbers")
        return Survivors(self.round, tuple(sorted(self._arrived)))

    def agreements(self) -> Agreements:
        """Close the signatures; return them."""
        self._close(Agreement, Opened, "signed the list of survivors")
        signatures = {site: one.signature for site, one in self._agreed.items()}
        return Agreements(self.round, signatures)

    def total(self) -> UInt64[np.ndarray, " n"]:
        """Close the opened shares; return the sum of the survivors' numbers, without masks.

        Raises `ValueError` where a secret does not fit what its site advertised or committed to:
        one of the sites that answered sent a wrong share.
        """
        self._close(Opened, type(None), "opened shares")
        answered = sorted(self._opened)[: self.roster.threshold]
        by = shamir.weights(answered)
        total = self._sum
        for site in self._arrived:
            shares = {one: self._opened[one].own[site] for one in answered}
            secret = shamir.combine(shares, by)
            if secret is None or keys.commitment(secret) != self._shares[site].commitment:
                self._refuse_shares(site, "self-mask", answered)
            masks.apply(total, keys.derive(secret, self_use(self.roster, self.round, site)), -1)
        for site in self.lost():
            shares = {one: self._opened[one].pair[site] for one in answered}
            secret = shamir.combine(shares, by)
            if secret is None or keys.public_of(secret) != self._adverts[site].mask:
                self._refuse_shares(site, "mask key", answered)
            for peer in self._arrived:
                use = pair_use(self.roster, self.round, site, peer, self.about)
                key = keys.agree(secret, self._adverts[peer].mask, use)
                # the survivor applied this sign; the lost site's opposite one never came
                masks.apply(total, key, -masks.sign_between(peer, site))
        return total

    def lost(self) -> list[int]:
        """Return the sites that left shares and sent no masked numbers."""
        return sorted(set(self._shares) - set(self._arrived))

    def _take_advert(self, message: Advert) -> None:
        parts = advert_parts(self.roster, self.round, message.site, message.box, message.mask)
        if not self.roster.verified(message.site, message.signature, *parts):
            self._refuse(f"site {message.site} did not sign its keys")
        self._adverts[message.site] = message

    def _take_shares(self, message: Shares) -> None:
        wanted = self._adverts.keys() - {message.site}
        if message.sealed.keys() != wanted:
            self._refuse(
                f"site {message.site} left shares with {sorted(message.sealed)}, not with "
                f"{sorted(wanted)}"
            )
        self._shares[message.site] = message

    def _take_masked(self, message: Masked) -> None:
        numbers = message.numbers
        if numbers.dtype != np.uint64 or numbers.shape != (self.count,):
            self._refuse(
                f"site {message.site} sent {numbers.dtype} numbers of shape {numbers.shape}, not "
                f"uint64 of ({self.count},): it has another network, or another version"
            )
        self._sum += numbers
        self._arrived.append(message.site)

    def _take_agreement(self, message: Agreement) -> None:
        survivors = tuple(sorted(self._arrived))
        parts = agreement_parts(self.roster, self.round, self.about, survivors)
        if not self.roster.verified(message.site, message.signature, *parts):
            self._refuse(
                f"site {message.site} signed another list of survivors, or for another model"
            )
        self._agreed[message.site] = message

    def _take_opened(self, message: Opened) -> None:
        survivors, lost = set(self._arrived), set(self.lost())
        if message.own.keys() != survivors or message.pair.keys() != lost:
            self._refuse(
                f"site {message.site} opened shares of other sites than the survivors and the lost"
            )
        self._opened[message.site] = message

    def _expected(self) -> set[int]:
        """Return the sites that may speak in the open phase."""
        return {
            Advert: set(self.roster.members),
            Shares: set(self._adverts),
            Masked: set(self._shares),
            Agreement: set(self._arrived),
            Opened: set(self._agreed),
        }.get(self._open, set())

    def _heard(self) -> set[int]:
        """Return the sites that spoke in the open phase."""
        return {
            Advert: set(self._adverts),
            Shares: set(self._shares),
            Masked: set(self._arrived),
            Agreement: set(self._agreed),
            Opened: set(self._opened),
        }.get(self._open, set())

    def _close(self, phase: type, following: type, did: str) -> None:
        if self._open is not phase:
            self._refuse(f"{phase.__name__} is not the open phase, {self._open.__name__} is")
        heard = self._heard()
        if len(heard) < self.roster.threshold:
            self._refuse(
                f"{len(heard)} of {len(self.roster.members)} sites {did}, and the roster asks for "
                f"{self.roster.threshold}: the round is lost and nothing was opened; wait for the "
                "sites and begin a new round"
            )
        self._open = following

    def _refuse_shares(self, site: int, which: str, answered: list[int]) -> NoReturn:
        self._refuse(
            f"the shares of the {which} of site {site} do not fit together: one of the sites "
            f"{answered} sent a wrong share, or site {site} dealt wrong ones"
        )

    def _refuse(self, why: str) -> NoReturn:
        raise ValueError(f"round {self.round}: {why}")
