"""The wide recogniser: its fast form says the same, and views show what they say."""

import numpy as np
import pytest
import torch
from cohorts_with_visits import confounded, without_visits

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.recognition.train import logits
from medpriv_lib.recognition.views import View, eye_numbers, iris_disc, seen, some_view
from medpriv_lib.recognition.wide import DEVELOPMENT, TABLE, Wide


@pytest.mark.parametrize("shape", [TABLE, DEVELOPMENT])
def test_the_merged_network_says_what_the_network_says(shape):
    torch.manual_seed(0)
    network = Wide(3, 32, 1, shape)
    x = torch.rand(8, 1, 32, 32) * 2 - 1
    for _ in range(3):
        network(x)  # running statistics that are not those of the start
    network.eval()
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32), dtype=np.uint8)
    with torch.no_grad():
        slow = network(to_tensor(images))
    assert torch.allclose(logits(network, images), slow, atol=1e-5)
    assert network.embed(x).shape == (8, shape.embedding)


def test_development_is_of_another_make():
    assert DEVELOPMENT.pooling != TABLE.pooling
    assert DEVELOPMENT.widths != TABLE.widths


def test_sizes_are_refused_as_by_the_recogniser():
    with pytest.raises(ValueError, match="16, 32"):
        Wide(2, 20)
    with pytest.raises(ValueError, match="two classes"):
        Wide(1, 32)


def test_the_disc_is_the_circle_of_the_frame():
    disc = iris_disc(64)
    assert disc.sum() == pytest.approx(np.pi * (32 / 1.4) ** 2, rel=0.01)
    assert np.array_equal(disc, disc[::-1])
    assert np.array_equal(disc, disc.T)
    for y in range(64):
        for x in range(0, 64, 7):
            assert disc[y, x] == ((x - 31.5) ** 2 + (y - 31.5) ** 2 <= (32 / 1.4) ** 2)


def test_views_share_out_the_image():
    x = torch.rand(3, 1, 32, 32) + 0.5
    iris, around = seen(x, View.IRIS), seen(x, View.SURROUNDINGS)
    assert torch.equal(iris + around, x)
    assert torch.equal(seen(x, View.WHOLE), x)
    assert ((iris != 0).numpy() == iris_disc(32)).all()


def test_half_of_a_batch_is_whole_and_a_quarter_in_each_other_view():
    x = torch.ones(4000, 1, 16, 16)
    shown = some_view(x, torch.Generator().manual_seed(0))
    disc = torch.from_numpy(iris_disc(16))
    inside, outside = shown[:, 0, disc].mean(1), shown[:, 0, ~disc].mean(1)
    assert set(inside.tolist()) == set(outside.tolist()) == {0.0, 1.0}
    # n = 4000: four standard deviations are .032 and .027
    assert ((inside == 1) & (outside == 1)).float().mean() == pytest.approx(0.5, abs=0.032)
    assert ((inside == 1) & (outside == 0)).float().mean() == pytest.approx(0.25, abs=0.027)
    assert ((inside == 0) & (outside == 1)).float().mean() == pytest.approx(0.25, abs=0.027)


def test_eyes_are_numbered_and_unknown_ones_refused():
    cohort = confounded(patients=3, each=4)
    eye = np.array(["L", "R", "L", "R"] * 3)
    object.__setattr__(cohort, "eye", eye)
    assert eye_numbers(cohort).tolist() == [0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5]
    object.__setattr__(cohort, "eye", np.full(12, ""))
    with pytest.raises(NotApplicable, match="which eye"):
        eye_numbers(without_visits(cohort))
