"""Inversion: a blur undone, a mean undone; each against a slow twin and against its own bound."""

import cv2
import numpy as np
import pytest
import torch
from scipy.linalg import solve
from small_cohorts import strangers

from medpriv_lib.attacks import inversion
from medpriv_lib.attacks.inversion import (
    EXACT,
    ROUNDING,
    Blurred,
    Wiener,
    deblur,
    error,
    gains,
    whole,
)
from medpriv_lib.attacks.known_members import known_members, subtract_known
from medpriv_lib.privatizers.blur import blurred, sigma_of
from medpriv_lib.privatizers.k_same import KSame


def weights(kernel):
    return cv2.getGaussianKernel(kernel, sigma_of(kernel), cv2.CV_64F)[:, 0]


def eyes(count, size=32, seed=0):
    """Smooth random pictures with a common middle, so that there is a spectrum to learn."""
    rng = np.random.default_rng(seed)
    rough = rng.normal(0, 1, (count, size, size))
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 1.5) for image in rough])
    return whole(128 + 60 * smooth / smooth.std())


def exact_blur(images, kernel):
    sigma = sigma_of(kernel)
    return np.stack(
        [
            cv2.GaussianBlur(
                image.astype(np.float64),
                (kernel, kernel),
                sigma,
                sigmaY=sigma,
                borderType=cv2.BORDER_REFLECT_101,
            )
            for image in images
        ]
    )


def slow_matrix(kernel, size):
    """The blur of one line as a matrix, pixel by pixel: position -1 is pixel 1, position n is pixel
    n - 2."""
    matrix = np.zeros((size, size))
    for i in range(size):
        for j, weight in enumerate(kernel):
            at = i + j - len(kernel) // 2
            at = -at if at < 0 else at
            at = 2 * (size - 1) - at if at >= size else at
            matrix[i, at] += weight
    return matrix


@pytest.mark.parametrize("kernel", [3, 9, 15, 21])
def test_gains_are_the_eigenvalues_of_the_blur(kernel):
    matrix = slow_matrix(weights(kernel), 32)
    np.testing.assert_allclose(
        np.sort(np.linalg.eigvals(matrix).real), np.sort(gains(weights(kernel), 32)), atol=1e-12
    )
    line = eyes(1)[0, 0].astype(np.float64)
    tile = np.tile(line, (32, 1))
    np.testing.assert_allclose(exact_blur(tile[None], kernel)[0, 0], matrix @ line, atol=1e-9)


def test_without_rounding_a_blur_hides_nothing():
    images = eyes(12)
    known, hidden = images[:8], images[8:]
    for kernel in (3, 9, 15, 21):
        released = exact_blur(hidden, kernel)
        estimate = Wiener(weights(kernel), known, EXACT).restore(released)
        assert (
            error(estimate, hidden) < 0.1
        )  # of 255: the smallest gain is about 1e-8, the noise assumed 1e-10
        np.testing.assert_array_equal(whole(estimate), hidden)


def test_wiener_equals_the_slow_least_squares_twin():
    # without a prior on the signal (S -> infinity) Wiener is the plain inverse; solve the linear
    # system instead
    images = eyes(6, 16)
    released = exact_blur(images[4:], 5)
    matrix = slow_matrix(weights(5), 16)
    slow = np.stack([solve(matrix, solve(matrix, image).T).T for image in released])
    np.testing.assert_allclose(
        Wiener(weights(5), images[:4], 0.0).restore(released), slow, atol=1e-6
    )


def test_rounding_is_what_protects_and_wiener_is_better_than_what_was_released():
    images = eyes(60)
    known, hidden = images[:40], images[40:]
    errors = {}
    for kernel in (3, 9, 15):
        released = blurred(hidden, kernel)
        wiener = Wiener(weights(kernel), known, ROUNDING)
        errors[kernel] = error(wiener.restore(released), hidden)
        assert errors[kernel] < error(released, hidden)
        naive = Wiener(weights(kernel), known, 0.0).restore(
            released
        )  # believes that there is no rounding
        assert errors[kernel] < error(naive, hidden)
    assert errors[3] < errors[9] < errors[15]


def test_noise_of_the_transform_is_what_white_noise_gives():
    # 4,000 draws: the sample variance of each of 64 frequencies is within 12 % (5 sigma: sqrt(2 /
    # 4000) = 2.2 %)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (4000, 8, 8))
    found = inversion._forward(noise).var(axis=0)
    expected = np.outer(inversion._row_power(8), inversion._row_power(8))
    np.testing.assert_allclose(found / expected, 1, atol=0.12)


def test_the_network_improves_on_wiener_and_is_the_same_again():
    images = eyes(120, 16)
    known, hidden = images[:100], images[100:]
    task = Blurred(blurred(hidden, 9), weights(9), ROUNDING, known, blurred(known, 9))
    patient = np.arange(20)

    def name(shown):
        return ((shown[:, None].astype(float) - hidden[None]) ** 2).sum(axis=(2, 3)).argmin(axis=1)

    first, second = (
        deblur(task, hidden, patient, name, torch.Generator().manual_seed(1), epochs=12)
        for _ in range(2)
    )
    assert first.measures == second.measures
    assert (
        first.measures["error_network"]
        < first.measures["error_wiener"]
        < first.measures["error_as_released"]
    )
    assert first.measures["rank1"] == 1
    assert first.patients == 20
    assert "kernel" in first.knowledge


def test_known_members_reveal_the_last_exactly_in_float_and_within_half_k_in_8_bit():
    cohort = strangers(patients=30, each=1)
    method = KSame(5)
    averages, release = method.averages(cohort), method.privatize(cohort)
    rows = [row for row in range(30) if (release.contributors[row] >= 0).sum() == 5]
    members = [np.setdiff1d(release.contributors[row], [cohort.patient[row], -1]) for row in rows]
    known = np.stack([cohort.images[m] for m in members])  # one image each, in patient order
    hidden = cohort.images[rows]

    def name(shown):
        return (
            ((shown[:, None].astype(float) - cohort.images[None]) ** 2)
            .sum(axis=(2, 3))
            .argmin(axis=1)
        )

    exact = known_members(
        averages.means[averages.which[rows]], known, hidden, cohort.patient[rows], name
    )
    assert exact.measures["largest_error"] < 1e-9
    assert exact.measures["rank1"] == 1
    rounded = known_members(release.images[rows], known, hidden, cohort.patient[rows], name)
    assert 0.5 < rounded.measures["largest_error"] <= 2.5 == rounded.measures["bound"]
    # the error is 5 times one of rounding: for fifths it is a multiple of 1 of at most 2, root mean
    # square sqrt(2)
    assert rounded.measures["error"] == pytest.approx(np.sqrt(2), rel=0.1)
    assert rounded.measures["rank1"] == 1
    slow = [
        5 * release.images[row].astype(int) - sum(cohort.images[p].astype(int) for p in m)
        for row, m in zip(rows, members, strict=True)
    ]
    np.testing.assert_array_equal(subtract_known(release.images[rows], known), slow)


def test_bad_kernels_are_refused():
    with pytest.raises(ValueError, match="odd length"):
        gains(np.array([0.5, 0.5]), 8)
    with pytest.raises(ValueError, match="symmetric"):
        gains(np.array([0.1, 0.5, 0.4]), 8)
    with pytest.raises(ValueError, match="beyond"):
        gains(weights(21), 8)
    with pytest.raises(ValueError, match="two originals"):
        Wiener(weights(3), eyes(1), 0.1)
