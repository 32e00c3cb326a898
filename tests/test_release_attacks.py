"""Intersection, homogeneity, copying, membership and contributors: planted leaks are found, nothing
is not."""

import numpy as np
import pytest
from small_cohorts import parted, people, strangers

from medpriv_lib.attacks.contributors.linked import linked, linked_retrained
from medpriv_lib.attacks.contributors.named import named_as, parrot, reverse
from medpriv_lib.attacks.contributors.who import memberships, others
from medpriv_lib.attacks.copying import closer, copying, nearest, pixels
from medpriv_lib.attacks.homogeneity import homogeneity, of_contributors
from medpriv_lib.attacks.intersection import add_evidence, common, intersect_groups
from medpriv_lib.attacks.membership import (
    accepted,
    against_images,
    against_patients,
    area,
    inside_and_outside,
    membership,
    nearness,
)
from medpriv_lib.core.distances import distances
from medpriv_lib.measures.anonymity import audit
from medpriv_lib.privatizers.k_same import KSame, KSameSelect


def faces(patients, each, seed=0):
    """Images of one person resemble each other; the split is train, train, …, test."""
    split = parted(patients, each, ("test",))
    ill = np.repeat(np.arange(patients) % 2 == 0, each)
    return people(patients, each, noise=12.0, seed=seed, diseased=ill, split=split)


# intersection


def test_releases_with_several_k_intersect_to_fewer_than_any_k():
    cohort = strangers(patients=40, each=1)
    groups = [KSame(k).privatize(cohort).contributors for k in (3, 4, 5)]
    found = intersect_groups(groups, cohort.patient, 40)
    slow = [
        set(a[a >= 0]) & set(b[b >= 0]) & set(c[c >= 0]) for a, b, c in zip(*groups, strict=True)
    ]
    assert found.measures["left"] == pytest.approx(np.mean([len(s) for s in slow]))
    assert found.measures["kept"] == 1  # the patient is in every group of his own
    assert found.measures["rank1"] == pytest.approx(np.mean([1 / len(s) for s in slow]))
    assert found.curves["left"][0] >= 3 > found.curves["left"][-1]
    assert found.measures["singled_out"] == pytest.approx(np.mean([len(s) == 1 for s in slow]))


def test_averaged_sets_always_hold_the_source_so_that_draws_single_it_out():
    # 60 patients, 6 identities a draw, 5 of them random: another survives 3 draws with (5/59)^3 =
    # .06 %, so 59 others leave .036 on average; 200 images: under .1 with five standard errors
    # (sqrt(.036/200) = .013)
    rng = np.random.default_rng(1)
    patient = rng.integers(0, 60, 200)
    draws = [
        np.stack([np.r_[p, rng.permutation(np.setdiff1d(np.arange(60), [p]))[:5]] for p in patient])
        for _ in range(3)
    ]
    found = intersect_groups(draws, patient, 60)
    assert found.measures["left"] - 1 < 0.1
    assert found.measures["rank1"] > 0.9


def test_evidence_adds_up_over_releases():
    # .5 standard deviations for the truth among 20: one release names few, 40 together (.5 *
    # sqrt(40) = 3.2) most
    rng = np.random.default_rng(2)
    patient = rng.integers(0, 20, 150)
    scores = rng.normal(0, 1, (40, 150, 20))
    scores[:, np.arange(150), patient] += 0.5
    found = add_evidence(scores, patient)
    assert found.measures["rank1_of_one"] < 0.3
    assert found.measures["rank1"] > 0.7
    assert found.measures["rank5"] >= found.measures["rank1"]
    nothing = add_evidence(rng.normal(0, 1, (40, 150, 20)), patient)
    # chance is .05; 150 images stay under .05 + 3.29 sqrt(.05 * .95 / 150) = .109 in 99.9 %
    assert nothing.measures["rank1"] < 0.109


def test_memberships_and_mismatched_releases():
    assert memberships(np.array([[0, 2, -1]]), 4).tolist() == [[True, False, True, False]]
    with pytest.raises(ValueError, match="same images"):
        common([np.zeros((2, 1), int), np.zeros((3, 1), int)], 4)


# homogeneity


def test_select_tells_every_label_and_plain_k_same_little_more_than_chance():
    cohort = strangers(patients=60, each=1)  # labels have nothing to do with the pixels
    rng = np.random.default_rng(3)
    for method, told in ((KSameSelect(5, form="release"), True), (KSame(5), False)):
        release = method.privatize(cohort)
        groups = audit(release, cohort).group
        found = homogeneity(
            groups, cohort.patient[release.source], cohort.diseased[release.source], rng
        )
        if told:
            assert found.measures["right"] == found.measures["one_label"] == 1
        else:
            # 12 groups of 5 whose labels are as good as dealt out: within .1 of the simulated
            # chance (5 s.e. of .02)
            assert found.measures["right"] == pytest.approx(found.chance["right"], abs=0.1)
    assert found.measures["majority"] == pytest.approx(2 / 3)


def test_homogeneity_equals_the_slow_twin():
    rng = np.random.default_rng(4)
    group, diseased = rng.integers(0, 6, 40), rng.random(40) < 0.4
    group = np.unique(group, return_inverse=True)[1]
    found = homogeneity(group, np.arange(40), diseased, rng, simulations=3)
    right = one = 0.0
    for g in group:
        inside = [d for d, h in zip(diseased, group, strict=True) if h == g]
        share = max(sum(inside), len(inside) - sum(inside)) / len(inside)
        right, one = right + share / 40, one + (share == 1) / 40
    assert found.measures["right"] == pytest.approx(right)
    assert found.measures["one_label"] == pytest.approx(one)


def test_being_a_contributor_of_select_tells_the_label():
    cohort = strangers(patients=30, each=2)
    release = KSameSelect(3).fit(cohort).privatize(cohort)
    has_label = np.stack([cohort.diseased[::2] == 0, cohort.diseased[::2]], axis=1)
    found = of_contributors(release.contributors, cohort.diseased[release.source], has_label)
    assert found.measures["right"] == 1
    assert found.chance["right"] == pytest.approx(np.mean([(1 / 3) ** 2 + (2 / 3) ** 2]), abs=1e-9)
    with pytest.raises(ValueError, match="no contributors"):
        of_contributors(np.empty((3, 0), dtype=np.int64), np.zeros(3, dtype=bool), has_label)


# copying


def test_distances_equal_the_slow_twin_and_are_exact_on_grey_levels():
    rng = np.random.default_rng(5)
    a, b = (rng.integers(0, 256, (n, 9, 9)).astype(np.uint8) for n in (7, 11))
    slow = [
        [
            np.sqrt(sum((int(p) - int(q)) ** 2 for p, q in zip(x.ravel(), y.ravel(), strict=True)))
            for y in b
        ]
        for x in a
    ]
    np.testing.assert_array_equal(distances(pixels(a), pixels(b)), slow)
    assert (np.diag(distances(pixels(a), pixels(a))) == 0).all()
    found = nearest(pixels(a), pixels(b))
    np.testing.assert_array_equal(found.row, np.argmin(slow, axis=1))


def test_a_copier_is_found_and_fresh_people_are_not():
    cohort = faces(40, 5)
    train, unseen = cohort.of("train"), cohort.of("test")
    rng = np.random.default_rng(6)
    rows = rng.integers(0, len(train), 60)
    copier = np.clip(
        train.images[rows].astype(int) + rng.integers(-2, 3, (60, 8, 8)), 0, 255
    ).astype(np.uint8)
    found = copying(copier, train.patient[rows, None], train, unseen)
    assert found.measures["copied"] == 1
    assert found.measures["contributor"] == 1
    assert found.measures["closer"] == 1
    assert found.measures["same_patient"] > 0.95
    fresh = copying(faces(60, 1, seed=77).images, None, train, unseen)
    # fresh people are strangers: 5 % fall under the limit; 60 images stay under .05 + 3.29 * .028 =
    # .143 in 99.9 %, and the limit itself, of 40 images, moves by as much again
    assert fresh.measures["copied"] < 0.25
    assert 0.25 < fresh.measures["closer"] < 0.75
    assert "contributor" not in fresh.measures


def test_closer_is_the_auc_and_nearest_leaves_out_the_own_patient():
    rng = np.random.default_rng(7)
    a, b = rng.integers(0, 6, 30).astype(float), rng.integers(0, 6, 40).astype(float)
    slow = np.mean([[(x < y) + 0.5 * (x == y) for y in b] for x in a])
    assert closer(a, b) == pytest.approx(slow)
    assert area(-a, -b) == pytest.approx(slow)
    rows = np.array([[0.0], [1.0], [5.0]])
    found = nearest(rows, rows, np.array([0, 0, 1]), np.array([0, 0, 1]))
    assert found.row.tolist() == [2, 2, 1]
    with pytest.raises(ValueError, match="one patient only"):
        nearest(rows, rows, np.zeros(3, int), np.zeros(3, int))
    with pytest.raises(ValueError, match="holds no image"):
        nearest(rows, rows[:0])


# membership


def test_members_of_a_copier_are_told_from_others_and_of_an_honest_model_are_not():
    members, people_outside, reference = (
        faces(40, 4, seed=8),
        faces(40, 4, seed=9),
        faces(40, 4, seed=10),
    )
    rng = np.random.default_rng(11)

    def attack(shown):
        inside, outside = (
            nearness(pixels(c.images), pixels(shown), pixels(reference.images))
            for c in (members, people_outside)
        )
        return against_patients(inside, members.patient, outside, people_outside.patient, rng)

    leaky = attack(members.images[::4])  # one image of every member is shown
    assert leaky.measures["auc"] > 0.99
    assert leaky.measures["tar_1"] > 0.9
    assert leaky.measures["worst_decile"] == 1
    honest = attack(faces(40, 1, seed=12).images)
    # 40 against 40: the standard error of an AUC of .5 is .065, so 99.9 % lie within .5 +- .214
    assert abs(honest.measures["auc"] - 0.5) < 0.214
    assert honest.measures["certain"] < 0.1


def test_membership_of_a_few_is_hidden_in_the_mean():
    members, outside = faces(40, 4, seed=13), faces(40, 4, seed=14)
    shown = np.concatenate(
        [members.images[:12:4], faces(40, 1, seed=15).images]
    )  # three of forty are copied
    scores = [nearness(pixels(c.images), pixels(shown)) for c in (members, outside)]
    found = against_patients(
        scores[0], members.patient, scores[1], outside.patient, np.random.default_rng(16)
    )
    assert found.measures["auc"] < 0.75
    assert found.measures["certain"] >= 3 / 40
    assert found.measures["worst_decile"] > found.chance["worst_decile"]
    assert min(found.per_patient[p] for p in range(3)) > 0.99


def test_trained_images_against_the_same_patients_others():
    cohort = faces(30, 6, seed=17)
    seen = np.arange(len(cohort)) % 2 == 0
    score = nearness(pixels(cohort.images), pixels(cohort.images[seen]))
    found = against_images(
        score[seen],
        cohort.patient[seen],
        score[~seen],
        cohort.patient[~seen],
        np.random.default_rng(18),
    )
    assert found.measures["auc"] == 1
    noise = np.random.default_rng(19).normal(0, 1, len(cohort))
    blind = against_images(
        noise[seen],
        cohort.patient[seen],
        noise[~seen],
        cohort.patient[~seen],
        np.random.default_rng(18),
    )
    # 30 patients with 3 against 3: an AUC has standard deviation .22, the mean of 30 has .04; 99.9
    # % within .133
    assert abs(blind.measures["auc"] - 0.5) < 0.133
    with pytest.raises(ValueError, match="against_patients"):
        against_images(
            score[:2], np.array([0, 0]), score[:2], np.array([1, 1]), np.random.default_rng(0)
        )


def test_shadow_runs_find_the_gallery_of_k_same_and_nothing_in_noise():
    cohort = faces(24, 3, seed=20)
    query, gallery = cohort.of("test"), cohort.of("train")

    def score_of(members):
        chosen = gallery.take(np.isin(gallery.patient, members))
        release = KSameSelect(3).fit(chosen).privatize(query)
        gap = (release.images.astype(float) - query.images) ** 2
        return -gap.mean(axis=(1, 2))[np.argsort(query.patient)]

    runs = inside_and_outside(score_of, 24, 16, np.random.default_rng(21))
    assert (runs.member.sum(axis=0) == 8).all()
    found = membership(runs, np.random.default_rng(22))
    assert found.measures["auc"] > 0.95
    assert found.measures["certain"] > 0.5
    rng = np.random.default_rng(23)
    blind = membership(inside_and_outside(lambda members: rng.normal(0, 1, 24), 24, 16, rng), rng)
    # 8 against 8: an AUC has standard deviation .149, the mean of 24 has .030; 99.9 % within .1
    assert abs(blind.measures["auc"] - 0.5) < 0.1
    assert accepted(np.array([3.0, 1.0]), np.arange(100) / 50, 0.01) == 0.5


# contributors


def test_contributors_who_show_are_named_and_linked():
    rng = np.random.default_rng(24)
    source, patients = rng.integers(0, 30, 90), 30
    used = np.array([rng.choice(np.setdiff1d(np.arange(30), [s])) for s in source])[:, None]
    named = np.where(rng.random(90) < 0.7, used[:, 0], rng.integers(0, 30, 90))
    found = named_as(named, used, source, patients)
    slow = np.mean([n == u for n, u in zip(named, used[:, 0], strict=True)])
    assert found.measures["rank1"] == pytest.approx(slow)
    assert found.chance["rank1"] == pytest.approx(1 / 30)
    likeness = rng.normal(0, 1, (90, 30))
    blind = linked(likeness, used, source, None, rng)
    # 90 comparisons: an AUC against 28 strangers is nearly uniform, s.d. .29, the mean .030; 99.9 %
    # within .1
    assert abs(blind.measures["linkage_auc"] - 0.5) < 0.1
    likeness[np.arange(90), used[:, 0]] += 6
    seen = linked(likeness, used, source, None, rng)
    assert seen.measures["linkage_auc"] > 0.99
    assert seen.measures["rank1"] > 0.95


def test_linking_contributors_equals_the_slow_twin():
    rng = np.random.default_rng(26)
    source = rng.integers(0, 9, 12)
    table = np.array([rng.choice(9, 3, replace=False) for _ in source])
    table[::3, 2] = -1
    likeness, alike = rng.integers(0, 4, (12, 9)).astype(float), rng.random((12, 9)) < 0.8
    wins = []
    for row, one in enumerate(source):
        inside = set(table[row].tolist()) - {-1}
        strangers = [p for p in range(9) if p not in inside and p != one and alike[row, p]]
        for p in inside - {one}:
            if strangers:
                mine = likeness[row, p]
                wins.append(
                    np.mean(
                        [
                            (mine > likeness[row, q]) + 0.5 * (mine == likeness[row, q])
                            for q in strangers
                        ]
                    )
                )
    assert linked(likeness, table, source, alike, rng).measures["linkage_auc"] == pytest.approx(
        np.mean(wins)
    )


def test_the_retrained_attackers_of_contributors_equal_their_slow_twins():
    rng = np.random.default_rng(27)
    source, known = (
        rng.integers(0, 9, 14),
        np.array([rng.choice(9, 2, replace=False) for _ in range(20)]),
    )
    table = np.array([rng.choice(9, 3, replace=False) for _ in source])
    table[::3, 2] = -1
    inside = [
        set(row.tolist()) - {-1, one} for row, one in zip(table, source.tolist(), strict=True)
    ]
    likeness = rng.normal(0, 1, (14, 20))
    named = 0
    for row, one in enumerate(source):
        best = {
            p: max(likeness[row, m] for m in range(20) if p in known[m])
            for p in set(known.ravel().tolist())
        }
        best.pop(one, None)
        named += max(best, key=best.get) in inside[row]
    assert parrot(likeness, known, table, source, 9).measures["rank1"] == pytest.approx(named / 14)

    probe, likeness, right, luck, asked = (
        rng.integers(0, 9, 25),
        rng.normal(0, 1, (25, 14)),
        0,
        [],
        0,
    )
    for row, who in enumerate(probe):
        if any(who in each for each in inside):
            asked += 1
            shown = [n for n in range(14) if source[n] != who]
            right += who in inside[max(shown, key=lambda n: likeness[row, n])]
            luck.append(np.mean([who in inside[n] for n in shown]))
    found = reverse(likeness, probe, table, source, 9)
    assert found.n == asked
    assert found.measures["rank1"] == pytest.approx(right / asked)
    assert found.chance["rank1"] == pytest.approx(np.mean(luck))

    towers, half, wins = [rng.normal(0, 1, (14, 9)) for _ in range(2)], np.arange(9) % 2, []
    for row, one in enumerate(source):
        for p in inside[row]:
            mine = towers[half[p]][row]
            wins += [
                np.mean(
                    [
                        mine[p] > mine[q]
                        for q in range(9)
                        if half[q] == half[p] and q != one and q not in inside[row]
                    ]
                )
            ]
    attacked = [half == 0, half == 1]
    assert linked_retrained(towers, attacked, table, source, None, rng).measures[
        "linkage_auc"
    ] == pytest.approx(np.nanmean(wins))


def test_contributors_by_label_equal_the_slow_twin():
    """The guess by label is that of somebody who knows the label: one of the patients who have it."""
    rng = np.random.default_rng(29)
    n, patients = 40, 12
    source, ill = rng.integers(0, patients, n), rng.random(n) < 0.4
    table = np.array([rng.choice(patients, 3, replace=False) for _ in source])
    table[::4, 1:] = -1
    alike, likeness = rng.random((n, patients)) < 0.7, rng.normal(size=(n, patients))
    named = rng.integers(0, patients, n)
    inside = [
        set(row) - {-1, one} for row, one in zip(table.tolist(), source.tolist(), strict=True)
    ]

    def guess(row):
        free = [p for p in range(patients) if alike[row, p] and p != source[row]]
        return np.mean([p in inside[row] for p in free])

    found = named_as(named, table, source, patients, alike, ill)
    close = linked(likeness, table, source, alike, rng, ill)
    for label, mine in (("healthy", np.flatnonzero(~ill)), ("diseased", np.flatnonzero(ill))):
        rate = np.mean([named[row] in inside[row] for row in mine])
        value, low, high = found.by_label[label]["rank1"]
        assert value == pytest.approx(rate)
        assert low <= value <= high
        assert found.label_chance[label]["rank1"] == pytest.approx(
            np.mean([guess(r) for r in mine])
        )
        first, areas = [], []
        for row in mine:
            order = sorted(range(patients), key=lambda p, row=row: -likeness[row, p])
            first.append(next(p for p in order if p != source[row]) in inside[row])
            free = [p for p in range(patients) if alike[row, p] and p != source[row]]
            strangers = [likeness[row, p] for p in free if p not in inside[row]]
            areas += [
                np.mean(likeness[row, p] > np.array(strangers)) for p in inside[row] if strangers
            ]
        assert close.by_label[label]["rank1"][0] == pytest.approx(np.mean(first))
        assert close.by_label[label]["linkage_auc"][0] == pytest.approx(np.mean(areas))
    assert close.intervals["rank1"][0] <= close.measures["rank1"] <= close.intervals["rank1"][1]


def test_originals_looked_for_by_label_are_guessed_among_images_of_that_label():
    rng = np.random.default_rng(30)
    source, probe = rng.integers(0, 8, 20), rng.integers(0, 8, 30)
    table = rng.integers(0, 8, (20, 2))
    ill, wanted = rng.random(20) < 0.5, rng.random(30) < 0.5
    likeness = rng.normal(size=(30, 20))
    found = reverse(likeness, probe, table, source, 8, ill, wanted)
    inside = [set(row) - {one} for row, one in zip(table.tolist(), source.tolist(), strict=True)]
    for label, number in (("healthy", False), ("diseased", True)):
        right, luck = [], []
        for row in range(30):
            if wanted[row] != number or not any(probe[row] in each for each in inside):
                continue
            shown = [k for k in range(20) if source[k] != probe[row]]
            right.append(probe[row] in inside[max(shown, key=lambda k, row=row: likeness[row, k])])
            luck.append(np.mean([probe[row] in inside[k] for k in shown if ill[k] == number]))
        assert found.by_label[label]["rank1"][0] == pytest.approx(np.mean(right))
        assert found.label_chance[label]["rank1"] == pytest.approx(np.mean(luck))


def test_an_average_over_a_label_lends_nobody_by_its_label_alone():
    """Each image is the mean of all patients of its label: who names one of them at random beats a
    guess among all patients, and not one among those of the label."""
    rng = np.random.default_rng(31)
    source, label = np.arange(60) % 20, np.arange(60) % 20 < 5
    ill, well = np.arange(5), np.arange(5, 20)
    table = np.full((60, 15), -1)
    for row in range(60):
        table[row, : 5 if label[row] else 15] = ill if label[row] else well
    alike = np.stack([np.arange(20) < 5 if one else np.arange(20) >= 5 for one in label])
    named = np.array([rng.choice(ill if one else well) for one in label])
    found = named_as(named, table, source, 20, alike, label)
    value, _, _ = found.by_label["diseased"]["rank1"]
    assert value > 3 * 5 / 20 * 0.8  # 0.8 of the draws are not the source itself
    assert found.label_chance["diseased"]["rank1"] == 1


def test_the_source_is_no_contributor_and_pads_are_nobody():
    used = others(np.array([[1, 2, -1], [0, 1, 2]]), np.array([1, 0]), 4)
    assert used.tolist() == [[False, False, True, False], [False, True, True, False]]
    with pytest.raises(ValueError, match="no contributor"):
        others(np.array([[1], [0]]), np.array([1, 0]), 4)


def test_labels_alone_link_nobody():
    rng = np.random.default_rng(25)
    source, label = np.arange(40), np.arange(40) % 2
    used = (source + 2)[:, None] % 40  # always of the same label
    likeness = rng.normal(0, 1, (40, 40)) + 5 * (label[:, None] == label[None, :])
    plain = linked(likeness, used, source, None, rng)
    matched = linked(likeness, used, source, label[:, None] == label[None, :], rng)
    assert plain.measures["linkage_auc"] > 0.7
    # 40 comparisons, s.d. .29 each: 99.9 % within .15
    assert abs(matched.measures["linkage_auc"] - 0.5) < 0.15
