"""Secure aggregation as mod and aggregation over Flower: equal to the plain average, and fail-safe."""

import numpy as np
import pytest
import torch
from federation_sites import QUICK, draw, first, hospitals, plan_of
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict

import medpriv_lib as mp
from medpriv_lib.federation.aggregation import RoundFailed
from medpriv_lib.federation.apps import coordinator_app, site_app
from medpriv_lib.federation.coordinator import Coordinator
from medpriv_lib.federation.grid import InProcessGrid, as_coordinator, run_in_process
from medpriv_lib.federation.local import fit_site
from medpriv_lib.federation.secure_aggregation import fixed_point
from medpriv_lib.federation.secure_aggregation.identity import enrol
from medpriv_lib.federation.secure_aggregation.in_process import masked
from medpriv_lib.federation.secure_aggregation.masked_average import MaskedAverage
from medpriv_lib.federation.secure_aggregation.site_mod import (
    METRICS,
    PHASES,
    digest_of,
    flat,
    from_files,
    masking_mod,
    shaped,
)

SITES = hospitals(5, 25, 3)


def federated(plan, masks=True, disturb=None, sites=SITES, threshold=3, fit=None, notes=None):
    """Return the outcome of a federation and its grid."""
    identities, roster = enrol("test", len(sites), threshold)

    def app(number, site):
        mods = [masking_mod(lambda context: (identities[number], roster))] if masks else []
        more = {"fit": fit(number)} if fit else {}
        note = notes[number].append if notes else None
        return site_app(
            site,
            generator_of=draw(site),
            mods=mods,
            phases=PHASES if masks else (),
            note=note,
            **more,
        )

    apps = {n: app(n, site) for n, site in enumerate(sites, 1)}
    grid, found = InProcessGrid(apps, disturb), []
    more = {"aggregation": MaskedAverage(roster)} if masks else {}
    coordinator = Coordinator(plan, first(plan), validate=False, **more)
    run_in_process(coordinator_app(coordinator, found.append), grid)
    return found[0], grid


def losing(*nodes, at="train"):
    """Return what loses the replies of nodes to one kind of message."""

    def disturb(message, reply):
        lost = message.metadata.dst_node_id in nodes and message.metadata.message_type == at
        return None if lost else reply

    return disturb


def far(one, other):
    """Return the largest difference between two sets of weights."""
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


@pytest.mark.parametrize("lost", [(), (2,), (2, 5)])
def test_a_round_equals_the_plain_average_of_who_stayed(lost):
    plan = plan_of(1)
    plain, _ = federated(plan, masks=False, disturb=losing(*lost))
    secure, _ = federated(plan, disturb=losing(*lost))
    step = fixed_point.error(5 - len(lost), secure.rounds[0].patients)
    largest = max(float(tensor.abs().max()) for tensor in plain.weights.values())
    assert 0 < largest < 8
    assert far(plain.weights, secure.weights) <= step + 2**-24 * largest
    one, other = plain.rounds[0], secure.rounds[0]
    assert one.patients == other.patients
    assert other.loss == pytest.approx(one.loss, abs=2 * step)
    assert other.answered == tuple(f"site-{n}" for n in range(1, 6) if n not in lost)
    assert len(other.missing) == len(lost)
    assert other.notes[0] == f"the sum of {5 - len(lost)} masked updates"
    assert (len(other.notes) == 2) == bool(lost)


def test_the_next_round_goes_on_without_or_with_who_was_lost():
    plan = plan_of(2)

    def disturb(message, reply):
        config = message.content.config_records.get("config")
        lost = config is not None and config["round"] == 1 and message.metadata.dst_node_id == 4
        return None if lost else reply

    outcome, _ = federated(plan, disturb=disturb)
    assert [len(one.answered) for one in outcome.rounds] == [4, 5]


def test_a_site_lost_in_a_phase_is_left_out_or_in():
    plan = plan_of(1)
    for phase, count in (("advertise", 4), ("share", 4), ("agree", 5), ("reveal", 5)):
        outcome, _ = federated(plan, disturb=losing(3, at=f"query.{phase}"))
        assert outcome.rounds[0].patients == sum(
            site.patients for n, site in enumerate(SITES, 1) if count == 5 or n != 3
        )


def test_below_the_threshold_nothing_is_opened():
    asked = []

    def disturb(message, reply):
        asked.append(message.metadata.message_type)
        return losing(1, 2, 3)(message, reply)

    with pytest.raises(
        RoundFailed, match=r"round 1: 2 of 5 sites sent masked numbers.*nothing was opened"
    ):
        federated(plan_of(1, fewest=2), disturb=disturb)
    assert "query.agree" not in asked
    with pytest.raises(RoundFailed, match="^round 1: 2 of 5 sites sent keys"):
        federated(plan_of(1), disturb=losing(1, 2, 3, at="query.advertise"))


def test_a_site_whose_training_fails_is_left_out_with_its_reason():
    def fit(number):
        def spoilt(network, site, settings, generator):
            update = fit_site(network, site, settings, generator)
            if number == 2:
                update.weights["head.bias"][0] = np.nan
            return update

        return spoilt

    outcome, _ = federated(plan_of(1), fit=fit)
    assert len(outcome.rounds[0].answered) == 4
    assert "1 of" in outcome.rounds[0].refused["node 2"]
    assert "NaN or infinite" in outcome.rounds[0].refused["node 2"]


def test_a_changed_share_drops_the_site_that_got_it():
    def disturb(message, reply):
        there = message.metadata.message_type == "query.share"
        if there and message.metadata.dst_node_id == 4:
            sealed = list(reply.content["masks"]["sealed"])
            sealed[0] = sealed[0][:-1] + bytes([sealed[0][-1] ^ 1])  # for site 1
            reply.content["masks"]["sealed"] = sealed
        return reply

    outcome, _ = federated(plan_of(1), disturb=disturb)
    assert outcome.rounds[0].answered == ("site-2", "site-3", "site-4", "site-5")
    assert "site 1 cannot open the shares of site 4" in outcome.rounds[0].refused["node 1"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda numbers: numbers[:-1], "another network, or another version"),
        (lambda numbers: numbers.astype(np.int64), "int64 numbers"),
    ],
)
def test_odd_masked_numbers_are_left_out(change, says):
    def disturb(message, reply):
        if message.metadata.message_type == "train" and message.metadata.dst_node_id == 2:
            numbers = change(reply.content["masked"]["numbers"].numpy())
            reply.content["masked"] = ArrayRecord({"numbers": Array(numbers)})
        return reply

    outcome, _ = federated(plan_of(1), disturb=disturb)
    assert says in outcome.rounds[0].refused["site-2"]
    assert len(outcome.rounds[0].answered) == 4


def test_a_site_speaking_for_another_is_left_out():
    def disturb(message, reply):
        if message.metadata.message_type == "query.share" and message.metadata.dst_node_id == 2:
            reply.content["masks"]["site"] = 3
        return reply

    outcome, _ = federated(plan_of(1), disturb=disturb)
    assert "node 2 speaks for site 3, which node 3 is" in outcome.rounds[0].refused["node 2"]
    assert len(outcome.rounds[0].answered) == 4


def test_a_coordinator_that_asks_in_the_open_gets_nothing():
    identities, roster = enrol("test", 5, 3)
    mods = [masking_mod(lambda context: (identities[1], roster))]
    app = site_app(SITES[0], generator_of=draw(SITES[0]), mods=mods, phases=PHASES)
    plan = plan_of(1)
    coordinator = Coordinator(plan, first(plan), validate=False)
    grid = InProcessGrid({1: app, 2: app}, None)
    with pytest.raises(RoundFailed, match="sends its update under masks only"):
        run_in_process(coordinator_app(coordinator, lambda found: None), grid)


def test_what_leaves_a_site_is_masked_numbers_and_no_weights():
    notes = {n: [] for n in range(1, 6)}
    outcome, _ = federated(plan_of(1), notes=notes)
    count = sum(tensor.numel() for tensor in outcome.weights.values()) + len(METRICS) + 1
    for left in notes.values():
        assert [one.kind for one in left] == [
            "query.advertise",
            "query.share",
            "train",
            "query.agree",
            "query.reveal",
        ]
        tensors = [
            piece for one in left for piece in one.pieces if len(piece.shape) and piece.bytes > 5000
        ]
        assert [(one.name, one.type, one.shape) for one in tensors] == [
            ("masked.numbers", "uint64", (count,))
        ]
        assert not any("patients" in piece.name for one in left for piece in one.pieces)


def test_the_digest_knows_every_weight_and_setting():
    weights = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}
    config = {"round": 1, "rate": 0.1}

    def made(weights=weights, config=config):
        return RecordDict({"arrays": ArrayRecord(weights), "config": ConfigRecord(config)})

    plain = digest_of(made())
    assert digest_of(made()) == plain
    others = [
        made({"a": torch.arange(3.0), "b": torch.tensor([[1, 1], [1, 1.0001]])}),
        made({"a": torch.arange(3.0), "c": torch.ones(2, 2)}),
        made({"a": torch.arange(3.0), "b": torch.ones(4)}),
        made(config=config | {"rate": 0.2}),
        made(config=config | {"more": 1}),
    ]
    found = {digest_of(one) for one in others}
    assert len(found) == 5
    assert plain not in found
    with_masks = made()
    with_masks["masks"] = ConfigRecord({"round": 7})
    assert digest_of(with_masks) == plain


def test_weights_are_laid_out_and_found_again():
    weights = {"a": torch.randn(3, 2), "n": torch.tensor(7), "b": torch.randn(4)}
    values = flat(weights, {"loss": 0.5, "images": 3, "patients": 9})
    assert values.shape == (6 + 1 + 4 + 3,)
    found, metrics = shaped(values, weights)
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert metrics == {"images": 3.0, "loss": 0.5, "steps": 0.0}
    assert shaped(values + 0.4, weights)[0]["n"] == 7


def test_identity_and_roster_come_from_the_nodes_own_files(tmp_path):
    identities, roster = enrol("test", 3, 2)
    identities[2].write(tmp_path / "me.json")
    roster.write(tmp_path / "roster.json")
    config = {"identity": str(tmp_path / "me.json"), "roster": str(tmp_path / "roster.json")}
    assert from_files(Context(1, 2, config, RecordDict(), {})) == (identities[2], roster)
    with pytest.raises(ValueError, match="'identity' and 'roster', two files of this site"):
        from_files(Context(1, 2, {"identity": config["identity"]}, RecordDict(), {}))


def test_an_old_train_message_is_refused():
    kept = []

    def keep(message, reply):
        if message.metadata.message_type == "train" and message.metadata.dst_node_id == 1:
            kept.append(message)
        return reply

    _, grid = federated(plan_of(1), disturb=keep)
    with as_coordinator():
        again = Message(kept[0].content, 1, "train")
        (reply,) = grid.send_and_receive([again])
    assert reply.has_error()
    assert "its last step in round" in reply.error.reason


def test_federate_takes_the_masks_as_arguments():
    sites = hospitals()
    few = {"rounds": 1, "training": QUICK}
    plain, secure = mp.federate(sites, **few), mp.federate(sites, **few, aggregation=masked(sites))
    largest = max(float(tensor.abs().max()) for tensor in plain.network.state_dict().values())
    assert far(plain.network.state_dict(), secure.network.state_dict()) < 1e-6 * largest
    assert secure.rounds[0].notes == ("the sum of 3 masked updates",)
    assert secure.rounds[0].f1 == pytest.approx(plain.rounds[0].f1, abs=0.05)
    with pytest.raises(ValueError, match="2 sites protects nobody"):
        masked(sites[:2])
