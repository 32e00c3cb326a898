"""What a training costs is counted from its own plan, and the count changes with the size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import patterned_cohort

from medpriv_lib.cli import fit as command
from medpriv_lib.cli import main
from medpriv_lib.core.budgets import Budget
from medpriv_lib.pipeline import cost
from medpriv_lib.pipeline import fit as fitting


@pytest.mark.parametrize("colour", [False, True])
def test_seconds_are_steps_times_the_seconds_of_one(colour):
    """Each timed step is said to last a second; the images seen are counted by hand."""
    cohort = patterned_cohort(patients=4, images=10)
    if colour:
        cohort = replace(cohort, images=np.repeat(cohort.images[..., None], 3, axis=3))
    ran = []
    state = torch.get_rng_state()
    budget = Budget(epochs=3, rounds=7, batch=8, draws=2)
    found = cost.cost_of_fit(cohort, budget, "cpu", lambda step, where: ran.append(step()) or 1.0)
    assert torch.equal(state, torch.get_rng_state())
    assert len(ran) == 2
    train = int((cohort.split == "train").sum())
    # three epochs who, two of the disease, and the two frozen recognisers of the GAN with three each
    assert found.recognisers == (3 + 2 + 2 * 3) * train / 16
    assert found.vgan == 7
    assert (found.size, found.channels) == (16, 3 if colour else 1)
    assert found.memory > 2**26
    assert f"{'colour' if colour else 'grey'} images of 16x16" in str(found)


def test_the_recognisers_of_the_generator_cost_a_quarter_where_they_see_half_the_width():
    budget = Budget(epochs=3, rounds=7, batch=8, draws=2)
    cohort = patterned_cohort(patients=4, images=10, size=32)
    found = cost.cost_of_fit(cohort, budget, "cpu", lambda step, where: 1.0)
    train = int((cohort.split == "train").sum())
    assert found.recognisers == (3 + 2 + 2 * 3 / 4) * train / 16


@pytest.mark.parametrize(("epochs", "rounds", "told"), [(3, 7, 0), (3, 300, 1), (60, 7, 1)])
def test_a_training_says_its_cost_where_either_of_its_parts_is_long(
    tmp_path, monkeypatch, capsys, epochs, rounds, told
):
    cohort = patterned_cohort(patients=4, images=10)
    cohort.save(tmp_path / "c.npz")
    seen = int((cohort.split == "train").sum()) * 16**2
    monkeypatch.setattr(command, "PIXELS", 50 * seen)
    monkeypatch.setattr(cost, "cost_of_fit", lambda *given: "THE COST")
    monkeypatch.setattr(fitting, "fit", lambda *given, **named: None)
    monkeypatch.setattr("medpriv_lib.core.weights.read_card", lambda path: {"metrics": {}})
    words = ("fit", "--cohort", tmp_path / "c.npz", "--out", tmp_path / "w", "--device", "cpu")
    assert main([*map(str, words), "--epochs", str(epochs), "--rounds", str(rounds)]) == 0
    assert capsys.readouterr().out.count("THE COST") == told
