"""What K-Same promises, stated exactly, and what it does not, demonstrated flaw by flaw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cohorts import hits, people

from medpriv_lib.privatizers.k_same import KSame, KSameSelect


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_bound_one_image_each_at_most_floor_n_over_k_hits(k, extra, seed):
    n = k + extra
    cohort = people(n, size=4, seed=seed)
    assert hits(KSame(k).privatize(cohort), cohort, cohort) <= n // k


def test_bound_is_reached_so_it_cannot_be_tightened():
    cohort = people(60, size=16)
    assert (
        hits(KSame(3).privatize(cohort), cohort, cohort) == 20
    )  # every mean is nearest to one of its members


def test_flaw_several_images_per_person_void_the_guarantee():
    cohort = people(30, images=10, size=16)
    with pytest.raises(ValueError, match="one image per patient, but patient p0 has 10"):
        KSame(5).privatize(cohort)
    release = KSame(5, several_images=True).privatize(cohort)
    # the neighbours of an image are the same person's: "five images" is one person, and the
    # attacker names everyone
    assert ((release.contributors >= 0).sum(axis=1) == 1).mean() > 0.9
    assert hits(release, cohort, cohort) / len(release) > 0.9 > 1 / 5


def test_flaw_a_person_with_both_labels_sits_in_two_partitions():
    cohort = people(24, images=2, diseased=[True, False] * 24)
    release = KSameSelect(4, "release").privatize(cohort)
    groups = [frozenset(members[members >= 0].tolist()) for members in release.contributors]
    mine = {groups[i] for i in range(len(release)) if cohort.patient[release.source[i]] == 5}
    assert len(mine) == 2  # a healthy group and a diseased one
    # who is known to be in both is one of fewer than k
    assert min(len(a & b) for a in groups for b in groups if len(a & b)) < 4


def test_flaw_select_reveals_the_label_of_everyone_in_the_group():
    cohort = people(40)
    for form in ("release", "query"):
        release = KSameSelect(4, form).fit(cohort).privatize(cohort)
        label_of = {int(p): bool(d) for p, d in zip(cohort.patient, cohort.diseased, strict=True)}
        for source, members in zip(release.source, release.contributors, strict=True):
            # homogeneity: finding somebody's group tells the diagnosis, k or no k
            assert {label_of[int(p)] for p in members if p >= 0} == {bool(cohort.diseased[source])}


def test_flaw_k_minus_1_members_reveal_the_kth():
    cohort = people(12, size=6)
    averages = KSame(4).averages(cohort)
    members = averages.contributors[0][averages.contributors[0] >= 0]
    known, victim = members[:-1], members[-1]
    exact = averages.means[averages.which[0]] * len(members) - cohort.images[known].sum(
        axis=0, dtype=float
    )
    np.testing.assert_allclose(exact, cohort.images[victim], atol=1e-9)
    # rounding to 8 bits leaves half a grey level of doubt per member: an error of at most k / 2
    shown = KSame(4).privatize(cohort).images[0].astype(float)
    guess = shown * len(members) - cohort.images[known].sum(axis=0, dtype=float)
    assert np.abs(guess - cohort.images[victim]).max() <= len(members) / 2


def test_flaw_several_releases_intersect():
    cohort = people(60, seed=3)
    first = KSame(5).privatize(cohort)
    second = KSame(5).privatize(
        cohort.take(np.arange(60) % 4 != 3)
    )  # a later release without a quarter of the people
    smallest = 60
    for i, source in enumerate(second.source):
        row = int(np.flatnonzero(np.arange(60) % 4 != 3)[source])
        smallest = min(
            smallest, len(set(first.contributors[row]) & set(second.contributors[i]) - {-1})
        )
    assert smallest < 5


def test_flaw_row_order_links():
    cohort = people(12)
    release = KSame(4).privatize(cohort)
    # a release published in this order needs no attack at all: image i is patient i
    np.testing.assert_array_equal(cohort.patient[release.source], cohort.patient)
