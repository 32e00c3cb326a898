"""Privacy and secure aggregation as arguments of a federation: what is charged, sent and refused."""

import json
import math

import numpy as np
import pytest
import torch
from federation_sites import hospitals
from flwr.app import Context, Message, MessageType, RecordDict
from small_cohorts import patterned_cohort

import medpriv_lib as mp
from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.aggregation import RoundFailed
from medpriv_lib.federation.apps import site_app
from medpriv_lib.federation.grid import as_coordinator
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.federation.parties import seen_by
from medpriv_lib.federation.plan import Plan, training_of
from medpriv_lib.federation.private.at_site import Guard, fit_privately, members_of
from medpriv_lib.federation.private.demand import Demand, demand_of
from medpriv_lib.federation.private.ledger import BudgetSpent, Ledger
from medpriv_lib.federation.private.privacy import Privacy
from medpriv_lib.federation.secure_aggregation import fixed_point
from medpriv_lib.federation.secure_aggregation.site_mod import flat
from medpriv_lib.recognition.grouped import Grouped
from medpriv_lib.recognition.probe import Probe

SITES = hospitals(3, 18, 3)
STEEP = LocalTraining(rate=0.5)
PATIENTS = sum(site.patients for site in SITES)


def steps_over_noise(charges, delta):
    """An epsilon that one can check without an accountant."""
    return sum(c.steps / c.noise if c.noise else math.inf for c in charges)


PLAIN = {"epsilon": 8.0, "multiplier": 1.0, "seeded": True, "cost": steps_over_noise}


def private(**more):
    return Privacy(**PLAIN | more)


def far(one, other):
    pairs = zip(one.values(), other.values(), strict=True)
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


def states(*federations):
    return [one.network.state_dict() for one in federations]


def slow_round(network, site, demand, rate, generator):
    """One round as a loop over patients, from the same draws."""
    train, mechanism = site.train, demand.mechanism()
    numbers = np.unique(train.patient)
    parameters = dict(network.named_parameters())
    total = {key: torch.zeros_like(one) for key, one in parameters.items()}
    drawn = torch.nonzero(torch.rand(len(numbers), generator=generator) < mechanism.rate)[:, 0]
    for k in drawn:
        rows = np.flatnonzero(train.patient == numbers[k])
        torch.randperm(len(rows), generator=generator)  # all of them count: the order does not
        x = torch.from_numpy(train.images[rows])[:, None].float() / 127.5 - 1
        y = torch.from_numpy(train.diseased[rows]).long()
        network.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        length = math.sqrt(sum(float(p.grad.square().sum()) for p in parameters.values()))
        for key, p in parameters.items():
            total[key] += p.grad * min(1.0, mechanism.clip / length)
    with torch.no_grad():
        for key, p in parameters.items():
            noise = torch.randn(p.shape, generator=generator) * mechanism.noise * mechanism.clip
            p -= rate * (total[key] + noise) / (mechanism.rate * len(numbers))
    return {key: p.detach() for key, p in parameters.items()}


def test_a_private_round_equals_a_slow_one():
    demand, site = Demand(0.7, clip=0.5, rate=0.6, most=3), SITES[0]
    plan = Plan(1, 16, training=STEEP)
    start = plan.first_weights(seeded(0))
    networks = [Grouped(2, 16) for _ in range(2)]
    for one in networks:
        one.load_state_dict(start)
        one.eval()
    guard = Guard(ledger_of(site), seeded=True)
    found = fit_privately(networks[0], site, STEEP, demand, guard, seeded(5))
    slow = slow_round(networks[1], site, demand, STEEP.rate, seeded(5))
    assert far(found.weights, slow) < 1e-5
    assert far(found.weights, start) > 0.01
    assert found.metrics == {"steps": 1.0}  # nothing else about the images


def ledger_of(site, folder=None, budget=100.0, cost=steps_over_noise):
    import tempfile

    folder = folder or tempfile.mkdtemp()
    from pathlib import Path

    path = Path(folder) / f"{site.name}.json"
    return Ledger(path, site.name, site.patients, budget, 1e-3, cost)


def test_the_average_of_the_sites_is_the_step_over_all_patients():
    """Without noise and with everybody drawn, dealing patients to sites changes nothing."""
    asked = Privacy(math.inf, clip=0.5, rate=1.0, seeded=True)
    whole = mp.deal(patterned_cohort(18, 3, by_patient=True), 1, "even", seeded(0, "deal"))
    one, other = (
        mp.federate(sites, rounds=2, training=STEEP, privacy=asked) for sites in (SITES, whole)
    )
    assert far(*states(one, other)) < 1e-5
    assert one.spent == {}
    assert one.threshold == 0.5
    assert [r.loss for r in one.rounds] == [None, None]


def test_under_masks_the_sum_is_the_plain_one_in_fixed_point():
    plain, masked = (
        mp.federate(SITES, rounds=1, training=STEEP, privacy=private(), aggregation=how)
        for how in ("open", "secure")
    )
    assert far(*states(plain, masked)) <= fixed_point.error(3, PATIENTS) + 2**-22
    assert masked.rounds[0].notes == ("the sum of 3 masked updates",)
    assert plain.spent == masked.spent == {site.name: 1.0 for site in SITES}
    names = {piece.name for message in masked.left["site-1"] for piece in message.pieces}
    assert "masked.numbers" in names
    assert not [name for name in names if name.startswith(("arrays", "metrics"))]


def test_the_opened_sum_is_bit_equal_to_the_plain_sum_of_fixed_point(monkeypatch):
    sent, opened = [], []
    encode, decode = fixed_point.encode, fixed_point.decode

    def kept(values, patients, sites):
        sent.append(encode(values, patients, sites))
        return sent[-1]

    def seen(total, sites):
        opened.append(total.copy())
        return decode(total, sites)

    monkeypatch.setattr(fixed_point, "encode", kept)
    monkeypatch.setattr(fixed_point, "decode", seen)
    mp.federate(SITES, rounds=2, training=STEEP, privacy=private(), aggregation="secure")
    for number in (0, 1):
        assert (sum(sent[3 * number : 3 * number + 3]) == opened[number]).all()


def test_shares_of_noise_make_the_whole_in_the_smallest_sum():
    """The sum of 3 sites with threshold 2 has 3/2 of the variance, that of 2 sites all of it."""
    asked = private(noise="distributed", rate=1e-9, multiplier=2.0, clip=0.5)
    demand = asked.demand(1, PATIENTS, threshold=2)
    assert demand.shares == 2
    assert demand.charge().noise == 2.0
    start = Plan(1, 16).first_weights(seeded(0))
    parts = []
    for number, site in enumerate(SITES):
        network = Grouped(2, 16)
        network.load_state_dict(start)
        guard = Guard(ledger_of(site), shares=2, seeded=True)
        found = fit_privately(network, site, STEEP, demand, guard, seeded(9, number))
        moved = flat(found.weights, {}) - flat(start, {})
        parts.append(moved * 1e-9 * site.patients / STEEP.rate)  # the step undone
    for count, variance in ((2, 1.0), (3, 1.5)):
        spread = np.sum(parts[:count], axis=0)[:-3].std()
        # 50,000 numbers know it to .5 %
        assert spread == pytest.approx(2.0 * 0.5 * math.sqrt(variance), rel=0.02)
    with pytest.raises(ValueError, match="needs secure aggregation"):
        mp.federate(SITES, rounds=1, privacy=asked)
    with pytest.raises(ValueError, match="nobody's noise is left"):
        private(noise="distributed", colluders=2).demand(1, PATIENTS, threshold=2)


def test_a_site_refuses_less_noise_than_its_own_roster_allows():
    guard = Guard(ledger_of(SITES[0]), shares=2)
    demand = Demand(1.0, shares=3)
    with pytest.raises(ValueError, match=r"noise in 3 shares, and here a sum over 2 site"):
        fit_privately(Grouped(2, 16), SITES[0], STEEP, demand, guard, seeded(0))
    with pytest.raises(ValueError, match="the coordinator asks for none"):
        fit_privately(Grouped(2, 16), SITES[0], STEEP, None, guard, seeded(0))
    with pytest.raises(ValueError, match="keeps no ledger"):
        fit_privately(Grouped(2, 16), SITES[0], STEEP, Demand(1.0), None, seeded(0))
    assert guard.ledger.charges() == []


def test_a_spent_budget_refuses_further_rounds(tmp_path):
    asked = private(epsilon=2.0, ledgers=tmp_path)
    found = mp.federate(SITES, rounds=2, training=STEEP, privacy=asked)
    assert set(found.spent.values()) == {2.0}
    with pytest.raises(RoundFailed, match="site-1: training of 1 steps would bring epsilon"):
        mp.federate(SITES, rounds=1, training=STEEP, privacy=asked)
    (tmp_path / "site-2.json").unlink()  # a site that forgets what it spent
    one = mp.federate(SITES, rounds=mp.Rounds(1, fewest=1), training=STEEP, privacy=asked)
    assert one.rounds[0].answered == ("site-2",)
    assert "above the budget of 2" in one.rounds[0].refused["node 1"]


def test_what_was_found_to_fit_is_not_asked_again(tmp_path):
    asked = []

    def cost(charges, delta):
        asked.append(charges)
        return float(sum(c.steps / c.noise for c in charges))

    one = ledger_of(SITES[0], tmp_path, budget=5.0, cost=cost)
    charge = Demand(1.0).charge()
    for left in (3, 2, 1, 0):
        one.pay(charge, ahead=left)
    assert [sum(c.steps for c in plan) for plan in asked] == [4]
    assert one.charges()[0].steps == 4
    one.pay(charge, ahead=9)  # ten would not fit, one does
    with pytest.raises(BudgetSpent, match=r"from 5.00 to 6.00"):
        one.pay(charge, ahead=9)
    assert json.loads(one.path.read_text())["charges"][0]["steps"] == 5


def test_no_counts_of_validation_images_leave_without_noise():
    guard = Guard(ledger_of(SITES[0]))
    app, plan = site_app(SITES[0], guard=lambda site: guard), Plan(1, 16, training=STEEP)
    from flwr.app import ConfigRecord

    from medpriv_lib.federation.aggregation import arrays_of

    content = {"arrays": arrays_of(plan.first_weights(seeded(0)))}
    content["config"] = ConfigRecord(plan.of_round(1, "s"))
    with as_coordinator():
        for kind, says in (
            (MessageType.EVALUATE, "tells no counts of validation images"),
            (MessageType.TRAIN, "the coordinator asks for none"),
        ):
            asked = Message(RecordDict(dict(content)), 1, kind)
            reply = app(asked, Context(1, 1, {}, RecordDict(), {}))
            assert says in reply.error.reason
    assert guard.ledger.charges() == []


def test_noise_comes_from_no_seed():
    one, other = (
        mp.federate(SITES, rounds=1, training=STEEP, privacy=private(seeded=False), seed=3)
        for _ in range(2)
    )
    assert far(*states(one, other)) > 1e-3
    again = [mp.federate(SITES, rounds=1, training=STEEP, privacy=private(), seed=3) for _ in "ab"]
    assert far(*states(*again)) == 0


def test_a_demand_survives_its_message_and_odd_ones_are_refused():
    demand = Demand(1.5, 0.5, 0.1, 4, 1, 2)
    plan = Plan(3, 16, training=STEEP, demand=demand)
    told = plan.of_round(2, "s")
    assert demand_of(told) == demand
    assert told["left"] == 1
    assert training_of(told).rate < STEEP.rate
    assert demand_of({"demand": []}) is None
    for odd in ([1.0], [1.0] * 7, [0.0] * 6, [1.0, 1.0, 0.5, 1.0, 2.0, 2.0]):
        with pytest.raises(ValueError, match=r"odd|rate|one a round|at least"):
            demand_of({"demand": odd})
    for wrong in ({"epsilon": 0.0}, {"epsilon": 1.0, "noise": "some"}):
        with pytest.raises(ValueError, match=r"above 0|local or distributed"):
            Privacy(**wrong)
    with pytest.raises(ValueError, match="without clipping hides nobody"):
        Privacy(1.0, clip=0.0, multiplier=1.0).demand(1, 10)


def test_a_probe_is_a_linear_layer_on_the_expert():
    cohort = mp.default_cohort()
    few = cohort.take(np.flatnonzero(cohort.patient < 4))
    probe = Probe()
    assert {key: tuple(v.shape) for key, v in probe.state_dict().items()} == {
        "head.weight": (2, 64),
        "head.bias": (2,),
    }
    read = probe.read(few.images[:3])
    torch.nn.init.normal_(probe.head.weight)
    x = torch.from_numpy(few.images[:3])[:, None].float() / 127.5 - 1
    torch.testing.assert_close(probe(x), read @ probe.head.weight.T + probe.head.bias)
    with pytest.raises(ValueError, match="prepare them with --size 64, or train the network"):
        Probe(32)
    assert members_of(SITES[0])[0] == SITES[0].patients


def test_a_private_probe_learns():
    cohort = mp.split_by_patient(mp.packaged_cohort("crossed"), seeded(1, "split"))
    some = cohort.take(np.flatnonzero((cohort.patient < 40) & (np.arange(len(cohort)) % 3 == 0)))
    sites = mp.deal(some, 3, "even", seeded(1, "deal"))
    training = LocalTraining(rate=2.0, class_weights=(0.65, 2.1))
    found = mp.federate(
        sites, rounds=20, training=training, model="probe", aggregation="secure",
        privacy=private(epsilon=100.0, noise="distributed"),
    )  # fmt: skip
    test = some.of("test")
    from medpriv_lib.core.intervals import area

    assert area(found.score(test), test.diseased) > 0.75  # guessing is .5


def test_what_each_party_saw_is_read_from_what_left():
    open_, masked = (
        mp.federate(SITES, rounds=1, training=STEEP, privacy=private(), aggregation=how)
        for how in ("open", "secure")
    )
    one, other = (seen_by(found.left, found.spent) for found in (open_, masked))
    assert one["coordinator"]["sees"] == "the update of each site"
    assert other["coordinator"]["sees"] == "the sum of 3 updates"
    assert other["coordinator"]["bounded by"] == "epsilon 1.0 for each patient"
    plain = mp.federate(SITES, rounds=1, training=STEEP)
    found = seen_by(plain.left, plain.spent)["coordinator"]
    assert found["sees"].endswith("counts of validation images")
    assert found["bounded by"] == "nothing"
    with pytest.raises(ValueError, match="run a round first"):
        seen_by({"site-1": []}, {})
