"""All methods under attack on a toy cohort: what is written, what goes on, what is joined to the
table."""

import json
from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import toy_cohort

from medpriv_lib.attacks.best import AUC, BEST, COLUMNS, RANK1, render_attacks
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.contributors.who import labels_of
from medpriv_lib.attacks.towers import Schedule
from medpriv_lib.pipeline.weights import load_weights
from medpriv_lib.study.attacks import read_attacks, run_attacks
from medpriv_lib.study.plan import Plan
from medpriv_lib.study.rows import methods
from medpriv_lib.study.table import arrange, read_table, with_attacks, write_table

SHORT = Schedule(steps=2, rate=1e-3, batch=16)
FEW = Budget(
    SHORT, SHORT, SHORT, restorer_epochs=1, restorer_pairs=16, gallery_runs=4, generators=2,
    generator_rounds=1, code_decodes=64, code_errors=16, several=3,
)  # fmt: skip
SOME = (
    ("baseline", "original test set"),
    ("blur", "kernel 9"),
    ("k-same-select", "3 identities"),
    ("k-same-select", "12 identities"),
    ("k-same-select", "3 identities, release form"),
    ("pprl-vgan", "random identities"),
    ("control", "mean image of the label"),
)


@pytest.fixture(scope="module")
def weights(toy_weights):
    return load_weights(toy_weights, toy_cohort())


@pytest.fixture(scope="module")
def content(weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    judges, vgan, cards = weights
    plan = Plan(draws=2, seeds=(0, 1), only=SOME, budget=FEW)
    run_attacks(toy_cohort(), judges, vgan, out, plan, cards, progress=False)
    return json.loads((out / "attacks.json").read_text()), out


def found(content, name):
    result = next(one for one in content["methods"] if (one["experiment"], one["set"]) == name)
    return result, {one["attack"]: one for one in result["findings"]}


@pytest.mark.slow
def test_every_method_is_attacked_in_every_way_it_allows(content):
    basic = {
        "naive",
        "reverse",
        "parrot",
        "naive linkage",
        "retrained linkage",
        "parrot linkage",
        "residue linkage",
    }
    for name in SOME:
        result, attacks = found(content[0], name)
        if name == ("k-same-select", "12 identities"):
            assert "only 4 training patients" in result["note"]
            assert result["findings"] == []
            continue
        assert basic <= set(attacks)
        for one in attacks.values():
            assert len(one["knowledge"]) > 20
            for key, value in one["measures"].items():
                assert np.isfinite(value), (name, one["attack"], key)
    assert {"inversion", "inversion before rounding"} <= set(
        found(content[0], ("blur", "kernel 9"))[1]
    )
    inversion = found(content[0], ("baseline", "original test set"))[1]["inversion"]
    assert inversion["measures"] == {}
    assert inversion["note"].startswith("not possible here: ")
    vgan = found(content[0], ("pprl-vgan", "random identities"))[1]
    assert {"contributors named", "intersection of evidence", "copying in pixels"} <= set(vgan)
    attacks = found(content[0], SOME[2])[1]
    assert {"known members", "known members before rounding", "membership of images"} <= set(
        attacks
    )
    assert len(attacks["membership of images"]["per_patient"]) == 8  # kept for every patient
    assert attacks["known members before rounding"]["measures"]["largest_error"] == 0
    assert "homogeneity" in found(content[0], SOME[4])[1]
    assert len(content[0]["training"]["per_patient"]) == 8
    assert content[0]["training"]["attack"] == "membership in the training"


def test_all_images_equal_within_a_label_are_a_guess(content):
    """The mean image of the label: nothing but the label is left, so a verifier that shares it
    scores 0.5 exactly."""
    _, attacks = found(content[0], ("control", "mean image of the label"))
    assert attacks["parrot linkage"]["measures"]["linkage_auc"] == pytest.approx(0.5, abs=1e-6)


def test_the_best_attack_is_the_largest_of_its_kind(content):
    result, attacks = found(content[0], ("blur", "kernel 9"))
    cells = result["columns"]
    naming = {
        name: attacks[name]["measures"]["rank1"]
        for name in ("naive", "reverse", "parrot", "inversion")
    }
    assert cells[RANK1] == pytest.approx(100 * max(naming.values()), abs=0.01)
    assert naming[cells[BEST]] == max(naming.values())
    linking = [
        attacks[f"{kind} linkage"]["measures"]["linkage_auc"]
        for kind in ("naive", "retrained", "parrot")
    ]
    assert cells[AUC] == pytest.approx(100 * max(linking), abs=0.01)
    assert result["risk"]["attack"] == cells[BEST]


def test_spreads_of_draws_and_seeds_are_apart(content):
    random = found(content[0], ("pprl-vgan", "random identities"))[0]["spread"]["parrot"]
    assert {"draws", "seeds", "mean", "measure"} == set(random)
    fixed = found(content[0], ("blur", "kernel 9"))[0]["spread"]["parrot"]
    assert {"seeds", "mean", "measure"} == set(fixed)  # one draw: nothing is random


def test_several_releases_of_a_case_are_intersected(content):
    """Averages keep the own identity in every draw: who is left after ten draws is the patient and
    few others."""
    each = {one["releases"]: one["finding"] for one in content[0]["together"]}
    averages = next(one for name, one in each.items() if name.startswith("averages of 6, random"))
    assert averages["measures"]["kept"] == 1
    assert averages["curves"]["left"][0] == 6
    assert averages["curves"]["left"] == sorted(averages["curves"]["left"], reverse=True)


def test_the_check_from_scratch_is_there(content):
    result, _ = found(content[0], ("blur", "kernel 9"))
    assert {one["attack"] for one in result["from_scratch"]} >= {"parrot", "retrained linkage"}


class Stop:
    """Is told what is attacked, notes it, and stops the run before the row `at`."""

    def __init__(self, at=None):
        self.at, self.done = at, []

    def __call__(self, row, seed):
        if (row.set, seed) == self.at:
            raise KeyboardInterrupt
        self.done.append((row.set, seed))


def test_a_stopped_run_goes_on(weights, tmp_path):
    judges, vgan, cards = weights
    plan = Plan(draws=1, only=SOME[:3], scratch=False, budget=FEW)

    def attacked(cards, at=None):
        stop = Stop(at)
        content = run_attacks(toy_cohort(), judges, vgan, tmp_path, plan, cards, False, stop)
        return content, stop.done

    with pytest.raises(KeyboardInterrupt):
        attacked(cards, ("3 identities", 0))
    assert not (tmp_path / "attacks.json").exists()
    whole, done = attacked(cards)
    assert done == [("3 identities", 0)]
    assert len(whole["methods"]) == 3
    _, done = attacked({"judges": "others"})
    assert len(done) == 3  # the results of other weights are not taken for these
    _, done = attacked(cards | {"pprl-vgan": "another"})
    assert done == []  # none of the three uses the generator


@pytest.mark.slow
def test_further_seeds_add_to_what_is_there_and_can_be_stopped(weights, tmp_path):
    judges, vgan, cards = weights
    plan = Plan(draws=2, only=(SOME[1], SOME[5]), scratch=False, budget=FEW)
    more = replace(plan, seeds=(0, 1))

    def attacked(plan, cards, at=None):
        stop = Stop(at)
        try:
            content = run_attacks(toy_cohort(), judges, vgan, tmp_path, plan, cards, False, stop)
        except KeyboardInterrupt:
            content = None
        return content, stop.done

    one, _ = attacked(plan, cards)
    stopped, first = attacked(more, cards, ("random identities", 1))
    assert stopped is None or first == []  # whichever of the two rows comes first
    seeds = json.loads((tmp_path / "attacks.json").read_text())["provenance"]["attackers"]["seeds"]
    assert seeds == [0]
    both, second = attacked(more, cards)
    assert sorted(first + second) == [("kernel 9", 1), ("random identities", 1)]  # each once
    assert both["provenance"]["attackers"]["seeds"] == [0, 1]
    for few, many in zip(one["methods"], both["methods"], strict=True):
        assert few["findings"] == many["findings"]
        assert "seeds" in many["spread"]["parrot"]
        assert "seeds" not in few["spread"]["parrot"]
    _, done = attacked(more, cards | {"pprl-vgan": "another"})
    # a new generator: its row alone, with both seeds
    assert done == [("random identities", 0), ("random identities", 1)]


def test_attackers_and_their_budget_are_chosen(weights, tmp_path):
    judges, vgan, cards = weights
    plan = Plan(draws=1, only=SOME[1:2], scratch=False, budget=FEW, attackers=("naive", "reverse"))
    told = Stop()
    some = run_attacks(toy_cohort(), judges, vgan, tmp_path, plan, cards, False, told)
    assert [one["attack"] for one in some["methods"][0]["findings"]] == ["naive", "reverse"]
    dearer = replace(plan, budget=replace(FEW, originals=Schedule(3, 1e-3, 16)))
    run_attacks(toy_cohort(), judges, vgan, tmp_path, dearer, cards, False, told)
    assert told.done == [("kernel 9", 0)] * 2  # another budget is another result
    with pytest.raises(ValueError, match="no attack is called 'guess'"):
        run_attacks(
            toy_cohort(), judges, vgan, tmp_path, replace(plan, attackers=("guess",)), cards, False
        )


def test_the_table_gains_columns_and_keeps_its_numbers(weights, content, tmp_path):
    result, out = content
    cards = weights[2]
    rows = arrange(
        [
            {
                "experiment": row.experiment,
                "set": row.set,
                "labels": row.labels,
                "note": "",
                "identity_accuracy": 12.5,
            }
            for row in methods()
        ]
    )
    joined = with_attacks(rows, read_attacks(out), cards, toy_cohort().hash())
    write_table(joined, tmp_path, {})
    back = {(row["experiment"], row["set"]): row for row in read_table(tmp_path / "table.csv")}
    cells = found(result, ("blur", "kernel 9"))[0]["columns"]
    assert back["blur", "kernel 9"][BEST] == cells[BEST]
    assert back["blur", "kernel 9"][RANK1] == pytest.approx(cells[RANK1], abs=0.006)
    assert back["blur", "kernel 3"][RANK1] is None
    assert set(COLUMNS) <= set(back["blur", "kernel 3"])
    text = render_attacks(joined)
    assert "kernel 9" in text
    assert "kernel 3" not in text
    for other in ({"judges": "x"}, None):
        assert all(
            row[RANK1] is None for row in with_attacks(rows, result, other, toy_cohort().hash())
        )
    assert all(row[RANK1] is None for row in with_attacks(rows, result, cards, "another cohort"))
    assert with_attacks(rows, None, cards, toy_cohort().hash()) == rows


def test_what_cannot_be_read_or_planned_is_said(weights, tmp_path):
    judges, vgan, _ = weights
    assert read_attacks(tmp_path) is None
    (tmp_path / "attacks.json").write_text("{}")
    with pytest.raises(ValueError, match="not the result of attacks"):
        read_attacks(tmp_path)
    with pytest.raises(ValueError, match="no method is called blur / kernel 8"):
        run_attacks(
            toy_cohort(), judges, vgan, tmp_path, Plan(only=(("blur", "kernel 8"),)), progress=False
        )
    with pytest.raises(ValueError, match="at least one draw"):
        run_attacks(toy_cohort(), judges, vgan, tmp_path, Plan(draws=0), progress=False)


def test_figures_can_be_drawn(weights, content, tmp_path):
    from medpriv_lib.study.figures.attackers import write_attack_figures

    cards = weights[2]
    rows = arrange(
        [
            {
                "experiment": row.experiment,
                "set": row.set,
                "labels": row.labels,
                "note": "",
                "identity_accuracy": 12.5,
                "evidence_kept": 40.0,
                "chance_identity": 12.5,
            }
            for row in methods()
        ]
    )
    write_attack_figures(
        with_attacks(rows, content[0], cards, toy_cohort().hash()), content[0], tmp_path
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        "privacy-and-evidence.png",
        "rank-curves.png",
        "requirements.png",
    }


@pytest.mark.slow
def test_the_command_attacks_and_a_later_table_keeps_the_columns(tmp_path, capsys):
    from medpriv_lib.cli import main

    toy_cohort().save(tmp_path / "toy.npz")
    command = [
        "study",
        "--cohort",
        str(tmp_path / "toy.npz"),
        "--scale",
        "toy",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--attacks", "--only", "blur/kernel 9"]) == 0
    assert "attackers" in capsys.readouterr().out
    rows = {row["set"]: row for row in read_table(tmp_path / "out" / "table.csv")}
    assert rows["kernel 9"][RANK1] is not None
    assert rows["kernel 3"][RANK1] is None
    assert (tmp_path / "out" / "privacy-and-evidence.png").is_file()
    assert main(command) == 0  # no attack this time: what is known stays in the table
    assert {row["set"]: row for row in read_table(tmp_path / "out" / "table.csv")} == rows
    assert main(["study", "--attacks"]) == 2
    assert "--out" in capsys.readouterr().err
    assert main([*command, "--only", "blur/kernel 9"]) == 2


def test_labels_come_from_training_images_and_else_from_all():
    """Patient 0 and 1 have both labels; only patient 0 has training images, all of them
    diseased."""
    cohort = toy_cohort(patients=4, each=6)
    diseased = np.tile([True, False, True, False, False, False], 4)
    split = np.where((cohort.patient == 0) & diseased, "train", "test")
    split[cohort.patient > 1] = "train"
    found = labels_of(replace(cohort, diseased=diseased, split=split))
    np.testing.assert_array_equal(found, [[False, True], [True, True], [True, True], [True, True]])
