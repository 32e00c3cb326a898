"""Rounds over Flower in one process: equal to the plain loop, and what sites may do to them."""

import json

import numpy as np
import pytest
import torch
from federation_sites import by_hand, draw, first, hospitals, plan_of, same
from flwr.app import ArrayRecord, Context, Message, RecordDict

from medpriv_lib.federation.aggregation import RoundFailed
from medpriv_lib.federation.apps import coordinator_app, site_app
from medpriv_lib.federation.coordinator import Coordinator
from medpriv_lib.federation.grid import InProcessGrid, as_coordinator, run_in_process
from medpriv_lib.federation.log import to_file

SITES = hospitals()


def federated(plan, sites=SITES, disturb=None, apps=None, **more):
    """Return the outcome of a federation and its grid."""
    apps = apps or {n: site_app(s, generator_of=draw(s)) for n, s in enumerate(sites, 1)}
    grid, found = InProcessGrid(apps, disturb), []
    coordinator = Coordinator(plan, first(plan), **more)
    run_in_process(coordinator_app(coordinator, found.append), grid)
    return found[0], grid


def silenced(node, rounds=(1,)):
    """Return what loses a site's answers, training and validation, in some rounds."""

    def disturb(message, reply):
        there = message.content["config"]["round"] not in rounds
        return reply if there or message.metadata.dst_node_id != node else None

    return disturb


def changed(node, change):
    """Return what changes the weights that a site sends."""

    def disturb(message, reply):
        if message.metadata.dst_node_id == node and "arrays" in reply.content.array_records:
            state = reply.content["arrays"].to_torch_state_dict()
            reply.content["arrays"] = ArrayRecord(change(dict(state)))
        return reply

    return disturb


def test_messages_change_nothing():
    plan = plan_of(2)
    outcome, grid = federated(plan)
    assert same(outcome.weights, by_hand(plan, SITES, first(plan)))
    assert [one.answered for one in outcome.rounds] == [("site-1", "site-2", "site-3")] * 2
    weights = sum(4 * tensor.numel() for tensor in outcome.weights.values())
    assert 6 * weights < outcome.rounds[0].sent < 6 * weights * 1.1 + 5000
    assert (grid.sent, grid.received) == (
        sum(one.sent for one in outcome.rounds),
        sum(one.received for one in outcome.rounds),
    )


def test_it_learns():
    rounds = federated(plan_of(4))[0].rounds
    assert rounds[-1].loss < rounds[0].loss
    assert rounds[-1].f1 is not None


def test_a_silent_site_is_left_out_of_its_round_only():
    outcome, _ = federated(plan_of(2), disturb=silenced(2))
    one, two = outcome.rounds
    assert (one.answered, one.missing) == (("site-1", "site-3"), ("node 2",))
    assert two.answered == ("site-1", "site-2", "site-3")
    assert not two.missing
    alone, _ = federated(plan_of(1), disturb=silenced(2))
    assert same(alone.weights, by_hand(plan_of(1), (SITES[0], SITES[2]), first(plan_of(1))))


def test_numbers_that_are_none_are_left_out():
    def spoilt(state):
        state["head.weight"][0, 0] = np.nan
        return state

    outcome, _ = federated(plan_of(1), disturb=changed(3, spoilt))
    assert outcome.rounds[0].answered == ("site-1", "site-2")
    assert "not finite, in head.weight" in outcome.rounds[0].refused["site-3"]
    assert all(torch.isfinite(tensor).all() for tensor in outcome.weights.values())


def test_another_network_is_left_out():
    def cut(state):
        return state | {"head.weight": state["head.weight"][:, :5]}

    outcome, _ = federated(plan_of(1), disturb=changed(1, cut))
    assert "head.weight is torch.float32 (2, 5)" in outcome.rounds[0].refused["site-1"]


def test_too_few_sites_end_the_round_and_say_why():
    with pytest.raises(RoundFailed, match=r"round 1: 2 update.s. can be used and at least 3"):
        federated(plan_of(1, fewest=3), disturb=silenced(2))
    with pytest.raises(RoundFailed, match="2 site.s. are connected"):
        federated(plan_of(1, fewest=3), SITES[:2])


def test_a_killed_coordinator_goes_on(tmp_path):
    plan = plan_of(3)
    whole, _ = federated(plan)

    class Killed(Exception):
        pass

    def kill(number, rounds, one):
        if number == 2:
            raise Killed

    with pytest.raises(Killed):
        federated(plan, folder=tmp_path, progress=kill)
    seen = []
    outcome, _ = federated(
        plan, folder=tmp_path, progress=lambda number, rounds, one: seen.append(number)
    )
    assert seen == [3]
    assert same(outcome.weights, whole.weights)
    assert len(outcome.rounds) == 3
    assert outcome.rounds[0].answered == whole.rounds[0].answered


def test_another_plan_does_not_go_on(tmp_path):
    federated(plan_of(1), folder=tmp_path)
    with pytest.raises(ValueError, match="training with other plan"):
        federated(plan_of(2), folder=tmp_path)


def test_a_message_is_answered_once():
    app, plan = site_app(SITES[0], generator_of=draw(SITES[0])), plan_of(1)
    seen = []

    def keep(message, reply):
        seen.append((message, reply))
        return reply

    federated(plan, apps={1: app, 2: site_app(SITES[1])}, disturb=keep)
    message = next(m for m, _ in seen if m.metadata.dst_node_id == 1)
    context = Context(1, 1, {}, RecordDict(), {})
    with as_coordinator():
        assert not app(message, context).has_error()
        again = app(message, context)
    assert "answered already" in again.error.reason


def test_a_replayed_reply_is_left_out():
    kept = {}

    def replay(message, reply):
        if message.metadata.dst_node_id != 2 or message.metadata.message_type != "train":
            return reply
        return kept.setdefault("first", reply)

    outcome, _ = federated(plan_of(2), disturb=replay)
    assert outcome.rounds[0].answered == ("site-1", "site-2", "site-3")
    assert outcome.rounds[1].refused == {
        "site-2": "the reply belongs to another round: replayed, or late"
    }


def test_a_site_with_other_images_or_another_version_says_so(monkeypatch):
    larger = hospitals(1, 5)[0]
    images = larger.cohort.images.repeat(2, 1).repeat(2, 2)
    odd = type(larger)("odd", type(larger.cohort)(**vars(larger.cohort) | {"images": images}))
    outcome, _ = federated(plan_of(1), (SITES[0], SITES[1], odd))
    assert (
        "site odd: this recogniser reads uint8 images (N, 16, 16)"
        in (outcome.rounds[0].refused["node 3"])
    )
    monkeypatch.setattr("medpriv_lib.federation.plan.PROTOCOL", 2)
    plan = plan_of(1)
    told = plan.of_round(1, "s") | {"protocol": 1}
    monkeypatch.setattr(type(plan), "of_round", lambda *_: told)
    with pytest.raises(RoundFailed, match="with protocol 1, this site .* with protocol 2"):
        federated(plan)


def test_a_site_with_one_label_takes_part_and_labels_that_are_none_are_refused():
    site = hospitals(1, 5)[0]
    columns = vars(site.cohort)
    well = np.zeros(len(site.cohort), bool)
    healthy = type(site)("healthy", type(site.cohort)(**columns | {"diseased": well}))
    outcome, _ = federated(plan_of(1), (SITES[0], SITES[1], healthy))
    assert outcome.rounds[0].answered == ("healthy", "site-1", "site-2")
    assert all(one.isfinite().all() for one in outcome.weights.values())
    with pytest.raises(ValueError, match="`patient` must be int64 and `diseased` bool"):
        type(site.cohort)(**columns | {"diseased": well.astype(np.int64) + 2})


def test_no_path_and_no_name_leaves_with_an_error():
    def fit(network, site, settings, generator):
        raise FileNotFoundError("/home/clinic/Jane Doe.png")

    left = []
    apps = {1: site_app(SITES[0], fit=fit, note=left.append)}
    with pytest.raises(RoundFailed) as error:
        federated(plan_of(1, fewest=1), apps=apps)
    assert "Jane" not in str(error.value)
    assert "failed with FileNotFoundError" in str(error.value)
    assert left[0].error == "the site failed with FileNotFoundError; its own log says more"


def test_the_log_names_all_that_left_and_nothing_else(tmp_path):
    path, plan = tmp_path / "left.jsonl", plan_of(1)
    apps = {1: site_app(SITES[0], note=to_file(path)), 2: site_app(SITES[1])}
    outcome, grid = federated(plan, apps=apps)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["kind"] for row in rows] == ["train", "evaluate"]
    assert sum(row["bytes"] for row in rows) < grid.received
    names = {piece["name"] for piece in rows[0]["pieces"]}
    assert {f"arrays.{name}" for name in outcome.weights} < names
    assert names - {f"arrays.{name}" for name in outcome.weights} == {
        *("metrics.loss", "metrics.images", "metrics.steps", "metrics.patients"),
        *("config.site", "config.session", "config.round"),
    }
    text = path.read_text()
    assert not any(str(name) in text for name in SITES[0].cohort.patient_names)


def test_a_federation_without_validation_images_has_a_threshold():
    bare = tuple(type(site)(site.name, site.train) for site in SITES)
    outcome, _ = federated(plan_of(1), bare)
    assert outcome.rounds[0].f1 is None
    assert outcome.threshold == 0.5


def test_a_mod_and_a_phase_of_ones_own(tmp_path):
    seen = []

    def mod(message, context, call_next):
        seen.append(message.metadata.message_type)
        if message.metadata.message_type == "query.keys":
            return Message(RecordDict(), reply_to=message)
        return call_next(message, context)

    app = site_app(SITES[0], mods=[mod], phases=["keys"])
    with as_coordinator():
        asked = Message(RecordDict(), 1, "query.keys")
        assert not app(asked, Context(1, 1, {}, RecordDict(), {})).has_error()
    assert seen == ["query.keys"]
