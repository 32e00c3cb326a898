"""The ledger: charged before the work, never above the budget, read again after a stop."""

import json
import math

import pytest

from medpriv_lib.federation.private.accountant import Charge
from medpriv_lib.federation.private.ledger import BudgetSpent, Ledger, merged


@pytest.fixture
def opened(tmp_path):
    """A ledger whose epsilon is the number of steps over the noise: a sum that one can check."""

    def cost(charges, delta):
        return sum(c.steps / c.noise if c.noise else math.inf for c in charges)

    return lambda budget=8.0, patience=30.0: Ledger(
        tmp_path / "site.json", "north", 92, budget, 1 / 92, cost, patience
    )


def test_rounds_are_charged_until_the_budget_is_spent(opened):
    one = opened()
    one.charge(Charge(2.0, 1.0, 4, "tuning"))
    assert one.spent() == 2
    assert one.charge(Charge(1.0, 0.25, 5)) == 7
    before = one.path.read_bytes()
    with pytest.raises(BudgetSpent, match="from 7.00 to 9.00, above the budget of 8; stop here"):
        one.charge(Charge(1.0, 0.25, 2))
    assert one.path.read_bytes() == before
    assert one.steps_left(1.0, 0.25) == 1
    assert one.steps_left(0.5, 0.25) == 0
    with pytest.raises(BudgetSpent):
        one.charge(Charge(0.0, 0.25, 1))


def test_a_ledger_outlives_the_process(opened):
    opened().charge(Charge(2.0, 1.0, 1, "statistics"))
    again = opened()
    assert again.charges() == [Charge(2.0, 1.0, 1, "statistics")]
    again.charge(Charge(4.0, 0.25, 3))
    again.charge(Charge(4.0, 0.25, 5))
    assert again.charges()[1:] == [Charge(4.0, 0.25, 8)]


def test_equal_neighbours_are_added_up_and_others_kept_apart():
    one, other = Charge(1.0, 0.5, 2), Charge(1.0, 0.5, 2, "tuning")
    assert merged([one, one, other, one]) == [Charge(1.0, 0.5, 4), other, one]


def test_another_budget_or_a_damaged_file_is_refused(opened):
    one = opened()
    with pytest.raises(ValueError, match="the ledger of another budget: 8.0"):
        opened(budget=9.0)
    content = json.loads(one.path.read_text())
    one.path.write_text(json.dumps(content | {"charges": [{"noise": 1.0}]}))
    with pytest.raises(ValueError, match="A new one would forget"):
        one.spent()
    one.path.write_text("{")
    with pytest.raises(ValueError, match="not a readable ledger"):
        opened()


def test_a_delta_that_allows_to_publish_a_patient_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at most 1 / patients"):
        Ledger(tmp_path / "a.json", "north", 92, 8.0, 0.02)
    assert not (tmp_path / "a.json").exists()


def test_two_processes_do_not_pay_once(opened):
    one = opened(patience=0.1)
    lock = one.path.with_suffix(".lock")
    lock.touch()
    with pytest.raises(TimeoutError, match="remove the file"):
        one.charge(Charge(1.0, 0.25, 1))
    lock.unlink()
    one.charge(Charge(1.0, 0.25, 1))
    assert not lock.exists()


def test_with_the_accountants_themselves(tmp_path):
    pytest.importorskip("opacus")
    pytest.importorskip("dp_accounting")
    one = Ledger(tmp_path / "a.json", "north", 92, 2.0, 1 / 92)
    assert one.charge(Charge(8.0, 1.0, 1, "statistics")) < 0.5
    assert one.charge(Charge(2.5, 0.25, 60)) == pytest.approx(1.775, rel=0.01)
    with pytest.raises(BudgetSpent):
        one.charge(Charge(2.5, 0.25, 60))
