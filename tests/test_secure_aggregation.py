"""Rounds of secure aggregation: sums, drop-outs, what is refused, and what the coordinator sees."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import stats

from medpriv_lib.federation.secure_aggregation import fixed_point, keys, masks, messages, shamir
from medpriv_lib.federation.secure_aggregation.coordinator import Coordinator
from medpriv_lib.federation.secure_aggregation.identity import Identity, Roster, enrol
from medpriv_lib.federation.secure_aggregation.member import Member
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
from medpriv_lib.federation.secure_aggregation.rounds import aggregate

COUNT = 50


class Federation:
    """Sites, a coordinator, and updates; each phase can be run by hand."""

    def __init__(self, sites=5, threshold=3, count=COUNT, about=b"", seed=0):
        self.identities, self.roster = enrol("test", sites, threshold)
        self.sites = {n: Member(one, self.roster) for n, one in self.identities.items()}
        g = np.random.default_rng(seed)
        self.updates = {n: g.normal(size=count).astype(np.float32) for n in self.sites}
        self.patients = {n: int(g.integers(3, 60)) for n in self.sites}
        self.numbers = {
            n: fixed_point.encode(self.updates[n], self.patients[n], sites) for n in self.sites
        }
        self.about = about
        self.coordinator = Coordinator(self.roster, 1, count + 1, about)

    def keys(self) -> Keys:
        for site in self.sites.values():
            self.coordinator.receive(site.advertise(1))
        return self.coordinator.keys()

    def inboxes(self, told=None) -> dict[int, Inbox]:
        told = told or self.keys()
        for site in self.sites.values():
            self.coordinator.receive(site.share(told))
        return self.coordinator.inboxes()

    def masked(self, gone=()) -> dict[int, Masked]:
        return {
            n: self.sites[n].mask(inbox, self.numbers[n], self.about)
            for n, inbox in self.inboxes().items()
            if n not in gone
        }

    def survivors(self, gone=()) -> Survivors:
        for message in self.masked(gone).values():
            self.coordinator.receive(message)
        return self.coordinator.survivors()

    def agreements(self, gone=()) -> Agreements:
        told = self.survivors(gone)
        for n in told.sites:
            self.coordinator.receive(self.sites[n].agree(told))
        return self.coordinator.agreements()

    def plain_sum(self, gone=()):
        kept = [self.numbers[n] for n in self.sites if n not in gone]
        return np.array(
            [sum(int(one[i]) for one in kept) % 2**64 for i in range(len(kept[0]))], np.uint64
        )


@pytest.mark.parametrize("gone", [(), (2,), (5, 1)])
@pytest.mark.parametrize("before", ["advertise", "share", "mask"])
def test_the_sum_is_that_of_the_sites_that_sent(gone, before):
    f = Federation()
    total = aggregate(f.sites, f.numbers, 1, {before: gone}, f.about)
    assert (total == f.plain_sum(gone)).all()
    mean, patients = fixed_point.decode(total, 5 - len(gone))
    kept = [n for n in f.sites if n not in gone]
    weights = np.array([f.patients[n] for n in kept], float)
    averaged = np.average([f.updates[n].astype(float) for n in kept], axis=0, weights=weights)
    assert patients == weights.sum()
    assert np.abs(mean - averaged).max() <= fixed_point.error(len(kept), patients) + 1e-15


@pytest.mark.parametrize("before", ["agree", "reveal"])
def test_who_drops_out_after_sending_is_in_the_sum(before):
    f = Federation()
    assert (aggregate(f.sites, f.numbers, 1, {before: (1, 4)}) == f.plain_sum()).all()


def test_drop_outs_in_every_phase_at_once():
    f = Federation(9, 5)
    gone = {"advertise": (1,), "share": (2,), "mask": (3,), "reveal": (4,)}
    total = aggregate(f.sites, f.numbers, 1, gone)
    assert (total == f.plain_sum((1, 2, 3))).all()


@pytest.mark.parametrize(
    ("before", "did"),
    [
        ("advertise", "sent keys"),
        ("share", "left shares"),
        ("mask", "sent masked numbers"),
        ("agree", "signed the list"),
        ("reveal", "opened shares"),
    ],
)
def test_below_the_threshold_the_round_stops_and_says_so(before, did):
    f = Federation()
    with pytest.raises(ValueError, match=f"round 1: 2 of 5 sites {did}.*asks for 3.*nothing was"):
        aggregate(f.sites, f.numbers, 1, {before: (1, 2, 3)})


def test_a_new_round_follows_a_lost_one():
    f = Federation()
    with pytest.raises(ValueError, match="the round is lost"):
        aggregate(f.sites, f.numbers, 1, {"mask": (1, 2, 3)})
    assert (aggregate(f.sites, f.numbers, 2) == f.plain_sum()).all()


def test_no_two_rounds_use_the_same_masks():
    f, seen = Federation(), []
    for number in (1, 2):
        aggregate(f.sites, f.numbers, number, see=seen.append)
    first, second = ([m for m in seen if isinstance(m, Masked) and m.round == r] for r in (1, 2))
    for one, other in zip(first, second, strict=True):
        assert (one.numbers != other.numbers).all()


# What a lying coordinator may try


def test_a_site_reveals_one_kind_of_share_for_each_peer():
    f = Federation()
    signed = f.agreements(gone=(2,))
    opened = f.sites[1].reveal(signed)
    assert opened.own.keys() == {1, 3, 4, 5}
    assert opened.pair.keys() == {2}
    for ask in (
        lambda: f.sites[1].reveal(signed),
        lambda: f.sites[1].agree(Survivors(1, (1, 2, 3))),
    ):
        with pytest.raises(ValueError, match="its last step in round 1 is 'over'"):
            ask()
    assert f.sites[1].memory.mask == f.sites[1].memory.own == b""
    assert not f.sites[1].memory.held


def test_two_lists_of_survivors_are_refused():
    """The coordinator has all numbers. It tells sites 1, 2, 3 that site 5 was lost, for its mask
    key, and sites 4, 5 that it survived, for its self-mask."""
    f = Federation()
    f.survivors()
    signatures = {n: f.sites[n].agree(Survivors(1, (1, 2, 3, 4))) for n in (1, 2, 3)}
    signatures |= {n: f.sites[n].agree(Survivors(1, (1, 2, 3, 4, 5))) for n in (4, 5)}
    both = {n: one.signature for n, one in signatures.items()}
    with pytest.raises(ValueError, match="site 1 has no signature of site 4 .* another list"):
        f.sites[1].reveal(Agreements(1, {n: both[n] for n in (1, 2, 3, 4)}))
    with pytest.raises(ValueError, match="site 4 has no signature of site 1"):
        f.sites[4].reveal(Agreements(1, both))
    with pytest.raises(ValueError, match="site 5 saw 2 signatures of the survivors; 3 are needed"):
        f.sites[5].reveal(Agreements(1, {n: both[n] for n in (4, 5)}))
    with pytest.raises(ValueError, match="each step is taken once"):
        f.sites[4].agree(Survivors(1, (1, 2, 3, 4)))


def test_the_same_lie_works_where_nobody_compares_lists():
    """The control: without the signed lists a coordinator opens site 5 from what it was told."""
    f = Federation()
    masked = {}
    for n, message in f.masked().items():
        masked[n] = message.numbers
    secrets = []
    for cut in (slice(None, shamir.SHARE), slice(shamir.SHARE, None)):
        shares = {n: f.sites[n].memory.held[5][cut] for n in (1, 2, 3)}
        secrets.append(shamir.combine(shares, shamir.weights((1, 2, 3))))
    opened = masked[5].copy()
    masks.apply(opened, f.sites[5].self_mask_key(), -1)
    assert secrets == [f.sites[5].memory.mask, f.sites[5].memory.own]
    for peer in (1, 2, 3, 4):
        masks.apply(opened, f.sites[5].pair_key(peer), -masks.sign_between(5, peer))
    assert (opened == f.numbers[5]).all()


@pytest.mark.parametrize(
    ("sites", "says"),
    [
        ((1, 2), "told of 2 survivors; below 3"),
        ((2, 3, 4), "was told that they did not arrive"),
        ((1, 2, 3, 9), "took no part"),
        ((1, 2, 2, 3), "or twice"),
    ],
)
def test_a_list_of_survivors_that_cannot_be_is_refused(sites, says):
    f = Federation()
    f.survivors()
    with pytest.raises(ValueError, match=says):
        f.sites[1].agree(Survivors(1, sites))


def test_a_coordinator_in_the_middle_is_refused():
    """It replaces the keys of site 2 by its own; it cannot sign them as site 2."""
    f = Federation()
    told = f.keys()
    fake = keys.draw().public
    changed = dataclasses.replace(told, mask={**told.mask, 2: fake})
    with pytest.raises(ValueError, match="site 1 got keys for site 2 that site 2 did not sign"):
        f.sites[1].share(changed)
    mine = Identity.draw(2)
    parts = ("advert", f.roster.digest, 1, 2, told.box[2], fake)
    forged = dataclasses.replace(changed, signature={**told.signature, 2: mine.sign(*parts)})
    with pytest.raises(ValueError, match="somebody stands in the middle"):
        f.sites[3].share(forged)


def test_too_few_or_repeated_keys_are_refused():
    f = Federation()
    told = f.keys()

    def only(of, names):
        return {n: of[n] for n in names}

    few = Keys(1, *(only(part, (1, 2)) for part in (told.box, told.mask, told.signature)))
    with pytest.raises(ValueError, match="got keys of 2 sites"):
        f.sites[1].share(few)
    without = Keys(1, *(only(part, (2, 3, 4)) for part in (told.box, told.mask, told.signature)))
    with pytest.raises(ValueError, match="did not find its own keys"):
        f.sites[1].share(without)
    with pytest.raises(ValueError, match="of different sites"):
        f.sites[1].share(dataclasses.replace(told, box=only(told.box, (1, 2, 3))))
    copied = f.identities[2].sign("advert", f.roster.digest, 1, 2, told.box[3], told.mask[3])
    same = Keys(
        1,
        {**told.box, 2: told.box[3]},
        {**told.mask, 2: told.mask[3]},
        {**told.signature, 2: copied},
    )
    with pytest.raises(ValueError, match="the same public key twice"):
        f.sites[1].share(same)


def test_another_model_for_one_site_opens_nothing():
    """Masks are bound to what the site was sent, and so is the signed list."""
    f = Federation(about=b"the model")
    for n, inbox in f.inboxes().items():
        about = b"a model of the coordinator's own" if n == 4 else b"the model"
        f.coordinator.receive(f.sites[n].mask(inbox, f.numbers[n], about))
    told = f.coordinator.survivors()
    signed = {n: site.agree(told) for n, site in f.sites.items()}
    with pytest.raises(ValueError, match="site 4 signed another list .* or for another model"):
        f.coordinator.receive(signed[4])
    with pytest.raises(ValueError, match="site 1 has no signature of site 4"):
        f.sites[1].reveal(Agreements(1, {n: one.signature for n, one in signed.items()}))
    for n in (1, 2, 3, 5):
        f.coordinator.receive(signed[n])
    agreed = f.coordinator.agreements()
    for n in (1, 2, 3, 5):
        f.coordinator.receive(f.sites[n].reveal(agreed))
    with pytest.raises(ValueError, match="the masks did not cancel"):
        fixed_point.decode(f.coordinator.total(), 5)


# Messages that were changed, kept for later, or come from elsewhere


def test_a_share_that_was_changed_on_the_way_is_refused():
    f = Federation()
    inbox = f.inboxes()[1]
    changed = bytearray(inbox.sealed[3])
    changed[40] ^= 1
    with pytest.raises(ValueError, match="site 1 cannot open the shares of site 3: they were chan"):
        f.sites[1].mask(Inbox(1, {**inbox.sealed, 3: bytes(changed)}), f.numbers[1])


def test_shares_for_another_site_are_refused():
    f = Federation()
    inboxes = f.inboxes()
    with pytest.raises(ValueError, match="site 1 cannot open the shares of site 3"):
        f.sites[1].mask(Inbox(1, {**inboxes[1].sealed, 3: inboxes[2].sealed[3]}), f.numbers[1])
    with pytest.raises(ValueError, match="shares of site 8, which advertised no keys"):
        f.sites[1].mask(Inbox(1, {**inboxes[1].sealed, 8: b""}), f.numbers[1])
    with pytest.raises(ValueError, match="got shares of 2 sites, itself included"):
        f.sites[1].mask(Inbox(1, {2: inboxes[1].sealed[2]}), f.numbers[1])


@pytest.mark.parametrize("kind", ["own", "pair"])
def test_a_wrong_share_from_a_site_is_noticed(kind):
    f = Federation()
    signed = f.agreements(gone=(2,))
    for n in (1, 3, 4, 5):
        opened = f.sites[n].reveal(signed)
        if n == 3:
            peer = 5 if kind == "own" else 2
            shares = dict(getattr(opened, kind))
            shares[peer] = bytes(shamir.SHARE - 1) + b"\x07"
            opened = dataclasses.replace(opened, **{kind: shares})
        f.coordinator.receive(opened)
    which = "self-mask of site 5" if kind == "own" else "mask key of site 2"
    with pytest.raises(
        ValueError, match=f"the {which} do not fit together: one of the sites .1, 3, 4"
    ):
        f.coordinator.total()


def test_messages_of_another_round_are_refused():
    f = Federation()
    aggregate(f.sites, f.numbers, 1)
    f.coordinator = Coordinator(f.roster, 2, COUNT + 1)
    old = Federation().sites[1].advertise(1)
    with pytest.raises(ValueError, match="round 2: site 1 sent a message of round 1: it is an old"):
        f.coordinator.receive(old)
    with pytest.raises(ValueError, match="asked to begin round 1, but has begun round 1 already"):
        f.sites[1].advertise(1)
    first = f.sites[1].advertise(2)
    f.coordinator.receive(first)
    with pytest.raises(ValueError, match="site 1 got a message of round 1, and is in round 2"):
        f.sites[1].share(Keys(1, {}, {}, {}))
    with pytest.raises(ValueError, match="round 2: site 1 sent Advert twice"):
        f.coordinator.receive(first)


def test_an_advert_of_an_earlier_round_is_refused_under_a_new_number():
    f = Federation()
    old = f.sites[2].advertise(1)
    coordinator = Coordinator(f.roster, 2, COUNT + 1)
    with pytest.raises(ValueError, match="site 2 did not sign its keys"):
        coordinator.receive(dataclasses.replace(old, round=2))
    told = {n: f.sites[n].advertise(2) for n in (1, 3, 4)} | {2: dataclasses.replace(old, round=2)}
    passed = Keys(
        2, *({n: getattr(one, p) for n, one in told.items()} for p in ("box", "mask", "signature"))
    )
    with pytest.raises(
        ValueError, match="site 2 did not sign for round 2: .* the message is an old"
    ):
        f.sites[1].share(passed)


def test_a_replayed_message_of_the_same_round_is_refused():
    f = Federation()
    masked = f.masked()
    f.coordinator.receive(masked[1])
    with pytest.raises(ValueError, match="site 1 sent Masked twice"):
        f.coordinator.receive(masked[1])
    with pytest.raises(
        ValueError, match="site 1 got a message that follows 'shared', .* is 'masked'"
    ):
        f.sites[1].mask(Inbox(1, {}), f.numbers[1])


def test_messages_out_of_turn_and_from_strangers_are_refused():
    f = Federation()
    advert = f.sites[1].advertise(1)
    with pytest.raises(ValueError, match="site 9 takes no part"):
        f.coordinator.receive(dataclasses.replace(advert, site=9))
    with pytest.raises(ValueError, match="site 1 sent Opened, and Advert is awaited"):
        f.coordinator.receive(Opened(1, 1, {}, {}))
    with pytest.raises(ValueError, match="Shares is not the open phase, Advert is"):
        f.coordinator.inboxes()
    f.coordinator.receive(advert)
    for n in (2, 3):
        f.coordinator.receive(f.sites[n].advertise(1))
    f.coordinator.keys()
    with pytest.raises(ValueError, match="site 4 takes no part in this phase"):
        f.coordinator.receive(Shares(1, 4, b"", {}))
    with pytest.raises(ValueError, match=r"site 1 left shares with \[2\], not with \[2, 3\]"):
        f.coordinator.receive(Shares(1, 1, b"", {2: b""}))


@pytest.mark.parametrize("numbers", [np.zeros(3, np.uint64), np.zeros(COUNT + 1)])
def test_numbers_of_another_network_are_refused(numbers):
    f = Federation()
    f.inboxes()
    with pytest.raises(ValueError, match="site 1 sent .* another network, or another version"):
        f.coordinator.receive(Masked(1, 1, numbers))


def test_a_signature_of_another_list_is_refused():
    f = Federation()
    f.survivors(gone=(5,))
    signed = f.sites[1].agree(Survivors(1, (1, 2, 3)))
    with pytest.raises(ValueError, match="site 1 signed another list"):
        f.coordinator.receive(signed)


def test_shares_of_other_sites_are_refused():
    f = Federation()
    f.agreements()
    with pytest.raises(ValueError, match="opened shares of other sites"):
        f.coordinator.receive(Opened(1, 1, {1: b""}, {}))


# Memory and plain forms


def test_a_site_goes_on_from_its_stored_memory():
    f = Federation()

    def stored(site: Member) -> Member:
        kept = messages.plain(site.memory)
        return Member(site.identity, site.roster, messages.read(type(site.memory), kept))

    told = f.keys()
    f.sites = {n: stored(site) for n, site in f.sites.items()}
    inboxes = f.inboxes(told)
    f.sites = {n: stored(site) for n, site in f.sites.items()}
    for n, inbox in inboxes.items():
        f.coordinator.receive(f.sites[n].mask(inbox, f.numbers[n]))
    f.sites = {n: stored(site) for n, site in f.sites.items()}
    survivors = f.coordinator.survivors()
    for site in f.sites.values():
        f.coordinator.receive(site.agree(survivors))
    f.sites = {n: stored(site) for n, site in f.sites.items()}
    signed = f.coordinator.agreements()
    for site in f.sites.values():
        f.coordinator.receive(site.reveal(signed))
    assert (f.coordinator.total() == f.plain_sum()).all()


def test_every_message_survives_its_plain_form():
    f, seen = Federation(), []
    aggregate(f.sites, f.numbers, 1, {"mask": (2,)}, see=seen.append)
    kinds = {type(one) for one in seen}
    assert kinds == {Advert, Shares, Masked, Agreement, Opened}
    for one in [*seen, Survivors(1, (1, 2)), Agreements(1, {3: b"x"}), Inbox(1, {2: b"y"})]:
        arrays = {"numbers": one.numbers} if isinstance(one, Masked) else {}
        assert messages.read(type(one), messages.plain(one), **arrays) == one
    shares = next(one for one in seen if isinstance(one, Shares))
    assert messages.size(shares) == 8 + 8 + 32 + 4 * (8 + 12 + 2 * shamir.SHARE + 16)
    assert messages.size(Survivors(1, (1, 2))) == 8 + 16


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"round": 1},
        {"round": 1, "sealed": [b"x"]},
        {"round": 1, "sealed": [b"x"], "sealed-of": [1, 2]},
        {"round": 1, "sealed": [b"x", b"y"], "sealed-of": [1, 1]},
        {"round": 1, "sealed": ["x"], "sealed-of": [1]},
        {"round": "1", "sealed": [], "sealed-of": []},
    ],
)
def test_a_plain_form_with_something_odd_is_refused(content):
    with pytest.raises(ValueError, match="a message Inbox came with"):
        messages.read(Inbox, content)


# The roster


def test_rosters_that_protect_nobody_are_refused():
    one, two, three = (Identity.draw(n).public for n in (1, 2, 3))
    with pytest.raises(ValueError, match="2 sites protects nobody"):
        Roster("f", 2, {1: one, 2: two})
    for threshold in (0, 1, 4):
        with pytest.raises(ValueError, match=f"threshold of {threshold} of 3 .* choose 2 to 3"):
            Roster("f", threshold, {1: one, 2: two, 3: three})
    with pytest.raises(ValueError, match="same key"):
        Roster("f", 2, {1: one, 2: two, 3: two})
    with pytest.raises(ValueError, match="from 1 on"):
        Roster("f", 2, {0: one, 2: two, 3: three})


@pytest.mark.parametrize("sites", range(3, 9))
def test_how_many_may_drop_out_or_collude(sites):
    """The slow twin tries all pairs of lists that a coordinator with c colluders can have signed."""
    identities, _ = enrol("f", sites, sites)
    members = {n: one.public for n, one in identities.items()}
    for threshold in range(sites // 2 + 1, sites + 1):
        roster = Roster("f", threshold, members)
        assert roster.dropouts == sites - threshold

        def opens(colluders, threshold=threshold):
            honest = range(colluders + 1, sites + 1)
            if threshold - colluders < 2:  # a sum of one honest site
                return True
            for count in range(len(honest) + 1):
                for first in itertools.combinations(honest, count):
                    second = len(honest) - len(first)
                    if min(len(first), second) + colluders >= threshold:
                        return True
            return False

        assert not opens(roster.colluders)
        assert opens(roster.colluders + 1)


def test_identities_and_rosters_are_read_as_written(tmp_path):
    identities, roster = enrol("the clinic", 3, 2)
    roster.write(tmp_path / "roster.json")
    assert Roster.read(tmp_path / "roster.json") == roster
    other = Roster("another", 2, roster.members)
    assert other.fingerprint() != roster.fingerprint()
    assert Roster("the clinic", 3, roster.members).fingerprint() != roster.fingerprint()
    path = tmp_path / "me.json"
    identities[2].write(path)
    assert Identity.read(path) == identities[2]
    assert path.stat().st_mode & 0o777 == 0o600
    assert identities[2].private.hex() not in repr(identities[2])
    with pytest.raises(FileExistsError, match="is not replaced"):
        identities[2].write(path)
    with pytest.raises(FileNotFoundError, match="a roster must lie there"):
        Roster.read(tmp_path / "none.json")
    for text in ("[]", "{", '{"number": 1, "private": "zz"}', '{"number": 1, "private": "00"}'):
        (tmp_path / "odd.json").write_text(text)
        with pytest.raises(ValueError, match="odd.json"):
            Identity.read(tmp_path / "odd.json")
        with pytest.raises(ValueError, match="odd.json"):
            Roster.read(tmp_path / "odd.json")


def test_a_site_refuses_a_roster_with_another_key_in_its_place():
    identities, roster = enrol("f", 3, 2)
    changed = Roster("f", 2, {**roster.members, 1: Identity.draw(1).public})
    with pytest.raises(ValueError, match="the roster has not the key of site 1"):
        Member(identities[1], changed)
    honest, lied = Member(identities[2], roster), Member(identities[1], roster)
    assert honest.advertise(1).signature != lied.advertise(1).signature


# What the coordinator sees of one site


def unlikely(numbers: np.ndarray) -> float:
    """Return the smallest p value, of eight chi-squared tests: one for each byte's 256 values."""
    whole = np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, 8)
    counts = [np.bincount(whole[:, i], minlength=256) for i in range(8)]
    return min(stats.chisquare(one).pvalue for one in counts)


def test_what_the_coordinator_sees_of_one_site_is_uniform():
    """200,000 numbers, eight bytes of each, 781 expected in each of 256 bins. A p value below 1e-9
    in one of the 24 tests has a chance of 2.4e-8 where the numbers are uniform."""
    count = 200_000
    f = Federation(4, 3, count)
    message = f.masked()[2]
    site, sent = f.sites[2], message.numbers
    assert unlikely(sent) > 1e-9
    # the coordinator opens the self-masks of survivors: the masks between sites are left
    without_own = sent.copy()
    masks.apply(without_own, site.self_mask_key(), -1)
    assert unlikely(without_own) > 1e-9
    # of a site that is called lost and whose numbers come late: the self-mask is left
    without_pairs = sent.copy()
    for peer in (1, 3, 4):
        masks.apply(without_pairs, site.pair_key(peer), -masks.sign_between(2, peer))
    assert unlikely(without_pairs) > 1e-9
    # the control: without masks the same test is certain
    masks.apply(without_pairs, site.self_mask_key(), -1)
    assert (without_pairs == f.numbers[2]).all()
    assert unlikely(f.numbers[2]) < 1e-300
    # and uniform numbers do not follow the update
    seen = sent[:-1].view(np.int64).astype(float)
    assert abs(np.corrcoef(seen, f.updates[2])[0, 1]) < 6 / np.sqrt(count)


def test_all_but_one_site_and_the_coordinator_open_the_last():
    f = Federation()
    total = aggregate(f.sites, f.numbers, 1)
    for n in (1, 2, 3, 4):
        total -= f.numbers[n]
    assert (total == f.numbers[5]).all()
