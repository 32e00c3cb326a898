"""The matched filter: equal to a plain sum over frequencies, blind to what is not there, and keen
on what is."""

from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import cohort_of

from medpriv_lib.attacks.residue import fit_residue, linkage_residue
from medpriv_lib.attacks.scene import Scene, halves
from medpriv_lib.core.not_applicable import NotApplicable


def smooth(rng, n, size=32):
    """Return images with the falling spectrum of natural ones."""
    waves = np.fft.rfft2(rng.normal(size=(n, size, size)))
    down, across = np.fft.fftfreq(size, 1 / size), np.fft.rfftfreq(size, 1 / size)
    waves /= 1 + np.hypot(down[:, None], across[None]) ** 1.5
    images = np.fft.irfft2(waves, s=(size, size))
    return np.clip(128 + 40 * images / images.std(), 0, 255)


def scene_of(share, patients=40, each=6):
    """Releases are other images with `share` of the original blended in."""
    rng = np.random.default_rng(0)
    n = patients * each
    originals, others = smooth(rng, n), smooth(rng, n)
    released = np.rint((1 - share) * others + share * originals).astype(np.uint8)
    patient = np.repeat(np.arange(patients), each)
    test = np.arange(n) % each == 0
    split = np.where(test, "test", "train")
    cohort = cohort_of(originals, patient, patient % 2 == 0, split=split)
    rows, rest = np.flatnonzero(test), np.flatnonzero(~test)
    return Scene(
        cohort, released[rows], rows, released[rest], rest, np.empty((patients, 0), np.int64)
    )


def test_scores_equal_a_plain_sum_over_all_frequencies():
    scene = scene_of(0.3, 6, 3)
    pairs = scene.known, scene.cohort.images[scene.known_source]
    residue = fit_residue(*pairs)
    fast = residue.scores(scene.released[:3], scene.cohort.images[:4])
    mean_shown, mean_known = (images.astype(float).mean(axis=0) for images in pairs)
    for i in range(3):
        for j in range(4):
            shown = np.fft.fft2(scene.released[i] - mean_shown)
            known = np.fft.fft2(scene.cohort.images[j] - mean_known)
            total = spread = 0.0
            for a in range(32):
                for b in range(32):
                    place = (
                        (a, b) if b <= 16 else ((-a) % 32, 32 - b)
                    )  # rfft2 keeps half; the rest are conjugates
                    h, n = residue.share[place], residue.noise[place]
                    total += h * (shown[a, b] * known[a, b].conj()).real / n
                    spread += h * h * abs(known[a, b]) ** 2 / n
            assert fast[i, j] == pytest.approx(total / np.sqrt(spread), rel=1e-9)


def test_scores_equal_the_matched_filter_written_out():
    """Covariance and filter pixel by pixel in float64, on 16x16 pixels."""
    rng = np.random.default_rng(2)
    originals = smooth(rng, 30, 16).astype(np.uint8)
    released = np.rint(0.8 * smooth(rng, 30, 16) + 0.2 * originals).astype(np.uint8)
    residue = fit_residue(released, originals, dense=True)
    share = np.fft.irfft2(residue.share, s=(16, 16))  # the filter as a kernel
    ring = np.fft.irfft2(residue.noise, s=(16, 16)) / 256
    pixels = [(y, x) for y in range(16) for x in range(16)]
    turn = np.array([[share[(a - c) % 16, (b - d) % 16] for c, d in pixels] for a, b in pixels])
    base = np.array([[ring[(a - c) % 16, (b - d) % 16] for c, d in pixels] for a, b in pixels])
    shown = released.reshape(30, -1) - released.reshape(30, -1).mean(axis=0)
    known = (originals.reshape(30, -1) - originals.reshape(30, -1).mean(axis=0)) @ turn.T
    left = shown - known
    covariance = 0.9 * sum(np.outer(row, row) for row in left) / 30 + 0.1 * base + np.eye(256) / 12
    inverse = np.linalg.inv(covariance)
    slow = [[a @ inverse @ b / np.sqrt(b @ inverse @ b) for b in known[:5]] for a in shown[:5]]
    np.testing.assert_allclose(
        residue.scores(released[:5], originals[:5]), slow, rtol=2e-2, atol=2e-2
    )


def test_the_share_that_was_blended_in_is_read_off():
    """1,500 pairs: h of a ring is a mean over some hundred frequencies and all pairs; 0.1 is met
    within 0.02."""
    rng = np.random.default_rng(1)
    originals, others = smooth(rng, 1500), smooth(rng, 1500)
    residue = fit_residue(
        np.rint(0.9 * others + 0.1 * originals).astype(np.uint8), originals.astype(np.uint8)
    )
    assert np.abs(residue.share[4:12, 4:12] - 0.1).max() < 0.02


@pytest.mark.parametrize("dense", [False, True])
def test_a_faint_share_of_the_source_is_found_and_only_of_the_source(dense):
    scene = scene_of(0.15)
    found = linkage_residue(scene, halves(scene.cohort, 0), dense)
    assert found.measures["own_auc"] >= 0.95
    assert (
        abs(found.measures["linkage_auc"] - 0.5) <= 0.1
    )  # other images here have nothing in common


def test_without_a_share_it_guesses():
    """40 released images: the place of the source has sd 0.289 / sqrt(40) = 0.046; 99.9 % lies
    within 3.3 sd = 0.15."""
    scene = scene_of(0.0)
    found = linkage_residue(scene, halves(scene.cohort, 0))
    assert abs(found.measures["own_auc"] - 0.5) <= 0.15
    with pytest.raises(ValueError, match="at least two pairs"):
        fit_residue(scene.released[:1], scene.released[:1])


def test_a_covariance_that_is_too_large_is_said_and_not_replaced_by_the_plain_filter():
    """Above 64 pixels the plain filter used to stand under the name of the stronger one."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (4, 80, 80), dtype=np.uint8)
    with pytest.raises(NotApplicable, match="images of 6400 values"):
        fit_residue(images, images, dense=True)
    assert fit_residue(images, images).covariance is None


def test_a_faint_share_of_coloured_images_is_found():
    grey = scene_of(0.15)
    colours = replace(grey.cohort, images=np.stack([grey.cohort.images] * 3, axis=3))
    scene = replace(
        grey,
        cohort=colours,
        released=np.stack([grey.released] * 3, axis=3),
        known=np.stack([grey.known] * 3, axis=3),
    )
    half = halves(colours, 0)
    found = linkage_residue(scene, half)
    assert found.measures == pytest.approx(linkage_residue(grey, half).measures)
    with pytest.raises(ValueError, match="4 originals need as many"):
        fit_residue(scene.released[:3], scene.released[:4])
