"""Blur: the right filter, the right border, and nothing but odd kernels."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from small_cohorts import cohort_of
from torchvision.transforms.v2.functional import gaussian_blur

from medpriv_lib.pipeline.privatize import privatize
from medpriv_lib.privatizers.blur import Blur, blurred, kernel_for, sigma_of
from medpriv_lib.privatizers.controls import Original
from medpriv_lib.privatizers.protocol import Privatizer

KERNELS = (3, 9, 15, 21)


def make(n=5, size=64, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, size, size), dtype=np.uint8)
    images[0] = cv2.GaussianBlur(images[0], (15, 15), 4)  # one smooth image, one flat, one step
    images[1] = 77
    images[2, :, size // 2 :], images[2, :, : size // 2] = 255, 0
    return cohort_of(images, diseased=np.arange(n) % 2 == 0, eye="L", split="test")


def slow_blur(image, kernel):
    """The definition: a normalised Gaussian window over an image mirrored without its edge pixel,
    in float64."""
    half, sigma = kernel // 2, 0.3 * ((kernel - 1) / 2 - 1) + 0.8
    line = np.exp(-((np.arange(kernel) - half) ** 2) / (2 * sigma**2))
    window = np.outer(line, line) / line.sum() ** 2
    padded = np.pad(image.astype(float), half, mode="reflect")
    out = np.empty(image.shape)
    for y, x in np.ndindex(image.shape):
        out[y, x] = (padded[y : y + kernel, x : x + kernel] * window).sum()
    return out


def test_sigma_follows_the_stated_rule():
    assert [round(sigma_of(kernel), 9) for kernel in KERNELS] == [0.8, 1.7, 2.6, 3.5]


@pytest.mark.parametrize("kernel", KERNELS)
def test_agrees_with_torchvision_within_one_grey_level(kernel):
    cohort = make()
    images = torch.from_numpy(cohort.images).unsqueeze(1)
    theirs = (
        gaussian_blur(images.float(), [kernel, kernel], [sigma_of(kernel)] * 2).squeeze(1).numpy()
    )
    ours = Blur(kernel).privatize(cohort, torch.Generator()).images
    assert np.abs(ours - theirs).max() <= 1
    assert (
        np.abs(
            ours.astype(int)
            - gaussian_blur(images, [kernel, kernel], [sigma_of(kernel)] * 2).squeeze(1).numpy()
        ).max()
        <= 1
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_agrees_with_the_definition_within_one_grey_level(kernel):
    cohort = make(3, size=24)
    ours = Blur(kernel).privatize(cohort).images
    for image, result in zip(cohort.images, ours, strict=True):
        assert np.abs(result - slow_blur(image, kernel)).max() <= 1


def test_another_sigma_or_border_would_be_noticed():
    # the bounds above are worth something only if OpenCV's own sigma for small kernels, or another
    # border, breaks them
    image = make().images[3]
    by_table = cv2.GaussianBlur(image, (3, 3), 0)
    by_border = cv2.GaussianBlur(image, (15, 15), sigma_of(15), borderType=cv2.BORDER_REPLICATE)
    assert np.abs(by_table.astype(int) - blurred(image[None], 3)[0]).max() > 1
    assert np.abs(by_border.astype(int) - blurred(image[None], 15)[0]).max() > 1


def test_release_names_no_contributors_and_keeps_the_order():
    cohort = make()
    before = cohort.images.copy()
    release = Blur(9).fit(cohort).privatize(cohort, torch.Generator())
    assert release.contributors.shape == (5, 0)
    np.testing.assert_array_equal(release.source, np.arange(5))
    assert release.method == "blur"
    assert release.parameters["kernel"] == 9
    assert release.parameters["sigma"] == pytest.approx(1.7)
    np.testing.assert_array_equal(cohort.images, before)
    assert isinstance(Blur(9), Privatizer)


def test_stronger_kernels_leave_less_detail_and_the_weakest_less_than_the_original():
    cohort = make()
    methods = (Original(), *map(Blur, KERNELS))
    results = [method.privatize(cohort).images[3].astype(float) for method in methods]
    detail = [np.abs(np.diff(result)).mean() for result in results]
    assert detail == sorted(detail, reverse=True)
    assert len(set(detail)) == 5


def test_the_declared_kernel_is_the_one_that_is_applied():
    point = dataclasses.replace(make(size=33), images=np.zeros((5, 33, 33), dtype=np.uint8))
    point.images[0, 16, 16] = 255
    for kernel in KERNELS:
        line = Blur.linear_blur({"kernel": kernel})
        assert line.shape == (kernel,)
        assert line.sum() == pytest.approx(1)
        half, shown = kernel // 2, Blur(kernel).privatize(point).images[0]
        window = shown[16 - half : 17 + half, 16 - half : 17 + half]
        np.testing.assert_array_equal(window, np.rint(255 * np.outer(line, line)))
    assert Blur.claims_k({"kernel": 9}) is None


def test_each_colour_is_blurred_as_a_grey_image_would_be():
    grey = make()
    colour = dataclasses.replace(
        grey, images=np.stack([grey.images, 255 - grey.images, grey.images[::-1]], 3)
    )
    shown = Blur(9).privatize(colour).images
    for i, images in enumerate((grey.images, 255 - grey.images, grey.images[::-1])):
        np.testing.assert_array_equal(shown[..., i], blurred(images, 9))


def test_a_flat_image_stays_flat_and_a_slice_of_a_larger_array_works():
    cohort = make()
    assert (Blur(21).privatize(cohort).images[1] == 77).all()
    wide = np.repeat(cohort.images, 2, axis=2)[:, :, ::2]  # not contiguous
    sliced = dataclasses.replace(cohort, images=wide)
    np.testing.assert_array_equal(
        Blur(9).privatize(sliced).images, Blur(9).privatize(cohort).images
    )


@pytest.mark.parametrize("kernel", [0, 1, -3, 2, 8, 3.0, "9", None, True])
def test_an_even_kernel_and_one_that_hides_nothing_are_refused(kernel):
    with pytest.raises(ValueError, match="odd whole number"):
        Blur(kernel)


@pytest.mark.parametrize("kernel", [3, 15, 31, 33])
@pytest.mark.parametrize("shape", [(70, 64, 64), (5, 40, 36, 3), (2, 7, 9), (0, 16, 16)])
def test_many_images_at_once_are_blurred_as_each_in_float64(kernel, shape):
    """Values next to a half are among them, and an image where nearly all lie there."""
    images = np.random.default_rng(kernel).integers(0, 256, shape, dtype=np.uint8)
    images[1:2, :, ::2], images[1:2, :, 1::2] = 0, 1
    sigma, border = sigma_of(kernel), cv2.BORDER_REFLECT_101
    for image, result in zip(images, blurred(images, kernel), strict=True):
        exact = cv2.GaussianBlur(
            image.astype(np.float64), (kernel, kernel), sigma, sigmaY=sigma, borderType=border
        )
        np.testing.assert_array_equal(result, np.rint(exact))


def test_without_a_kernel_the_bell_grows_with_the_image():
    sizes = (16, 64, 65, 96, 128, 256, 4096)
    found = [kernel_for(size) for size in sizes]
    assert found[:2] == [9, 9]
    assert found[4:] == [21, 43, 723]
    for size, kernel in zip(sizes[2:], found[2:], strict=True):
        assert kernel % 2 == 1
        assert sigma_of(kernel) / size >= sigma_of(9) / 64 - 1e-9 > sigma_of(kernel - 2) / size
    Blur.check({"kernel": found[-1]})


def test_the_kernel_that_was_used_is_recorded_and_said():
    for size, kernel in ((32, 9), (128, 21)):
        images = np.random.default_rng(0).integers(0, 256, (4, size, size), dtype=np.uint8)
        cohort = cohort_of(images)
        release = privatize(cohort, "blur")
        assert release.parameters["kernel"] == kernel
        np.testing.assert_array_equal(release.images, blurred(images, kernel))
        assert privatize(cohort, "blur", kernel=5).parameters["kernel"] == 5
    assert Blur.said({"kernel": 21}, 128) == (
        "kernel 21 on 128 pixels: a bell of 2.7 % of the image's width"
    )
    assert Blur.said({"kernel": 9}, 128).endswith("this size is blurred with 21")
