"""Uploads in shares: sums as in the open, nothing from fewer than all, and what collusion does."""

import random

import numpy as np
import pytest

from medpriv_lib.collection.shared_upload import (
    Collector,
    Layout,
    Share,
    open_totals,
    recover,
    split,
)

LAYOUT = Layout(("none", "glaucoma", "rare"), 2, fraction=10, most=1000)


def records(count, rare=0, seed=0):
    rng = np.random.default_rng(seed)
    groups = ["rare"] * rare + [["none", "glaucoma"][i] for i in rng.integers(0, 2, count - rare)]
    return groups, np.round(rng.normal(50, 20, (count, 2)) * 1024) / 1024


def uploaded(groups, values, collectors=2, least=5, layout=LAYOUT):
    parties = [Collector(i + 1, collectors, layout, least) for i in range(collectors)]
    names = []
    for group, row in zip(groups, values, strict=True):
        shares = split(layout.lay_out(group, row), collectors)
        names.append(shares[0].record)
        for party, share in zip(parties, shares, strict=True):
            party.receive(share)
    return parties, names


@pytest.mark.parametrize("collectors", [2, 3, 5])
def test_sums_and_counts_are_those_of_the_open_table(collectors):
    groups, values = records(60, rare=8)
    parties, names = uploaded(groups, values, collectors)
    found = open_totals(parties, names)
    for group in LAYOUT.groups:
        rows = [row for name, row in zip(groups, values, strict=True) if name == group]
        assert found.counts[group] == len(rows)
        assert found.sums[group].tolist() == np.sum(rows, axis=0).tolist()  # exact in fixed point


def test_images_are_summed_by_group():
    images = np.random.default_rng(1).integers(0, 256, (12, 8, 8))
    layout = Layout(("healthy", "ill"), 64)
    groups = ["healthy", "ill"] * 6
    parties, names = uploaded(groups, images.reshape(12, 64), layout=layout)
    found = open_totals(parties, names)
    assert (found.sums["ill"] == images[1::2].sum(axis=0).reshape(-1)).all()


def test_a_histogram_is_a_layout_without_meaningful_columns():
    layout = Layout(tuple(f"{10 * i} to {10 * i + 9}" for i in range(10)), 1)
    ages = np.random.default_rng(2).integers(0, 100, 200)
    parties, names = uploaded(
        [layout.groups[age // 10] for age in ages], np.zeros((200, 1)), 2, 5, layout
    )
    found = open_totals(parties, names)
    assert list(found.counts.values()) == np.histogram(ages, range(0, 101, 10))[0].tolist()


def test_negative_values_and_the_largest_ones_are_exact():
    groups, values = (
        ["none"] * 6,
        np.array([[-1.5, 0], [2.25, -7], [0, 0], [-0.5, 1], [9, 9], [-3, 4]]),
    )
    parties, names = uploaded(groups, values)
    assert open_totals(parties, names).sums["none"].tolist() == [6.25, 7.0]
    layout = Layout(("a",), 1, most=4)
    largest = 2.0**60 - 2**10
    parties, names = uploaded(["a"] * 4, [[largest]] * 4, layout=layout, least=2)
    assert open_totals(parties, names).sums["a"][0] == 4 * largest
    with pytest.raises(ValueError, match="could wrap"):
        layout.lay_out("a", [2.0**60])


def test_shares_of_fewer_than_all_are_even_random_numbers():
    """Mean and bits of 20,000 numbers: 4 standard errors of a uniform share, probability < 1e-4."""
    vector = np.zeros(20_000, np.uint64)
    first, second, third = split(vector, 3)
    for seen in (first.values, second.values, third.values, first.values + third.values):
        level = seen.astype(np.float64) / 2.0**64
        assert abs(level.mean() - 0.5) < 4 / np.sqrt(12 * level.size)
        bits = np.unpackbits(np.ascontiguousarray(seen).view(np.uint8)).mean()
        assert abs(bits - 0.5) < 4 * 0.5 / np.sqrt(64 * level.size)
    assert (first.values + second.values + third.values == vector).all()


def test_two_shares_of_three_fit_every_record():
    true, other = LAYOUT.lay_out("rare", [1, 2]), LAYOUT.lay_out("none", [3, 4])
    first, second, third = split(true, 3)
    forged = Share(third.record, 3, 3, other - first.values - second.values)
    assert (recover([first, second, forged]) == other).all()
    assert (recover([first, second, third]) == true).all()  # all together: the control


def test_collectors_who_collude_read_every_record():
    """The known limit: nothing but their not talking protects a record."""
    groups, values = records(10)
    parties, names = uploaded(groups, values)
    for name, group, row in zip(names, groups, values, strict=True):
        shares = [Share(name, p.number, 2, p._held[name]) for p in parties]
        assert (recover(shares) == LAYOUT.lay_out(group, row)).all()


def test_missing_double_and_foreign_shares_do_not_recover():
    one, other = (split(LAYOUT.lay_out("none", [1, 2]), 3) for _ in range(2))
    for given, says in (
        (one[:2], r"collectors \[1, 2\]"),
        ([one[0], one[0], one[1]], "needed once"),
        ([], r"collectors \[\]"),
        ([*one[:2], other[2]], "different records"),
    ):
        with pytest.raises(ValueError, match=says):
            recover(given)


def test_no_seed_reaches_a_share():
    found = []
    for _ in range(2):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        found.append(split(np.zeros(4, np.uint64))[0])
    assert (found[0].values != found[1].values).any()
    assert found[0].record != found[1].record


def test_sums_of_small_groups_stay_closed():
    groups, values = records(30, rare=4)
    parties, names = uploaded(groups, values, least=5)
    found = open_totals(parties, names)
    assert found.counts["rare"] == 4
    assert np.isnan(found.sums["rare"]).all()
    assert not np.isnan(found.sums["none"]).any()


def test_two_sums_that_differ_in_one_record_are_refused():
    """Without the rule their difference is the record, as the first lines show."""
    groups, values = records(20)
    whole = sum(LAYOUT.lay_out(g, v) for g, v in zip(groups, values, strict=True))
    without = sum(LAYOUT.lay_out(g, v) for g, v in zip(groups[1:], values[1:], strict=True))
    assert (whole - without == LAYOUT.lay_out(groups[0], values[0])).all()
    parties, names = uploaded(groups, values)
    open_totals(parties, names[1:])
    with pytest.raises(ValueError, match="summed them before; nothing was opened"):
        open_totals(parties, names)
    with pytest.raises(ValueError, match="second sum"):
        parties[0].counts(names)
    with pytest.raises(ValueError, match="a sum over 1 records; 5 to 1000"):
        open_totals(parties, names[:1])


def test_a_rule_about_pairs_of_sums_is_not_enough():
    """Three sums whose sets differ by many records each, and which show one record together: why a
    record enters one sum only."""
    groups, values = records(21)
    vectors = [LAYOUT.lay_out(g, v) for g, v in zip(groups, values, strict=True)]
    sets = [set(range(21)), set(range(1, 11)), set(range(11, 21))]
    assert all(len(a - b) + len(b - a) >= 10 for a in sets for b in sets if a is not b)
    total = [sum(vectors[i] for i in one) for one in sets]
    assert (total[0] - total[1] - total[2] == vectors[0]).all()


def test_a_share_that_was_changed_is_seen_in_the_counts_and_not_in_the_sums():
    groups, values = records(12)
    for place, seen in ((0, True), (1, False)):  # a count, a sum
        parties, names = uploaded(groups, values)
        held = parties[0]._held
        changed = held[names[3]].copy()
        changed[place] += np.uint64(7 << 10)
        held[names[3]] = changed
        if seen:
            with pytest.raises(ValueError, match="do not add up to 12 records"):
                open_totals(parties, names)
        else:  # the known limit
            true = np.sum([v for g, v in zip(groups, values, strict=True) if g == "none"], axis=0)
            found = open_totals(parties, names).sums["none"]
            assert found.tolist() == [true[0] + 7, true[1]]


def test_a_sender_who_lies_is_not_noticed():
    groups, values = records(12)
    values[0] = [1e6, 0]
    parties, names = uploaded(groups, values)
    assert np.nanmax([s[0] for s in open_totals(parties, names).sums.values()]) > 1e6


@pytest.mark.parametrize(
    ("group", "row", "says"),
    [
        ("other", [1, 2], "'other' is none of the groups"),
        ("none", [1], "2 values, not 1"),
        ("none", [1, np.nan], "NaN"),
        ("none", [1, np.inf], "could wrap"),
        ("none", [1, 1e30], "could wrap a sum of 1000 records; nothing was sent"),
    ],
)
def test_records_that_do_not_fit_are_refused(group, row, says):
    with pytest.raises(ValueError, match=says):
        LAYOUT.lay_out(group, row)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Layout((), 1), "different names and a column"),
        (lambda: Layout(("a", "a"), 1), "different names"),
        (lambda: Layout(("a",), 0), "a column at least"),
        (lambda: Layout(("a",), 1, -1), "0 or more"),
        (lambda: split(np.zeros(3, np.uint64), 1), "two at least, or one reads the records"),
    ],
)
def test_settings_that_cannot_hide_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_shares_for_others_cut_shares_and_repeated_ones_are_refused():
    one, two = split(LAYOUT.lay_out("none", [1, 2]))
    party = Collector(1, 2, LAYOUT)
    party.receive(one)
    for share, says in (
        (two, "collector 1 of 2 got the share of 2 of 2"),
        (Share(b"x", 1, 2, one.values[:-1]), "it was cut"),
        (Share(b"x", 1, 2, one.values.astype(np.int64)), "another layout"),
        (one, "came before"),
    ):
        with pytest.raises(ValueError, match=says):
            party.receive(share)
    with pytest.raises(ValueError, match="first count"):
        party.sums([1, 2, 3])


def test_a_sum_opens_with_all_collectors_and_with_records_that_all_hold():
    groups, values = records(12)
    parties, names = uploaded(groups, values, 3)
    with pytest.raises(ValueError, match="every collector takes part"):
        open_totals(parties[:2], names)
    with pytest.raises(ValueError, match="every collector takes part"):
        open_totals([parties[0], *parties[:2]], names)
    late = split(LAYOUT.lay_out("none", [1, 2]), 3)
    parties[0].receive(late[0])
    with pytest.raises(ValueError, match="collector 2 does not hold all 13"):
        open_totals(parties, [*names, late[0].record])
    assert open_totals(parties, names).counts  # the refused sum has used nothing up
