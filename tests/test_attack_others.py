"""Other patients to learn from: rendered once, kept, no one of the cohort; attackers who learned
from them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import toy_cohort

from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.towers import Schedule
from medpriv_lib.pipeline.weights import load_weights
from medpriv_lib.study.outsiders import run_others
from medpriv_lib.study.plan import Plan
from medpriv_lib.study.rendered import items_of, render_others

SHORT = Schedule(steps=2, rate=1e-3, batch=16)
SOME = (
    ("blur", "kernel 9"),
    ("k-same-select", "3 identities"),
    ("pprl-vgan", "random identities"),
    ("pprl-vgan", "average of 6 with random identities"),
)


def test_one_eye_of_each_other_patient_is_planned_with_images_to_pair():
    items = items_of(500, 3)
    count = np.unique([item.patient for item in items], return_counts=True)[1]
    assert set(count.tolist()) <= {2, 3}  # the plan gives some diseased eyes two visits only
    assert 1400 < len(items) <= 1500
    eyes = {(item.patient, item.eye) for item in items}
    assert len(eyes) == len({patient for patient, _ in eyes}) == 500
    assert sum(eye == "L" for _, eye in eyes) == 250
    assert (
        0.15 < np.mean([item.glaucoma for item in items]) < 0.35
    )  # 24 % of the images of a whole cohort
    with pytest.raises(ValueError, match="at least 4"):
        items_of(3)
    with pytest.raises(ValueError, match="at least 4"):
        items_of(10, 1)


def test_rendering_goes_on_where_it_was_killed(tmp_path):
    def stops(images):
        raise KeyboardInterrupt  # after the first file

    with pytest.raises(KeyboardInterrupt):
        render_others(tmp_path / "a", 4, 32, each=2, advance=stops, chunk=2)
    assert [path.name for path in (tmp_path / "a").rglob("*.npz")] == ["0001.npz"]
    rendered = []
    others = render_others(tmp_path / "a", 4, 32, each=2, advance=rendered.append, chunk=2)
    assert rendered == [4]  # of the second file only
    assert sorted(path.name for path in (tmp_path / "a").rglob("*.npz")) == ["0001.npz", "0003.npz"]
    assert others.images.shape == (8, 32, 32)
    assert np.bincount(others.patient).tolist() == [2, 2, 2, 2]
    assert others.hash() == render_others(tmp_path / "b", 4, 32, each=2, chunk=2).hash()
    assert others.hash() != render_others(tmp_path / "b", 4, 32, seed=1, each=2, chunk=2).hash()
    assert all(name.startswith("other-") for name in others.patient_names)


def strangers():
    """Return six patients of another hospital, all of them to learn from."""
    others = toy_cohort(6, 4, seed=5)
    names = np.array([f"other-{i}" for i in range(6)])
    return replace(others, split=np.full(24, "train"), patient_names=names)


def test_attackers_who_learned_from_others_attack_all_patients(toy_weights, tmp_path):
    _, vgan, cards = load_weights(toy_weights, toy_cohort())
    plan = Plan(only=SOME, budget=Budget(SHORT, SHORT, SHORT))
    content = run_others(toy_cohort(), vgan, tmp_path, plan, cards, strangers(), progress=False)
    assert json.loads((tmp_path / "attacks-others.json").read_text()) == content
    assert content["provenance"]["others"]["patients"] == 6
    rows = {(one["experiment"], one["set"]): one for one in content["methods"]}
    assert (
        "own patient" in rows[SOME[3]]["note"]
    )  # an average needs the own identity's code, a stranger has none
    for name in SOME[:3]:
        found = {one["attack"]: one for one in rows[name]["findings"]}
        for way in ("naive", "retrained", "parrot"):
            one = found[f"{way} linkage, taught by others"]
            assert one["patients"] == 8  # nobody was left out: nobody was learned from
            assert 0 <= one["measures"]["linkage_auc"] <= 1
        assert ("membership of patients" in found) == (name[0] != "blur")

    def never(row, seed):
        pytest.fail("a finished row was attacked again")

    again = run_others(toy_cohort(), vgan, tmp_path, plan, cards, strangers(), False, never)
    assert again["methods"] == content["methods"]


def test_the_command_asks_others_only_with_attacks(tmp_path, capsys):
    from medpriv_lib.cli import main

    assert main(["study", "--others", "500", "--out", str(tmp_path / "out")]) == 2
    assert "--others belong to --attacks" in capsys.readouterr().err
