"""A site's side of a round: five steps, each taken once, in order.

    advertise -> share -> mask -> agree -> reveal

Whatever else arrives, a message of another round, of a step that is over, with a list or a key that
does not fit, raises `ValueError` with one line that names what does not fit. The site then takes no
further part in the round: it drops out, which the protocol survives.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import UInt64

from medpriv_lib.federation.secure_aggregation import keys, masks, shamir
from medpriv_lib.federation.secure_aggregation.identity import Identity, Roster
from medpriv_lib.federation.secure_aggregation.keys import joined
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

STEPS = ("over", "advertised", "shared", "masked", "agreed")


@dataclass(frozen=True)
class Memory:
    """What a site keeps between two messages of a round. All of it but the numbers is secret.

    `step` is the last one taken. `box` and `mask` are the private keys, `own` the self-mask's
    secret, `boxes` and `maskers` the other sites' public keys, `mine` the shares of its own secrets
    that the site holds itself, `held` the opened shares of the others. `about` is the digest of
    what all sites were sent, `survivors` the list that was signed.
    """

    round: int = 0
    step: str = "over"
    box: bytes = b""
    mask: bytes = b""
    own: bytes = b""
    boxes: dict[int, bytes] = field(default_factory=dict)
    maskers: dict[int, bytes] = field(default_factory=dict)
    held: dict[int, bytes] = field(default_factory=dict)
    about: bytes = b""
    survivors: tuple[int, ...] = ()


class Member:
    """A site as a member of the federation: `identity`, `roster` from its own disk, `memory`.

    The memory can be stored between two messages and handed to a new `Member`.
    """

    def __init__(self, identity: Identity, roster: Roster, memory: Memory | None = None) -> None:
        """Raise `ValueError` where the roster has another key under the identity's number."""
        if roster.members.get(identity.number) != identity.public:
            raise ValueError(
                f"the roster has not the key of site {identity.number}: the site has another "
                "identity, or somebody changed the roster"
            )
        self.identity, self.roster = identity, roster
        self.number = identity.number
        self.memory = memory or Memory()

    def advertise(self, round_number: int) -> Advert:
        """Draw the keys of a new round. An unfinished round before it is forgotten."""
        last = self.memory.round
        if round_number <= last:
            self._refuse(
                f"was asked to begin round {round_number}, but has begun round {last} already: "
                "this is an old message"
            )
        box, mask = keys.draw(), keys.draw()
        self.memory = Memory(round_number, "advertised", box.private, mask.private)
        signed = self.identity.sign(*self._advert(self.number, box.public, mask.public))
        return Advert(round_number, self.number, box.public, mask.public, signed)

    def share(self, told: Keys) -> Shares:
        """Check the others' keys, then leave shares of both secrets with each of them."""
        self._expect(told.round, "advertised")
        self._check_keys(told)
        own, names = keys.draw().private, sorted(told.box)
        halves = [
            shamir.split(secret, self.roster.threshold, names) for secret in (self.memory.mask, own)
        ]
        both = {peer: halves[0][peer] + halves[1][peer] for peer in names}
        sealed = {
            peer: keys.seal(
                self._box_key(told.box[peer], self.number, peer),
                both[peer],
                self._label(self.number, peer),
            )
            for peer in names
            if peer != self.number
        }
        self.memory = replace(
            self.memory,
            step="shared",
            own=own,
            boxes=told.box,
            maskers=told.mask,
            held={self.number: both[self.number]},
        )
        return Shares(told.round, self.number, keys.commitment(own), sealed)

    def check(self, inbox: Inbox) -> dict[int, bytes]:
        """Return the shares that an inbox holds and the site's own, by whose they are.

        Nothing else changes, so a site looks into its inbox before it trains.
        """
        self._expect(inbox.round, "shared")
        held = self.memory.held | self._unsealed(inbox)
        if len(held) < self.roster.threshold:
            self._refuse(
                f"got shares of {len(held)} sites, itself included, and {self.roster.threshold} "
                "are needed"
            )
        return held

    def mask(self, inbox: Inbox, numbers: UInt64[np.ndarray, " n"], about: bytes = b"") -> Masked:
        """Return the numbers under the self-mask and the masks shared with the inbox's senders.

        `about` is a digest of what the numbers answer to, such as the model that the coordinator
        sent: masks of sites that were told different things do not cancel, so a coordinator gains
        nothing by sending one site another model (Pasquini et al. 2022).
        """
        held = self.check(inbox)
        self.memory = replace(self.memory, held=held, about=about)
        found = np.array(numbers, dtype=np.uint64)
        masks.apply(found, self.self_mask_key(), 1)
        for peer in held:
            if peer != self.number:
                masks.apply(found, self.pair_key(peer), masks.sign_between(self.number, peer))
        self.memory = replace(self.memory, step="masked")
        return Masked(inbox.round, self.number, found)

    def agree(self, told: Survivors) -> Agreement:
        """Sign the list of survivors. A site signs one list in a round."""
        self._expect(told.round, "masked")
        listed = set(told.sites)
        if len(listed) < len(told.sites) or not listed <= self.memory.held.keys():
            self._refuse(f"was told of survivors {told.sites} that took no part, or twice")
        if self.number not in listed:
            self._refuse("sent its numbers and was told that they did not arrive")
        if len(listed) < self.roster.threshold:
            self._refuse(
                f"was told of {len(listed)} survivors; below {self.roster.threshold} nothing is "
                "opened"
            )
        self.memory = replace(self.memory, step="agreed", survivors=tuple(sorted(listed)))
        signed = self.identity.sign(*self._agreement())
        return Agreement(told.round, self.number, signed)

    def reveal(self, told: Agreements) -> Opened:
        """Reveal one share for each peer, after t sites signed the list that this site signed.

        For a survivor a share of its self-mask, for a site that was lost a share of its mask key,
        never both. The secrets of the round are forgotten with the answer.
        """
        self._expect(told.round, "agreed")
        listed = self.memory.survivors
        for peer, signature in sorted(told.signatures.items()):
            if peer not in listed or not self.roster.verified(peer, signature, *self._agreement()):
                self._refuse(
                    f"has no signature of site {peer} for the survivors {listed}: the coordinator "
                    "told other sites another list, or sent them another model"
                )
        if len(told.signatures) < self.roster.threshold:
            self._refuse(
                f"saw {len(told.signatures)} signatures of the survivors; "
                f"{self.roster.threshold} are needed before anything is opened"
            )
        held, cut = self.memory.held, shamir.SHARE
        own = {peer: both[cut:] for peer, both in held.items() if peer in listed}
        pair = {peer: both[:cut] for peer, both in held.items() if peer not in listed}
        self.memory = Memory(self.memory.round)
        return Opened(told.round, self.number, own, pair)

    def pair_key(self, peer: int) -> bytes:
        """Return the key of the mask that this site and `peer` share in this round. Secret."""
        return keys.agree(
            self.memory.mask,
            self.memory.maskers[peer],
            pair_use(self.roster, self.memory.round, self.number, peer, self.memory.about),
        )

    def self_mask_key(self) -> bytes:
        """Return the key of this site's self-mask in this round. Secret."""
        return keys.derive(self.memory.own, self_use(self.roster, self.memory.round, self.number))

    def _check_keys(self, told: Keys) -> None:
        names = set(told.box)
        if names != set(told.mask) or names != set(told.signature):
            self._refuse("got keys and signatures of different sites")
        if len(names) < self.roster.threshold:
            self._refuse(
                f"got keys of {len(names)} sites, and the roster asks for {self.roster.threshold}"
            )
        for peer in sorted(names):
            parts = self._advert(peer, told.box[peer], told.mask[peer])
            if not self.roster.verified(peer, told.signature[peer], *parts):
                self._refuse(
                    f"got keys for site {peer} that site {peer} did not sign for round "
                    f"{told.round}: somebody stands in the middle, or the message is an old one"
                )
        mine = keys.public_of(self.memory.box), keys.public_of(self.memory.mask)
        if (told.box.get(self.number), told.mask.get(self.number)) != mine:
            self._refuse("did not find its own keys among those that the coordinator passed on")
        every = [*told.box.values(), *told.mask.values()]
        if len(set(every)) < len(every):
            self._refuse("got the same public key twice; each site draws its own")

    def _unsealed(self, inbox: Inbox) -> dict[int, bytes]:
        found = {}
        for peer, sealed in inbox.sealed.items():
            if peer not in self.memory.boxes or peer == self.number:
                self._refuse(f"got shares of site {peer}, which advertised no keys")
            both = keys.unseal(
                self._box_key(self.memory.boxes[peer], peer, self.number),
                sealed,
                self._label(peer, self.number),
            )
            if both is None or len(both) != 2 * shamir.SHARE:
                self._refuse(
                    f"cannot open the shares of site {peer}: they were changed on the way or "
                    "belong to another round"
                )
            else:
                found[peer] = both
        return found

    def _box_key(self, public: bytes, sender: int, receiver: int) -> bytes:
        return keys.agree(self.memory.box, public, self._label(sender, receiver))

    def _label(self, sender: int, receiver: int) -> bytes:
        return joined("share", self.roster.digest, self.memory.round, sender, receiver)

    def _advert(self, peer: int, box: bytes, mask: bytes) -> tuple[str | int | bytes, ...]:
        return advert_parts(self.roster, self.memory.round, peer, box, mask)

    def _agreement(self) -> tuple[str | int | bytes, ...]:
        memory = self.memory
        return agreement_parts(self.roster, memory.round, memory.about, memory.survivors)

    def _expect(self, round_number: int, step: str) -> None:
        if round_number != self.memory.round:
            self._refuse(
                f"got a message of round {round_number}, and is in round {self.memory.round}"
            )
        if self.memory.step != step:
            self._refuse(
                f"got a message that follows {step!r}, and its last step in round {round_number} "
                f"is {self.memory.step!r}: each step is taken once"
            )

    def _refuse(self, why: str) -> None:
        raise ValueError(f"site {self.number} {why}")


def advert_parts(
    roster: Roster, round_number: int, site: int, box: bytes, mask: bytes
) -> tuple[str | int | bytes, ...]:
    """Return what a site signs of its keys."""
    return ("advert", roster.digest, round_number, site, box, mask)


def agreement_parts(
    roster: Roster, round_number: int, about: bytes, survivors: tuple[int, ...]
) -> tuple[str | int | bytes, ...]:
    """Return what a site signs of the list of survivors."""
    return ("survivors", roster.digest, round_number, about, *survivors)


def pair_use(roster: Roster, round_number: int, one: int, other: int, about: bytes) -> bytes:
    """Return the use of a key that two sites agree on for their mask."""
    low, high = min(one, other), max(one, other)
    return joined("pair-mask", roster.digest, round_number, low, high, about)


def self_use(roster: Roster, round_number: int, site: int) -> bytes:
    """Return the use of a self-mask's secret."""
    return joined("self-mask", roster.digest, round_number, site)
