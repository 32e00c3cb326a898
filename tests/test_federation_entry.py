"""The apps that Flower's processes import, called here: conditions come from files of the site."""

import json
import os
from dataclasses import asdict

import pytest
from federation_sites import QUICK, hospitals

from medpriv_lib.core import weights as store
from medpriv_lib.federation import entry, leading
from medpriv_lib.federation.certificates import make_certificates
from medpriv_lib.federation.grid import InProcessGrid, run_in_process
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.federation.plan import Plan
from medpriv_lib.federation.private import ledger as ledger_file
from medpriv_lib.federation.private.demand import Demand

SITES = hospitals(3)


class Env:
    """A site's app with the environment that its process would have."""

    def __init__(self, own):
        self.own = json.dumps(own)

    def __call__(self, message, context):
        before = os.environ.get(entry.SITE)
        os.environ[entry.SITE] = self.own
        try:
            return entry.client(message, context)
        finally:
            os.environ.pop(entry.SITE)
            if before is not None:
                os.environ[entry.SITE] = before


@pytest.fixture
def led(tmp_path, monkeypatch):
    """Return what runs a plan by the processes' apps; epsilon is steps over the noise."""
    monkeypatch.setattr(
        ledger_file, "agreed", lambda charges, delta: sum(c.steps / c.noise for c in charges)
    )
    keys, out = make_certificates(tmp_path / "keys", 3), tmp_path / "out"
    out.mkdir()
    monkeypatch.setenv(leading.LEAD, str(out))

    def run(plan, masks=True, budget=8.0, masked_sum=True, disturb=None):
        roster = str(keys / "roster.json")
        told = {"plan": asdict(plan), "sites": 3, "roster": roster if masked_sum else None}
        (out / leading.PLAN).write_text(json.dumps(told))
        apps = {}
        for number, site in enumerate(SITES, 1):
            cohort = tmp_path / f"{site.name}.npz"
            site.cohort.save(cohort)
            own = {"cohort": str(cohort), "name": site.name}
            own["log"] = str(tmp_path / f"{site.name}.jsonl")
            if masks:
                own["masks"] = {"roster": roster, "identity": str(keys / f"{site.name}.identity")}
            if budget is not None:
                path = str(tmp_path / f"{site.name}.ledger")
                own["budget"] = {"path": path, "budget": budget, "delta": 0.01}
            apps[number] = Env(own)
        run_in_process(leading.server, InProcessGrid(apps, disturb))
        return json.loads((out / "rounds.json").read_text())["rounds"]

    return run


def plan_of(rounds=2, **more):
    training = LocalTraining(rate=0.1)
    return Plan(rounds, 16, **{"training": training, "demand": Demand(4.0, shares=2)} | more)


def test_masks_and_budgets_come_from_the_sites_own_files(led, tmp_path):
    def lost(message, reply):
        config = message.content.config_records.get("config")
        gone = message.metadata.dst_node_id == 2 and config and config["round"] == 2
        return None if gone else reply

    rounds = led(plan_of(), disturb=lost)
    assert [one["notes"][0] for one in rounds] == [
        "the sum of 3 masked updates",
        "the sum of 2 masked updates",
    ]
    left = (tmp_path / "site-1.jsonl").read_text()
    assert '"masked.numbers"' in left
    assert '"arrays.' not in left  # no weights in the open
    charges = json.loads((tmp_path / "site-1.ledger").read_text())["charges"]
    assert charges == [{"noise": 4.0, "rate": 0.25, "steps": 2, "kind": "training"}]
    _, card = store.load(tmp_path / "out" / "recogniser", "federated disease recogniser")
    assert card["config"]["model"] == "Grouped"


@pytest.mark.parametrize(
    ("more", "plan", "says"),
    [
        ({"masked_sum": False}, {}, "under masks only"),
        ({}, {"demand": None}, "the coordinator asks for none"),
        ({}, {"demand": Demand(4.0, shares=3)}, "noise in 3 shares"),
        ({"budget": None}, {}, "keeps no ledger"),
        ({"budget": 0.1}, {}, "above the budget of 0.1"),
        ({"masks": False}, {}, "does not answer query.advertise"),
    ],
)
def test_a_coordinator_who_wants_something_else_gets_one_line(led, tmp_path, more, plan, says):
    with pytest.raises(ValueError, match=says):
        led(plan_of(1, **plan), **more)
    failed = json.loads((tmp_path / "out" / leading.FAILED).read_text())["error"]
    assert says in failed
    assert "\n" not in failed
    assert str(tmp_path) not in failed


def test_without_conditions_all_is_as_before(led):
    rounds = led(plan_of(1, demand=None, training=QUICK), False, None, masked_sum=False)
    assert rounds[0]["loss"] > 0
    assert rounds[0]["f1"] is not None
