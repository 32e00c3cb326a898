"""What methods that paint on strangers tell an attacker: a release is the layers over its stranger."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cohorts_with_visits import SIZE, bank, confounded, untrained
from sign_scenes import noise_strangers
from small_cohorts import cohort_of
from test_sign_transfer import dark_squares, method

from medpriv_lib.core import weights
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.eyes.pupil_ratio import pupil_ratios
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import IrisTransplant, Stencil, Stranger, Transplant
from medpriv_lib.privatizers.painting import Painter, Painting
from medpriv_lib.privatizers.sign_transfer.sign_transfer import LEAST, MOST, SignTransfer


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def by_hand(painting, strangers):
    """Return the layers over strangers, pixel by pixel."""
    shown = np.empty(strangers.shape)
    for i, j, k in np.ndindex(*shown.shape):
        ink, alpha = float(painting.ink[i, j, k]), float(painting.alpha[i, j, k])
        shown[i, j, k] = ink + (1 - alpha) * float(strangers[i, j, k])
    np.testing.assert_allclose(painting.over(strangers), shown, atol=1e-3)
    return np.clip(shown, 0, 255)


@pytest.fixture(scope="module")
def cohort():
    return confounded(patients=10)


def test_a_control_s_release_is_its_layers_over_its_strangers(cohort):
    test, strangers = cohort.of("test"), bank()
    stencil = Stencil(strangers, untrained().disease, strength=2.0).fit(cohort.of("train"))
    for control in (Stranger(strangers), IrisTransplant(strangers), stencil):
        painting = control.painting(test)
        expected = by_hand(painting, control.strangers(test, seeded()))
        release = control.privatize(test, seeded())
        assert np.abs(release.images - expected).max() <= 0.51, control.name
        assert painting.ratio is None  # drawn at random
        assert painting.bank is strangers
    assert not Stranger(strangers).painting(test).ink.any()
    kept = Stranger(strangers, "kept").painting(test).ratio
    np.testing.assert_array_equal(kept, pupil_ratios(test.images))


def test_the_release_of_sign_transfer_is_its_layers_over_its_strangers():
    rng = np.random.default_rng(0)
    images = rng.integers(60, 200, (6, SIZE, SIZE), dtype=np.uint8)
    images[:4, 5:11, 8:14] = 20  # the last two have no sign
    cohort, strangers = cohort_of(images), noise_strangers()
    for pupil in ("kept", "quantised", "fixed"):
        transfer = method(dark_squares, pupil=pupil, gain=0.6, floor=0.5, strangers=strangers)
        painting = transfer.painting(cohort)
        who = strangers.choose(6, seeded(3))
        assert ((painting.ratio >= LEAST) & (painting.ratio <= MOST)).all()
        expected = by_hand(painting, strangers.shown(who, painting.ratio))
        release = transfer.privatize(cohort, seeded(3))
        assert np.abs(release.images - expected).max() <= 0.51, pupil
        np.testing.assert_allclose(painting.alpha[:4].max(axis=(1, 2)), 0.6)
        assert not painting.alpha[4:].any()
    quiet = method(dark_squares, floor=1.0, strangers=strangers).painting(cohort)
    assert not quiet.ink.any()


def test_of_true_signs_an_attacker_reads_what_the_public_network_reads():
    cohort = confounded(patients=4, each=3, size=64)
    strangers = bank(size=64)
    told = Transplant(strangers).painting(cohort)
    blind = Transplant(strangers).painting(replace(cohort, twin=None, evidence=None))
    np.testing.assert_array_equal(told.ink, blind.ink)
    reader = SignTransfer.load(weights.shipped("sign-transfer"), floor=0.05)
    signs = reader.read(cohort.images)
    alpha = np.clip(reader.calibration * signs.alpha, 0, 1)
    alpha *= (signs.alpha.max(axis=(1, 2)) > 0.05)[:, None, None]
    np.testing.assert_allclose(told.alpha, alpha, atol=1e-6)
    np.testing.assert_allclose(told.ink, alpha * signs.v, atol=1e-3)
    assert told.bank is strangers


def test_who_paints_and_what_does_not_fit(cohort):
    assert isinstance(Stranger(bank()), Painter)
    assert isinstance(method(), Painter)
    assert not isinstance(Blur(3), Painter)
    with pytest.raises(NotApplicable, match="32 pixels"):
        Stranger(bank()).painting(confounded(patients=2, size=16))
    nothing = np.zeros((2, SIZE, SIZE), np.float32)
    with pytest.raises(ValueError, match="must be"):
        Painting(bank(), nothing, nothing[:1])
    with pytest.raises(ValueError, match="one for each image"):
        Painting(bank(), nothing, nothing, np.zeros(3, np.float32))
