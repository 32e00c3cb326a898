"""Eyes where preparation puts them, told from what is no eye and from eyes that lie elsewhere."""

import numpy as np
import pytest
from cohorts_with_visits import confounded
from sign_scenes import noise

from medpriv_lib.data.eyes.prepared import show_eyes
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.privatizers.blur import Blur


def test_prepared_eyes_are_eyes_and_other_pictures_are_not():
    cohort = default_cohort().take(np.arange(60))
    assert show_eyes(cohort.images)
    assert show_eyes(cohort.images[:1])
    assert show_eyes(Blur(9).privatize(cohort).images)
    rng = np.random.default_rng(0)
    assert not show_eyes(rng.integers(0, 256, (8, 64, 64), dtype=np.uint8))
    assert not show_eyes(noise(rng, 8, 64, 64))
    assert not show_eyes(confounded(patients=2).images)
    assert not show_eyes(np.zeros((3, 64, 64), np.uint8))


def test_an_eye_elsewhere_or_of_another_size_does_not_count():
    images = default_cohort().images[:8]
    assert not show_eyes(np.roll(images, 14, axis=2))
    wide = np.kron(images, np.ones((2, 2), np.uint8))[:, 32:96, 32:96]  # twice as large
    assert not show_eyes(np.ascontiguousarray(wide))
    with pytest.raises(ValueError, match="32x32"):
        show_eyes(np.zeros((1, 16, 16), np.uint8))
