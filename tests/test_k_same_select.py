"""K-Same-Select: the query form of the paper beside a slow twin, the release form, and bad
input."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cohorts import cohort_of, hits, people

from medpriv_lib.privatizers import groups
from medpriv_lib.privatizers.k_same import KSame, KSameSelect


def slow_query(image, label, train, k):
    """Every patient's nearest image of the label, the k nearest patients, their mean; returns mean
    and patients."""
    best = []
    for patient in range(train.patients):
        rows = np.flatnonzero((train.patient == patient) & (train.diseased == label))
        if len(rows):
            best.append(
                min(
                    (
                        int(((train.images[row].astype(int) - image) ** 2).sum()),
                        train.images[row].tobytes(),
                        patient,
                        int(row),
                    )
                    for row in rows
                )
            )
    best = sorted(best)[:k]
    return train.images[[row for *_, row in best]].astype(float).mean(axis=0), [
        patient for _, _, patient, _ in best
    ]


# The query form


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_query_form_agrees_with_the_slow_twin(data):
    k = data.draw(st.integers(2, 3))
    n = data.draw(st.integers(2 * k, 24))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    levels = data.draw(st.sampled_from([2, 256]))  # two levels: ties everywhere
    patient = np.concatenate([np.arange(2 * k), rng.integers(0, 2 * k, n - 2 * k)])
    train = cohort_of(
        rng.integers(0, levels, (n, 1, 4)),
        patient,
        np.where(np.arange(n) < 2 * k, patient < k, rng.random(n) < 0.5),
    )
    asked = cohort_of(
        rng.integers(0, levels, (7, 1, 4)), rng.integers(0, 2 * k, 7), rng.random(7) < 0.5
    )
    asked = dataclasses.replace(asked, patient_names=train.patient_names)
    method = KSameSelect(k).fit(train)
    averages = method.averages(asked)
    for i in range(7):
        mean, patients = slow_query(asked.images[i].astype(int), asked.diseased[i], train, k)
        np.testing.assert_allclose(averages.means[i], mean, atol=1e-12)
        assert averages.contributors[i].tolist() == patients
    own = np.mean([asked.patient[i] in averages.contributors[i] for i in range(7)])
    assert method.privatize(asked).parameters["own_patient_rate"] == pytest.approx(own)


@pytest.fixture(params=[True, False], ids=["in eight bits", "in float32"])
def either(request, monkeypatch):
    """Both ways to the products; where this machine's are not exact in eight bits, only one."""
    if request.param and not groups.are_exact(4096):
        pytest.skip("this machine loses digits of products in eight bits")
    monkeypatch.setattr(groups, "are_exact", lambda pixels: request.param)


def test_query_form_tells_distances_apart_that_differ_by_one_and_ties_by_bytes(either):
    """Black images asked of white ones: distances of 262 million, and float32 holds whole numbers
    up to 17 million only. The first row of the black ones is nearly white. There each px of the
    white ones that is as white lessens the distance by one; two patients each have as many."""
    rng = np.random.default_rng(3)
    train = np.full((24, 64, 64), 255, np.uint8)
    for i, image in enumerate(train):
        image[0, rng.choice(64, 1 + i // 2, replace=False)] = 254
    asked = np.zeros((5, 64, 64), np.uint8)
    asked[:, 0] = 254
    asked[4] = rng.integers(0, 2, (64, 64))
    cohort = cohort_of(train, rng.permutation(24))
    averages = KSameSelect(7).fit(cohort).averages(cohort_of(asked, np.zeros(5, int)))
    far = ((train.astype(int) - asked[0]) ** 2).sum(axis=(1, 2))
    assert far.min() > 2**27
    assert sorted(set(far.tolist())) == list(range(far.min(), far.min() + 12))
    for i in range(5):
        mean, patients = slow_query(asked[i].astype(int), False, cohort, 7)
        np.testing.assert_allclose(averages.means[i], mean, atol=1e-12)
        assert averages.contributors[i].tolist() == patients


def test_query_form_on_its_own_gallery_agrees_with_the_slow_twin(either):
    rng = np.random.default_rng(4)
    for levels in (2, 256):
        patient = np.sort(rng.integers(0, 12, 70))
        patient[:12] = np.arange(12)
        cohort = cohort_of(rng.integers(0, levels, (70, 3, 3)), patient, rng.random(70) < 0.4)
        method = KSameSelect(2).fit(cohort)
        averages = method.averages(cohort)
        for i in range(70):
            mean, patients = slow_query(cohort.images[i].astype(int), cohort.diseased[i], cohort, 2)
            np.testing.assert_allclose(averages.means[i], mean, atol=1e-12)
            assert averages.contributors[i].tolist() == patients


def test_query_form_uses_k_distinct_patients_of_the_label():
    cohort = people(40, images=5, diseased=[True, False] * 100)
    train, test = cohort.take(np.arange(200) % 5 < 4), cohort.take(np.arange(200) % 5 == 4)
    release = KSameSelect(6).fit(train).privatize(test)
    assert release.contributors.shape == (40, 6)
    for i, members in enumerate(release.contributors):
        assert len(set(members.tolist())) == 6
        for patient in members:
            assert (train.diseased[train.patient == patient] == test.diseased[i]).any()


def test_query_form_finds_the_own_patient_first_where_people_look_like_themselves():
    cohort = people(30, images=4, noise=3)
    train, test = cohort.take(np.arange(120) % 4 < 3), cohort.take(np.arange(120) % 4 == 3)
    release = KSameSelect(3).fit(train).privatize(test)
    np.testing.assert_array_equal(release.contributors[:, 0], test.patient)
    assert release.parameters == {"k": 3, "form": "query", "own_patient_rate": 1.0}


def test_query_form_does_not_count_strangers_as_own_patients():
    train = people(30)
    stranger = dataclasses.replace(people(4, seed=9), patient_names=np.array(["w", "x", "y", "z"]))
    assert KSameSelect(3).fit(train).privatize(stranger).parameters["own_patient_rate"] is None
    half = dataclasses.replace(
        train.take(np.arange(4)), patient_names=np.array(["p0", "p1", "y", "z"])
    )
    assert KSameSelect(2).fit(train).privatize(half).parameters["own_patient_rate"] == 0.5


def test_query_form_with_an_image_in_no_group_breaks_the_bound():
    # one training image each and k = 3, yet nothing ties the answers together: the means differ
    # from image to image
    cohort = people(30, images=2, size=16, noise=3)
    train, test = cohort.take(np.arange(60) % 2 == 0), cohort.take(np.arange(60) % 2 == 1)
    release = KSameSelect(3).fit(train).privatize(test)
    assert len(np.unique(release.images, axis=0)) > 30 // 3
    assert hits(release, test, test) > 30 // 3


def test_permuting_training_images_changes_nothing_in_the_query_form():
    rng = np.random.default_rng(5)
    cohort = people(20, images=3, size=2, diseased=[True, False] * 30)
    cohort = dataclasses.replace(cohort, images=cohort.images % 2)
    straight = KSameSelect(4).fit(cohort).privatize(cohort)
    order = rng.permutation(60)
    permuted = KSameSelect(4).fit(cohort.take(order)).privatize(cohort)
    np.testing.assert_array_equal(permuted.images, straight.images)
    np.testing.assert_array_equal(permuted.contributors, straight.contributors)


def test_predicted_labels_choose_other_patients():
    train = people(40)
    test = dataclasses.replace(train, diseased=~train.diseased)
    release = KSameSelect(3).fit(train).privatize(test)
    assert release.parameters["own_patient_rate"] == 0
    for i, members in enumerate(release.contributors):
        assert (train.diseased[members] == test.diseased[i]).all()


# The release form


def uneven(seed=0, patients=14, size=3):
    """One to five images per patient, some patients with both labels; half of the patients have a
    healthy one.
    """
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
    first = np.diff(patient, prepend=-1) > 0
    diseased = (patient % 2 == 0) | (~first & (rng.random(len(patient)) < 0.2))
    return cohort_of(rng.integers(0, 256, (len(patient), size, size)), patient, diseased)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_release_form_gives_every_image_to_k_or_more_patients(k, seed):
    cohort = uneven(seed)
    release = KSameSelect(k, "release").privatize(cohort)
    n = len(cohort)
    np.testing.assert_array_equal(
        release.source[:n], np.arange(n)
    )  # every image once, in order, then the cycled ones
    # copies of one round: the same contributors, one source each
    patients = cohort.patient[release.source]
    for members in np.unique(release.contributors, axis=0):
        rows = np.flatnonzero((release.contributors == members).all(axis=1))
        expected = members[members >= 0]
        assert k <= len(expected) <= 2 * k - 1
        labels = cohort.diseased[release.source[rows]]
        for label in np.unique(labels):
            of_label = rows[labels == label]
            counts = np.bincount(patients[of_label], minlength=cohort.patients)[expected]
            assert len(set(counts.tolist())) == 1  # every round is released for all members alike
            assert counts.sum() == len(of_label)


def test_release_form_averages_round_by_round_and_cycles():
    #          patient 0: two images       patient 1: one     patient 2: three
    cohort = cohort_of([[10], [20], [40], [60], [70], [80]], [0, 0, 1, 2, 2, 2])
    averages = KSameSelect(3, "release").averages(cohort)
    rounds = [(10 + 40 + 60) / 3, (20 + 40 + 70) / 3, (10 + 40 + 80) / 3]
    np.testing.assert_allclose(averages.means.ravel(), rounds)
    np.testing.assert_array_equal(averages.source, [0, 1, 2, 3, 4, 5, 2, 0, 2])
    np.testing.assert_array_equal(averages.which, [0, 1, 0, 0, 1, 2, 1, 2, 2])
    np.testing.assert_array_equal(averages.contributors, [[0, 1, 2]] * 9)


def test_release_form_with_one_image_each_is_k_same_within_each_label():
    cohort = people(40)
    release = KSameSelect(4, "release").privatize(cohort)
    for label in (False, True):
        rows = np.flatnonzero(cohort.diseased == label)
        np.testing.assert_array_equal(
            release.images[rows], KSame(4).privatize(cohort.take(rows)).images
        )


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_release_form_permuting_the_rows_permutes_the_releases(k, seed):
    cohort = uneven(seed)
    order = np.random.default_rng(seed).permutation(len(cohort))
    straight = KSameSelect(k, "release").privatize(cohort)
    permuted = KSameSelect(k, "release").privatize(cohort.take(order))
    n = len(cohort)
    np.testing.assert_array_equal(permuted.images[:n], straight.images[:n][order])

    def table(release, source):
        return pd.DataFrame(
            np.column_stack(
                [source, release.images.reshape(len(release), -1), release.contributors]
            )
        )

    one, two = table(straight, straight.source), table(permuted, order[permuted.source])
    columns = list(one.columns)
    pd.testing.assert_frame_equal(
        one.sort_values(columns, ignore_index=True), two.sort_values(columns, ignore_index=True)
    )


def test_release_form_keeps_a_person_with_many_images_among_k_where_k_same_does_not():
    cohort = people(30, images=10, size=16)
    release = KSameSelect(5, "release").privatize(cohort)
    assert (release.contributors >= 0).sum(axis=1).min() >= 5
    # the means belong to five or more people alike, so naming one of them is right for at most one
    # in five copies
    assert hits(release, cohort, cohort) / len(release) <= 1 / 5


# Bad input


def test_class_smaller_than_k_is_refused():
    cohort = people(12)  # four diseased patients
    with pytest.raises(
        ValueError, match="only 4 training patients have a diseased image; choose a smaller k"
    ):
        KSameSelect(5).fit(cohort)
    with pytest.raises(ValueError, match="only 4 patients have a diseased image"):
        KSameSelect(5, "release").privatize(cohort)
    many = people(12, images=9)  # images do not count, patients do
    with pytest.raises(ValueError, match="only 4 training patients"):
        KSameSelect(5).fit(many)


def test_label_without_training_images_is_refused():
    cohort = people(12)
    method = KSameSelect(2).fit(cohort.take(~cohort.diseased))
    with pytest.raises(ValueError, match="only 0 training patients have a diseased image"):
        method.privatize(cohort)


def test_query_before_fit_other_size_and_unknown_form_are_refused():
    cohort = people(12)
    with pytest.raises(ValueError, match="call fit"):
        KSameSelect(2).privatize(cohort)
    with pytest.raises(ValueError, match="same size"):
        KSameSelect(2).fit(cohort).privatize(people(12, size=4))
    with pytest.raises(ValueError, match="query or release"):
        KSameSelect(2, "groups")
