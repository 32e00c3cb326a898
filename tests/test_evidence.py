"""Whether the signs survive, and whether the image can still be read."""

import warnings
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from small_cohorts import cohort_of
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image.kid import KernelInceptionDistance

from medpriv_lib.measures.evidence import evidence_kept, logit_kept, similarity
from medpriv_lib.measures.intelligibility import are_copies, found, kid, sharpness
from medpriv_lib.recognition.embedding import embeddings
from medpriv_lib.recognition.networks import Recogniser


def eyes(n=6, size=32, seed=0):
    """Smooth images, twins without a dark spot, and the mask of the spot; the last image is
    healthy."""
    rng = np.random.default_rng(seed)
    twin = np.stack(
        [cv2.GaussianBlur(rng.uniform(60, 200, (size, size)), (0, 0), 2) for _ in range(n)]
    )
    original, masks = twin.copy(), np.zeros(twin.shape, dtype=bool)
    for i in range(n - 1):
        original[i, 4 + i : 9 + i, 6:12] -= 40
        masks[i, 4 + i : 9 + i, 6:12] = True
    return original.round().astype(np.uint8), twin.round().astype(np.uint8), masks


def kept_by_hand(released, released_twin, original, twin, mask):
    top = bottom = 0.0
    for r, c in zip(*np.nonzero(mask), strict=True):
        signs = float(original[r, c]) - float(twin[r, c])
        top += (float(released[r, c]) - float(released_twin[r, c])) * signs
        bottom += signs * signs
    return top / bottom


def test_all_of_the_signs_are_kept_by_the_original_and_none_by_the_twin():
    original, twin, masks = eyes()
    assert evidence_kept(original, twin, original, twin, masks)[:-1] == pytest.approx(np.ones(5))
    assert evidence_kept(twin, twin, original, twin, masks)[:-1] == pytest.approx(np.zeros(5))
    assert np.isnan(
        evidence_kept(original, twin, original, twin, masks)[-1]
    )  # healthy: there is nothing to keep


def test_evidence_agrees_with_the_formula_pixel_by_pixel():
    original, twin, masks = eyes()
    rng = np.random.default_rng(1)
    released, released_twin = (
        rng.integers(0, 256, original.shape, dtype=np.uint8) for _ in range(2)
    )
    got = evidence_kept(released, released_twin, original, twin, masks)
    for i in range(5):
        assert got[i] == pytest.approx(
            kept_by_hand(released[i], released_twin[i], original[i], twin[i], masks[i])
        )


def test_half_the_contrast_is_half_the_evidence_and_inverted_signs_are_negative():
    original, twin, masks = eyes()
    half = (original / 2).round().astype(np.uint8), (twin / 2).round().astype(np.uint8)
    assert evidence_kept(*half, original, twin, masks)[:-1] == pytest.approx(
        np.full(5, 0.5), abs=0.02
    )
    assert evidence_kept(twin, original, original, twin, masks)[:-1] == pytest.approx(-np.ones(5))


def test_evidence_does_not_count_what_is_shown_for_image_and_twin_alike():
    # a method that is told the label and paints the same signs on both keeps nothing of this
    # patient's own
    original, twin, masks = eyes()
    painted = np.full_like(original, 90)
    assert evidence_kept(painted, painted, original, twin, masks)[:-1] == pytest.approx(np.zeros(5))


def test_evidence_falls_as_blur_grows():
    original, twin, masks = eyes()

    def blurred(images, sigma):
        return np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in images])

    means = [
        np.nanmean(
            evidence_kept(blurred(original, sigma), blurred(twin, sigma), original, twin, masks)
        )
        for sigma in (0.8, 2, 4)
    ]
    assert 1 > means[0] > means[1] > means[2] > 0


def test_the_second_release_is_that_of_the_cohort_of_twins_with_the_same_seed():
    original, twin, masks = eyes()
    cohort = cohort_of(
        original, diseased=masks.any((1, 2)), split="test", evidence=masks, twin=twin
    )

    def privatize(cohort, generator):  # adds one and the same random image
        noise = torch.randint(0, 50, cohort.images.shape, generator=generator).numpy()
        return (cohort.images // 2 + noise).astype(np.uint8)

    released = [
        privatize(c, torch.Generator().manual_seed(7))
        for c in (cohort, replace(cohort, images=cohort.twin))
    ]
    assert evidence_kept(*released, original, twin, masks)[:-1] == pytest.approx(
        np.full(5, 0.5), abs=0.02
    )


def test_the_logit_coefficient_is_one_for_the_original_and_zero_for_a_label_alone():
    x, t = np.array([3.0, 2.0, 0.5]), np.array([-1.0, 1.0, 0.5])
    top, bottom = logit_kept(x, t, x, t)
    assert top.sum() / bottom.sum() == pytest.approx(1)
    top, bottom = logit_kept(
        np.full(3, 9.0), np.full(3, 9.0), x, t
    )  # sure of the disease, with and without signs
    assert top.sum() / bottom.sum() == 0
    assert bottom[2] == 0  # the judge did not see these signs in the original


def test_ssim_inside_and_outside_the_mask():
    original, _, masks = eyes()
    inside, outside = similarity(original, original, masks)
    assert inside[:-1] == pytest.approx(np.ones(5))
    assert outside == pytest.approx(np.ones(6))
    assert np.isnan(inside[-1])
    changed = np.where(masks, original, 255 - original)
    inside, outside = similarity(changed, original, masks)
    assert (inside[:-1] > outside[:-1]).all()


def test_ssim_is_that_of_torchmetrics():
    original, twin, masks = eyes()
    noise = np.random.default_rng(2).integers(0, 256, original.shape, dtype=np.uint8)
    for other in (twin, noise, np.full_like(original, 7)):
        pair = [torch.from_numpy(part.astype(np.float64))[:, None] for part in (other, original)]
        _, full = structural_similarity_index_measure(
            *pair, data_range=255.0, return_full_image=True
        )
        expected = [full[i, 0].numpy()[masks[i]].mean() for i in range(5)]
        assert similarity(other, original, masks)[0][:-1] == pytest.approx(expected, abs=1e-6)


def test_arrays_that_do_not_fit_are_refused():
    original, twin, masks = eyes()
    with pytest.raises(ValueError, match="of one shape"):
        evidence_kept(original[:3], twin, original, twin, masks)
    with pytest.raises(ValueError, match="differ in shape"):
        sharpness(original[:2], original)
    with pytest.raises(ValueError, match="of one width"):
        kid(np.zeros((200, 3)), np.zeros((200, 4)), torch.Generator())
    with pytest.raises(ValueError, match="recogniser reads uint8 images .N, 16, 16."):
        embeddings(Recogniser(2, 16), original)


def test_found_means_within_three_pixels_of_the_middle_at_64():
    answers = iter(
        [
            SimpleNamespace(iris_x=31.5, iris_y=31.5),
            SimpleNamespace(iris_x=34.4, iris_y=31.5),
            SimpleNamespace(iris_x=34.6, iris_y=31.5),
            None,
        ]
    )
    images = np.zeros((4, 64, 64), dtype=np.uint8)
    assert found(images, lambda image: next(answers)).tolist() == [True, True, False, False]


def test_sharpness_is_one_for_the_original_less_for_blur_more_for_noise():
    original, _, _ = eyes()
    noise = np.random.default_rng(0).integers(-20, 20, original.shape)
    noisy = np.clip(original.astype(int) + noise, 0, 255).astype(np.uint8)
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in original])
    assert sharpness(original, original) == pytest.approx(np.ones(6))
    assert (sharpness(blurred, original) < 0.5).all()
    assert (sharpness(noisy, original) > 2).all()
    assert np.isnan(sharpness(original[:1], np.full_like(original[:1], 7))).all()


def test_kid_is_near_zero_within_a_distribution_large_between_two_and_blank_for_few():
    # n = 400 points in 8 dimensions, 100 subsets of 100; KID is unbiased, so the first mean lies
    # within some standard errors of 0: the spread over subsets / sqrt(4 disjoint subsets), asserted
    # at five of them
    rng = np.random.default_rng(0)
    a, b, far = (np.abs(rng.normal(shift, 1, (400, 8))).astype(np.float32) for shift in (0, 0, 2))
    near, spread = kid(a, b, torch.Generator().manual_seed(0))
    distant, _ = kid(a, far, torch.Generator().manual_seed(0))
    assert abs(near) < 5 * spread / 2
    assert distant > 20 * abs(near)
    assert kid(a, b, torch.Generator().manual_seed(0)) == (near, spread)
    assert np.isnan(kid(a[:99], b, torch.Generator().manual_seed(0))).all()


def test_kid_is_that_of_torchmetrics_with_its_global_generator_seeded():
    rng = np.random.default_rng(0)
    real, other = rng.random((130, 6)), rng.random((140, 6)) + 0.2
    found = kid(real, other, torch.Generator().manual_seed(3))
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that it keeps the embeddings in memory
        slow = KernelInceptionDistance(feature=torch.nn.Identity(), subset_size=100)
        slow.update(torch.from_numpy(real).float(), real=True)
        slow.update(torch.from_numpy(other).float(), real=False)
        seed = int(torch.randint(2**31, (1,), generator=torch.Generator().manual_seed(3)))
        torch.manual_seed(seed)
        assert found == tuple(map(float, slow.compute()))


def test_kid_leaves_the_global_generator_alone():
    rng = np.random.default_rng(0)
    before = torch.random.get_rng_state()
    kid(rng.random((120, 4)), rng.random((120, 4)), torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.random.get_rng_state())


def test_copies_are_recognised():
    original, twin, _ = eyes(20)
    fresh = np.roll(original, 3, axis=1)
    assert not are_copies(fresh, original)
    assert are_copies(original, original)
    assert are_copies(np.repeat(fresh[:5], 4, axis=0), original)


def test_embeddings_are_the_penultimate_layer_whatever_the_batch():
    network = Recogniser(2, 32).eval()
    original, _, _ = eyes()
    whole = embeddings(network, original)
    assert whole.shape == (6, 32)
    assert (whole >= 0).all()
    assert np.allclose(whole, embeddings(network, original, batch=2), atol=1e-5)
    assert embeddings(network, original[:0]).shape == (0, 32)
