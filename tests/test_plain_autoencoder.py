"""The plain autoencoder: it learns to show the source, goes on where it was stopped, and says when
there is none."""

import numpy as np
import pytest
import torch
from cohorts_with_visits import confounded

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.controls import PlainAutoencoder
from medpriv_lib.privatizers.controls.plain_autoencoder import Steps, fit_autoencoder
from medpriv_lib.privatizers.protocol import Resources


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.slow
def test_it_learns_to_show_the_source(tmp_path):
    cohort, losses = confounded(patients=6, size=16), []
    method = fit_autoencoder(
        cohort,
        tmp_path,
        budget=Steps(steps=300, batch=8, keep=100, strength=0.0),
        device="cpu",
        report=lambda step, loss: losses.append((step, loss)),
    )
    assert [step for step, _ in losses] == [100, 200, 300]
    assert losses[-1][1] < 0.6 * losses[0][1]
    test = cohort.of("test")
    release = method.privatize(test, seeded())
    own = np.abs(release.images.astype(int) - test.images).mean()
    other = np.abs(release.images.astype(int) - np.roll(test.images, 1, axis=0)).mean()
    assert own < 0.7 * other
    assert release.contributors.shape == (6, 0)
    again = PlainAutoencoder.ready(Resources(cohort, tmp_path)).privatize(test, seeded())
    np.testing.assert_array_equal(again.images, release.images)
    with pytest.raises(ValueError, match="another cohort"):
        PlainAutoencoder.ready(Resources(confounded(patients=6, size=16, seed=2), tmp_path))


@pytest.mark.slow
def test_stopped_it_goes_on_to_the_same_weights(tmp_path):
    cohort, budget = confounded(patients=4, size=16), Steps(steps=120, batch=4, keep=100)
    whole = fit_autoencoder(cohort, tmp_path / "whole", budget=budget, device="cpu")

    def stop(step, loss):
        if step == 100:
            raise KeyboardInterrupt

    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        fit_autoencoder(cohort, folder, budget=budget, device="cpu", report=stop)
    again = fit_autoencoder(cohort, folder, budget=budget, device="cpu")
    for one, two in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not (folder / "plain-autoencoder-in-training").exists()


def test_without_weights_it_is_not_applicable(tmp_path):
    with pytest.raises(NotApplicable, match="no autoencoder"):
        PlainAutoencoder.ready(Resources(confounded(patients=4, size=16), tmp_path))
