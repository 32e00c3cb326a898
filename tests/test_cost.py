"""What a training costs is counted from its own plan, and the count changes with the size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import patterned_cohort

from medpriv_lib.core.budgets import Budget
from medpriv_lib.pipeline import cost


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
