"""Twice the effort: which attackers gain from it, and which have flattened."""

import json
from dataclasses import replace

import pytest
from small_cohorts import toy_cohort
from test_study_attacks import FEW, Stop

from medpriv_lib.attacks.run import FLAT
from medpriv_lib.cli import main
from medpriv_lib.pipeline.weights import load_weights
from medpriv_lib.study.attacks import run_attacks
from medpriv_lib.study.doubled import FILE, render_doubled, run_doubled
from medpriv_lib.study.plan import Plan

ROWS = (("blur", "kernel 9"), ("control", "mean image of the label"))
SOME = ("naive", "reverse", "parrot", "naive linkage")
PLAN = Plan(draws=1, only=ROWS, scratch=False, budget=FEW, attackers=SOME)


@pytest.fixture(scope="module")
def weights(toy_weights):
    return load_weights(toy_weights, toy_cohort())


def test_rows_are_attacked_with_both_budgets_and_compared_as_the_slow_twin_does(weights, tmp_path):
    judges, vgan, cards = weights
    found = run_doubled(toy_cohort(), judges, vgan, tmp_path, PLAN, cards, progress=False)
    assert json.loads((tmp_path / FILE).read_text()) == found
    assert not (tmp_path / "attacks.json").exists()
    made = found["provenance"]
    assert made["doubled"]["released"]["steps"] == 2 * made["budget"]["released"]["steps"]
    assert made["flat"] == FLAT
    each = []
    for number, budget in enumerate((FEW, FEW.doubled())):
        (out := tmp_path / str(number)).mkdir()
        plan = replace(PLAN, budget=budget)
        each.append(run_attacks(toy_cohort(), judges, vgan, out, plan, cards, progress=False))
    assert [(one["experiment"], one["set"]) for one in found["methods"]] == [
        (one["experiment"], one["set"]) for one in each[0]["methods"]
    ]
    for told, once, twice in zip(
        found["methods"], each[0]["methods"], each[1]["methods"], strict=True
    ):
        assert set(told["attackers"]) == set(SOME)
        for before, after in zip(once["findings"], twice["findings"], strict=True):
            one = told["attackers"][before["attack"]]
            key = "linkage_auc" if "linkage" in before["attack"] else "rank1"
            gain = after["measures"][key] - before["measures"][key]
            assert one["gain"][key] == pytest.approx(gain, abs=1e-4)
            assert one["reached"][key] == after["measures"][key]
            assert one["flat"] == all(each <= FLAT for each in one["gain"].values())
            assert (before["attack"] in told["rising"]) != one["flat"]
        values = [one["figures"]["all"]["named"]["value"] for one in (once, twice)]
        assert told["best"]["all"]["named"] == pytest.approx(values, abs=1e-4)


def test_a_stopped_run_goes_on_and_uses_what_was_attacked_before(weights, tmp_path):
    judges, vgan, cards = weights

    def attacked(run, at=None):
        stop = Stop(at)
        found = run(toy_cohort(), judges, vgan, tmp_path, PLAN, cards, False, stop)
        return found, stop.done

    first = replace(PLAN, only=ROWS[:1])
    stop = Stop()
    run_attacks(toy_cohort(), judges, vgan, tmp_path, first, cards, False, stop)
    before = (tmp_path / "attacks.json").read_text()
    with pytest.raises(KeyboardInterrupt):
        attacked(run_doubled, ("mean image of the label", 0))
    part = json.loads((tmp_path / FILE).read_text())
    assert [one["set"] for one in part["methods"]] == ["kernel 9"]  # finished, and written
    whole, done = attacked(run_doubled)
    assert done == [("mean image of the label", 0)] * 2  # both budgets; the first row is kept
    assert whole["methods"][0] == part["methods"][0]
    assert attacked(run_doubled)[1] == []
    assert (tmp_path / "attacks.json").read_text() == before


def test_the_text_names_who_still_rises():
    def attacker(gain):
        return {"gain": {"rank1": gain}, "reached": {"rank1": 0.5}, "flat": gain <= FLAT}

    row = {"experiment": "blur", "set": "kernel 9", "note": "", "rising": ["parrot"]}
    row["attackers"] = {"naive": attacker(0.0), "parrot": attacker(0.055)}
    empty = row | {"set": "kernel 3", "note": "empty: no pairs", "attackers": {}, "rising": []}
    flat = row | {"rising": [], "attackers": {"naive": attacker(-0.1)}}
    assert render_doubled({"methods": [row, empty, flat]}).splitlines() == [
        "blur/kernel 9: 1 of 2 attackers have flattened; still rising: parrot (+0.055)",
        "blur/kernel 3: empty: no pairs",
        "blur/kernel 9: 1 of 1 attackers have flattened",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--doubled"], "belong to --attacks"),
        (["--attacks", "--doubled"], "name them with --only"),
        (["--attacks", "--doubled", "--only", "blur/kernel 9", "--attackers", "2"], "by one seed"),
        (["--attacks", "--doubled", "--only", "blur/kernel 9", "--others", "5"], "leave out"),
    ],
)
def test_the_command_doubles_a_few_named_rows_only(options, said, tmp_path, capsys):
    assert main(["study", "--out", str(tmp_path / "out"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()  # refused before any work


@pytest.mark.slow
def test_the_command_writes_and_prints_who_has_flattened(tmp_path, capsys, monkeypatch):
    """With an effort that takes seconds; all else is the command's own."""
    from medpriv_lib.study import doubled

    def small(cohort, judges, vgan, out, plan, cards, weights=None):
        few = replace(plan, budget=FEW, draws=1, scratch=False, attackers=SOME)
        return run_doubled(cohort, judges, vgan, out, few, cards, weights=weights)

    monkeypatch.setattr(doubled, "run_doubled", small)
    toy_cohort().save(tmp_path / "toy.npz")
    command = ["study", "--cohort", str(tmp_path / "toy.npz"), "--scale", "toy", "--device", "cpu"]
    command += ["--out", str(tmp_path / "out"), "--attacks", "--doubled", "--only", "blur/kernel 9"]
    assert main(command) == 0
    assert "blur/kernel 9: " in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / FILE).read_text())
    assert set(found["methods"][0]["attackers"]) == set(SOME)
    assert not (tmp_path / "out" / "attacks.json").exists()
