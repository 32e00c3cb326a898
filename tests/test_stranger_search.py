"""The stranger behind a release is found, and the size of the pupil with it."""

import numpy as np
import pytest
from eyes_on_strangers import strangers

from medpriv_lib.attacks.stranger_search import find_strangers
from medpriv_lib.privatizers.strangers import Strangers


@pytest.fixture(scope="module")
def bank():
    whole = strangers()
    return Strangers(whole.images[:16], whole.ratio[:16])


def releases(bank, n, seed=0):
    """Return strangers with pupils, and them under a layer: a dark bar, a bright square, and a
    little noise."""
    rng = np.random.default_rng(seed)
    who, ratio = rng.permutation(8)[:n], rng.uniform(0.26, 0.6, n).astype(np.float32)
    shown = bank.shown(who, ratio)
    shown[: n // 2, 20:26, 10:50] = 15
    shown[::3, 30:40, 30:40] += 60
    return who, ratio, np.clip(np.rint(shown), 0, 255).astype(np.uint8)


def test_the_search_finds_what_trying_everything_finds(bank):
    who, ratio, images = releases(bank, 6)
    found = find_strangers(images, bank)
    np.testing.assert_array_equal(found.person, who)
    np.testing.assert_allclose(found.ratio, ratio, atol=0.002)
    sizes = np.arange(0.2, 0.7, 0.002)
    for row, image in enumerate(images):
        best = (np.inf, -1, 0.0)
        for person in range(8):
            shown = bank.shown(np.full(len(sizes), person), sizes)
            away = np.minimum(np.abs(shown - image), 1).mean(axis=(1, 2))
            best = min(best, (float(away.min()), person, float(sizes[away.argmin()])))
        assert best[1] == found.person[row]
        assert best[2] == pytest.approx(found.ratio[row], abs=0.003)
    np.testing.assert_allclose(found.levels, bank.shown(found.person, found.ratio), atol=1e-3)


def test_of_a_thousand_strangers_nearly_all_are_found():
    whole = strangers()
    rng = np.random.default_rng(1)
    who, ratio = rng.permutation(len(whole))[:60], rng.uniform(0.26, 0.6, 60).astype(np.float32)
    images = np.rint(whole.shown(who, ratio)).astype(np.uint8)
    images[:, 20:30, 20:44] = 200
    found = find_strangers(images, whole)
    assert (found.person == who).mean() > 0.95
    assert np.median(np.abs(found.ratio - ratio)) < 0.001


def test_other_sizes_and_flat_images(bank):
    with pytest.raises(ValueError, match="bank's strangers"):
        find_strangers(np.zeros((1, 32, 32), np.uint8), bank)
    assert len(find_strangers(np.zeros((2, 64, 64), np.uint8), bank).person) == 2
