"""K-Same as Gross et al. state it: the algorithm beside a slow twin, its properties, and
anonypyx."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from small_cohorts import cohort_of, people

from medpriv_lib.core.distances import byte_rank, centred, squared_distances
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.groups import (
    group,
    mean_of,
    nearest_patients,
    rounded,
    rounded_means,
)
from medpriv_lib.privatizers.k_same import KSame, KSameSelect
from medpriv_lib.privatizers.protocol import Privatizer


def slow_groups(images, k, order):
    """Gross's algorithm, read aloud: Python integers, one sort per seed."""
    flat = [[int(v) for v in image.ravel()] for image in images]
    left, groups = list(order), []
    while len(left) >= 2 * k:
        seed = left[0]

        def nearness(row, seed=seed):
            distance = sum((a - b) ** 2 for a, b in zip(flat[row], flat[seed], strict=True))
            return row != seed, distance, flat[row], list(order).index(row)

        nearest = sorted(left, key=nearness)[:k]
        groups.append(sorted(nearest))
        left = [row for row in left if row not in nearest]
    return groups + ([sorted(left)] if left else [])


def test_closed_form_vector():
    release = KSame(2).averages(cohort_of([[0], [1], [10], [11], [20]]))
    np.testing.assert_allclose(release.means.ravel(), [0.5, 41 / 3], rtol=1e-15)
    np.testing.assert_array_equal(release.which, [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(release.contributors, [[0, 1, -1]] * 2 + [[2, 3, 4]] * 3)
    shown = KSame(2).privatize(cohort_of([[0], [1], [10], [11], [20]]))
    assert shown.images.ravel().tolist() == [0, 0, 14, 14, 14]  # .5 goes to the even level
    assert isinstance(KSame(2), Privatizer)


def test_halves_go_to_the_even_grey_level():
    assert rounded(np.array([0.5, 1.5, 2.5, 254.5])).tolist() == [0, 2, 2, 254]


@pytest.mark.parametrize("k", [2, 3, 7, 12, 300])
def test_rounded_means_are_those_of_the_float64_means(k):
    rng = np.random.default_rng(k)
    images = rng.integers(0, 256, (70, 5, 3), dtype=np.uint8)
    rows = rng.integers(0, 70, (130, k))
    expected = rounded(np.stack([mean_of(images[some]) for some in rows]))
    np.testing.assert_array_equal(rounded_means(images, rows), expected)


@pytest.mark.parametrize("pixels", [3, 8, 40])
@pytest.mark.parametrize("levels", [2, 256])
def test_rank_by_bytes_is_that_of_sorting_them(pixels, levels):
    rng = np.random.default_rng(pixels)
    images = rng.integers(0, levels, (60, pixels), dtype=np.uint8)
    images[30:40, :8] = images[30, :8]
    then = rng.permutation(60)
    order = sorted(range(60), key=lambda row: (images[row].tobytes(), then[row]))
    np.testing.assert_array_equal(np.argsort(byte_rank(images, then)), order)


def test_distances_are_exact_whole_numbers():
    rng = np.random.default_rng(0)
    for shape in ((3, 7), (50, 50), (64, 64)):
        a, b = (rng.integers(0, 256, (6, *shape), dtype=np.uint8) for _ in "ab")
        a[0], b[0], b[1] = 0, 255, a[1]
        expected = ((a[:, None].astype(np.int64) - b[None]) ** 2).sum(axis=(2, 3))
        np.testing.assert_array_equal(squared_distances(centred(a), centred(b)), expected)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_groups_agree_with_the_slow_twin(data):
    k = data.draw(st.integers(1, 4), label="k")
    n = data.draw(st.integers(k, 16), label="n")
    # four grey levels and three pixels make ties and equal images common
    images = np.array(
        data.draw(
            st.lists(
                st.lists(st.sampled_from([0, 1, 2, 255]), min_size=3, max_size=3),
                min_size=n,
                max_size=n,
            )
        ),
        dtype=np.uint8,
    )[:, None]
    order = np.array(data.draw(st.permutations(range(n))))
    assert [sorted(rows.tolist()) for rows in group(images, k, order)] == slow_groups(
        images, k, order
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 6), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_every_group_holds_k_to_2k_minus_1_patients_with_identical_copies(k, extra, seed):
    cohort = people(k + extra, size=3, seed=seed)
    release = KSame(k).privatize(cohort)
    sizes = (release.contributors >= 0).sum(axis=1)
    assert sizes.min() >= k
    assert sizes.max() <= 2 * k - 1
    for row, members in enumerate(release.contributors):
        members = members[members >= 0]
        assert row in members  # patient number = row here: the source is among the contributors
        assert (release.images[members] == release.images[row]).all()
        mean = cohort.images[members].astype(np.float64).mean(axis=0)
        assert np.abs(release.images[row] - mean).max() <= 0.5
    np.testing.assert_array_equal(release.source, np.arange(len(cohort)))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1), st.booleans())
def test_permuting_the_rows_permutes_the_releases(k, seed, few_levels):
    rng = np.random.default_rng(seed)
    cohort = people(17, size=2, seed=seed)
    if few_levels:  # many ties and equal images
        cohort = dataclasses.replace(cohort, images=(cohort.images % 2).astype(np.uint8))
    order = rng.permutation(17)
    straight, permuted = KSame(k).privatize(cohort), KSame(k).privatize(cohort.take(order))
    np.testing.assert_array_equal(permuted.images, straight.images[order])
    np.testing.assert_array_equal(permuted.contributors, straight.contributors[order])


def test_result_does_not_depend_on_the_block_size():
    cohort = people(80, images=2, diseased=[True, False] * 80)
    order, asked = np.random.default_rng(0).permutation(160), np.arange(160)
    for whole, part in zip(
        group(cohort.images, 3, order), group(cohort.images, 3, order, entries=1), strict=True
    ):
        np.testing.assert_array_equal(part, whole)
    for entries in (1, 1000):
        found = nearest_patients(cohort.images, asked, cohort, asked, 3, entries)
        parts = [np.concatenate(parts) for parts in zip(*found, strict=True)]
        ((rows, nearest),) = nearest_patients(cohort.images, asked, cohort, asked, 3)
        np.testing.assert_array_equal(parts[0], rows)
        np.testing.assert_array_equal(parts[1], nearest)


def separated(per_group=4, groups=7, size=6):
    """Groups of images far apart, so that every sensible algorithm with k = per_group finds
    them."""
    rng = np.random.default_rng(1)
    centres = rng.integers(0, 2, (groups, size, size)) * 200 + 20
    images = np.repeat(centres, per_group, axis=0) + rng.integers(
        -5, 6, (groups * per_group, size, size)
    )
    return images[rng.permutation(len(images))].astype(np.uint8)


@pytest.mark.parametrize("variant", ["pixel", "eigen"])
def test_agrees_with_anonypyx_on_separated_groups(variant):
    ksame = pytest.importorskip("anonypyx.ksame")
    images = separated()
    theirs, mapping = ksame.kSame(images, 6, 6, k=4, variant=variant).anonymize()
    ours = KSame(4).averages(cohort_of(images))
    expected = np.stack([theirs[mapping[row]] for row in range(len(images))])
    np.testing.assert_allclose(ours.means[ours.which], expected, atol=1e-9)


def test_pixels_and_full_rank_pca_give_the_same_release():
    images = people(30).images
    pca = PCA().fit(images.reshape(30, -1).astype(float))
    codes = pca.transform(images.reshape(30, -1).astype(float))
    ours = KSame(4).averages(cohort_of(images))
    left = list(range(30))
    means = np.empty_like(images, dtype=float)
    while left:
        near = sorted(left, key=lambda row: np.linalg.norm(codes[row] - codes[left[0]]))  # noqa: B023
        members = near[:4] if len(left) >= 8 else left
        means[members] = pca.inverse_transform(codes[members].mean(axis=0)[None]).reshape(8, 8)
        left = [row for row in left if row not in members]
    np.testing.assert_allclose(ours.means[ours.which], means, atol=1e-9)


def test_k_of_2_releases_no_original_and_k_of_n_one_mean():
    cohort = people(9)
    shown = KSame(2).privatize(cohort).images
    assert not (shown[:, None] == cohort.images[None]).all(axis=(2, 3)).any()
    assert len(np.unique(KSame(9).privatize(cohort).images, axis=0)) == 1


@pytest.mark.parametrize("k", [1, 0, -1, 2.0, "3", None, True])
@pytest.mark.parametrize("method", [KSame, KSameSelect])
def test_k_below_2_is_refused(method, k):
    with pytest.raises(ValueError, match="k must be .* a whole number of at least 2"):
        method(k)


def test_fewer_patients_than_k_are_refused():
    with pytest.raises(NotApplicable, match="k = 13 need as many images, and there are 12"):
        KSame(13).privatize(people(12))
