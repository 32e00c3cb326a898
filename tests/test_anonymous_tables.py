"""k-anonymous tables: the promise counted by hand, a peer, use, and who learns more all the same."""

import itertools

import anonypyx.models
import anonypyx.mondrian
import numpy as np
import pandas as pd
import pytest

from medpriv_lib.collection.anonymous_tables import anonymise
from medpriv_lib.collection.anonymous_tables.audit import (
    diversity,
    groups_of,
    loss,
    query_errors,
    smallest,
    tallies,
)
from medpriv_lib.collection.anonymous_tables.columns import encode, shown
from medpriv_lib.collection.anonymous_tables.insider import alone, guess
from medpriv_lib.collection.register import register

QUASI = {"age": "number", "sex": "name", "postcode": "code", "visit": "date"}
SMALL = {
    "age": [20, 21, 30, 31, 40, 41],
    "sex": ["F", "M", "F", "M", "F", "M"],
    "illness": ["a", "a", "a", "b", "b", "b"],
}


@pytest.fixture(scope="module")
def table():
    return register(np.random.default_rng(14), 160, visits=1.6)


@pytest.mark.parametrize("k", [2, 5, 25])
def test_each_row_looks_like_k_patients_counted_one_by_one(table, k):
    released = anonymise(table, QUASI, k, table["number"], "diagnosis")
    rows = len(table["age"])
    for i in range(rows):
        mine = [released.columns[name][i] for name in QUASI]
        alike = {
            table["number"][j]
            for j in range(rows)
            if [released.columns[name][j] for name in QUASI] == mine
        }
        assert len(alike) >= k
    assert released.columns["diagnosis"] == table["diagnosis"]
    assert smallest(released.group, table["number"]) >= k
    assert smallest(groups_of(released.columns, list(QUASI)), table["number"]) >= k


def test_ranges_hold_the_values_that_they_hide(table):
    released = anonymise(table, QUASI, 5, table["number"])
    for name in ("age", "postcode", "visit"):
        for text, value in zip(released.columns[name], table[name], strict=True):
            low, _, high = text.partition(" to ")
            assert low <= str(value) <= (high or low) or name == "age"
    for text, age in zip(released.columns["age"], table["age"], strict=True):
        ends = [int(one) for one in text.split(" to ")]
        assert ends[0] <= age <= ends[-1]
    for text, sex in zip(released.columns["sex"], table["sex"], strict=True):
        assert sex in text.split(" or ")


def test_groups_are_those_of_the_peer():
    """On ordered columns anonypyx's Mondrian makes the same cuts."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 60, (120, 3))
    ours = anonymise(
        {str(i): c.tolist() for i, c in enumerate(numbers.T)}, dict.fromkeys("012", "number"), 4
    )
    peer = anonypyx.mondrian.Mondrian(
        pd.DataFrame(numbers.astype(float), columns=list("012")), list("012")
    )
    theirs = peer.partition([anonypyx.models.kAnonymity(4)])
    mine = {frozenset(np.flatnonzero(ours.group == one).tolist()) for one in np.unique(ours.group)}
    assert mine == {frozenset(part.tolist()) for part in theirs}


def test_a_patient_with_k_rows_is_no_group():
    rows = {"age": [50] * 4 + [20, 21, 22], "who": ["p"] * 4 + ["q", "r", "s"]}
    by_rows = anonymise(rows, {"age": "number"}, 3)
    assert smallest(by_rows.group) >= 3
    assert smallest(by_rows.group, rows["who"]) == 1  # the flaw of counting rows
    by_patient = anonymise(rows, {"age": "number"}, 3, rows["who"])
    assert smallest(by_patient.group, rows["who"]) >= 3


def test_diversity_is_kept_where_it_is_asked_for(table):
    plain = anonymise(table, QUASI, 5, table["number"], "diagnosis")
    assert diversity(plain.group, table["diagnosis"])[0] == 1  # k promises nothing here
    for different in (2, 3):
        mixed = anonymise(table, QUASI, 5, table["number"], "diagnosis", different)
        least, entropy = diversity(mixed.group, table["diagnosis"])
        assert least >= different
        assert 1 < entropy <= least + 1e-9
        assert loss(mixed) >= loss(plain)


def test_diversity_and_tallies_by_hand():
    group = np.array([0, 0, 0, 0, 7, 7])
    counts = tallies(group, list("aabbab"))
    assert counts.tolist() == [[2, 2], [1, 1]]
    assert diversity(group, list("aabbab")) == (2, pytest.approx(2.0))
    assert diversity(group, list("aaabab"))[1] == pytest.approx(4 / 27 ** (1 / 4) * 1.0)
    assert diversity(group, list("aaaaab")) == (1, 1.0)


def test_loss_by_hand():
    released = anonymise(SMALL, {"age": "number"}, 3)
    assert released.columns["age"] == ["20 to 30"] * 3 + ["31 to 41"] * 3
    assert loss(released) == pytest.approx(10 / 21)
    assert loss(anonymise(SMALL, {"age": "number"}, 6)) == 1.0
    assert loss(anonymise({"age": [5, 5]}, {"age": "number"}, 2)) == 0.0


def test_counts_get_worse_as_groups_grow(table):
    errors = [
        query_errors(anonymise(table, QUASI, k, table["number"]), np.random.default_rng(1)).mean()
        for k in (2, 40)
    ]
    assert errors[0] < errors[1]


def test_a_count_over_a_whole_range_is_exact():
    released = anonymise(SMALL, {"age": "number"}, 3)
    assert query_errors(released, np.random.default_rng(0), 20, share=1.0).max() < 1e-9


def test_the_raw_table_is_linked_and_the_anonymous_one_is_not(table):
    raw = alone(groups_of(table, list(QUASI)), table["number"])
    assert raw.mean() > 0.9  # the positive control
    for k in (2, 10):
        released = anonymise(table, QUASI, k, table["number"])
        assert not alone(groups_of(released.columns, list(QUASI)), table["number"]).any()


def test_a_patient_alone_in_a_group_is_found_with_all_rows():
    found = alone(np.array([0, 0, 1, 1, 2]), ["p", "p", "q", "r", "s"])
    assert found.tolist() == [True, True, False, False, True]


def slow_guess(group, values, ruled_out):
    """Row by row, with lists."""
    right, certain = [], []
    for i, own in enumerate(values):
        others = [v for j, v in enumerate(values) if group[j] == group[i]]
        counts = {v: others.count(v) for v in sorted(set(others))}
        ranked = sorted((v for v in counts if v != own), key=lambda v: (-counts[v], v))
        left = {v: c for v, c in counts.items() if v not in ranked[:ruled_out]}
        top = [v for v, c in left.items() if c == max(left.values())]
        right.append((own in top) / len(top))
        certain.append(len(left) == 1)
    return np.mean(right), np.mean(certain)


@pytest.mark.parametrize("ruled_out", [0, 1, 2, 7])
def test_guesses_are_those_of_the_slow_twin(table, ruled_out):
    group = anonymise(table, QUASI, 5, table["number"]).group
    found = guess(group, table["diagnosis"], table["number"], np.random.default_rng(0), ruled_out)
    right, certain = slow_guess(group.tolist(), table["diagnosis"], ruled_out)
    assert found.right == pytest.approx(right)
    assert found.certain == pytest.approx(certain)
    assert found.interval[0] <= found.right <= found.interval[1]
    assert found.majority == pytest.approx(
        max(map(table["diagnosis"].count, set(table["diagnosis"]))) / len(group)
    )


def test_homogeneity_is_found_where_it_is_and_guessing_where_it_is_not():
    group, people = np.repeat(np.arange(50), 4), list(range(200))
    same = [str(g % 2) for g in group]
    found = guess(group, same, people, np.random.default_rng(0))
    assert (found.right, found.certain) == (1.0, 1.0)  # the positive control
    assert found.certain_by_chance < 0.3  # by chance 2 * 0.5**4 = 0.125
    even = ["0", "1", "2", "3"] * 50
    found = guess(group, even, people, np.random.default_rng(0))
    assert (found.right, found.certain) == (0.25, 0.0)
    assert found.majority == 0.25


def test_what_is_known_beforehand_undoes_as_many_values():
    group, people = np.repeat(np.arange(20), 6), list(range(120))
    for values in (2, 3):
        sick = [str(i % values) for i in range(120)]
        for ruled_out in range(3):
            found = guess(group, sick, people, np.random.default_rng(0), ruled_out)
            assert found.certain == (ruled_out >= values - 1)


def test_two_tables_about_one_patient_meet(table):
    """The known flaw (Ganta et al. 2008): each table is k-anonymous, both together tell more."""
    half = {name: column[: len(column) // 2] for name, column in table.items()}
    whole = anonymise(table, QUASI, 5, table["number"], "diagnosis", 2)
    part = anonymise(half, QUASI, 5, half["number"], "diagnosis", 2)
    sure = 0
    for row in range(len(half["age"])):
        sets = [
            {table["diagnosis"][i] for i in np.flatnonzero(one.group == one.group[row])}
            for one in (whole, part)
        ]
        assert min(map(len, sets)) >= 2
        sure += len(set.intersection(*sets)) == 1
    assert sure > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"k": 1}, "k is 1, and the table has 6 patients"),
        ({"k": 7}, "k is 7"),
        ({"k": 4, "patient": list("pppqqr")}, "k is 4, and the table has 3 patients"),
        ({"k": 2, "patient": ["p"]}, "'patient' has 1 values for 6 rows"),
        ({"k": 2, "quasi": {"height": "number"}}, "no column 'height'"),
        ({"k": 2, "quasi": {}}, "at least one quasi-identifier"),
        ({"k": 2, "quasi": {"age": "blob"}}, "'blob' is none of the kinds"),
        ({"k": 2, "quasi": {"sex": "number"}}, "column 'sex', row 0: 'F' is none of whole numbers"),
        ({"k": 2, "quasi": {"sex": "date"}}, "row 0: 'F' is none of days"),
        ({"k": 2, "quasi": {"age": "name"}}, "row 0: 20 is no text"),
        ({"k": 2, "sensitive": "income"}, "column 'income' is missing"),
        ({"k": 2, "sensitive": "age"}, "quasi-identifier"),
        ({"k": 2, "kept": ["income"]}, "column 'income' is missing"),
        ({"k": 2, "different": 2}, "name the sensitive column"),
        ({"k": 2, "sensitive": "illness", "different": 3}, "there are 2"),
    ],
)
def test_what_cannot_be_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        anonymise(**{"table": SMALL, "quasi": {"age": "number"}, **arguments})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "at least one, not"),
        ([20, None], "row 1: None is none of"),
        ([20, float("nan")], "row 1: nan"),
        ([20, 20.5], "row 1: 20.5"),
        ([20, float("inf")], "row 1: inf"),
    ],
)
def test_values_of_another_kind_are_refused(values, says):
    with pytest.raises(ValueError, match=says):
        encode({"age": values}, {"age": "number"})


def test_columns_of_other_lengths_and_wrong_audits_are_refused():
    with pytest.raises(ValueError, match="same number of rows"):
        encode({"age": [1, 2], "sex": ["F"]}, {"age": "number"})
    with pytest.raises(ValueError, match="lacks rows or columns: \\['height'\\]"):
        groups_of(SMALL, ["age", "height"])
    with pytest.raises(ValueError, match="lacks rows"):
        groups_of({"age": []}, ["age"])
    with pytest.raises(ValueError, match="-1 values cannot"):
        guess(np.zeros(3, int), list("aab"), range(3), np.random.default_rng(0), -1)


def test_texts_of_a_column():
    group = np.array([1, 0, 1, 0, 2])
    days = ["2025-02-01", "2024-12-31", "2025-01-01", "2025-01-05", "2025-03-03"]
    ranges = ["2025-01-01 to 2025-02-01", "2024-12-31 to 2025-01-05"]
    assert shown(days, "date", group) == [ranges[0], ranges[1], ranges[0], ranges[1], days[4]]
    assert shown(list("MFFFM"), "name", group) == ["F or M", "F", "F or M", "F", "M"]


def test_no_seed_is_needed_and_the_same_table_gives_the_same_groups(table):
    first, second = (anonymise(table, QUASI, 3, table["number"]) for _ in range(2))
    assert all((a == b).all() for a, b in itertools.pairwise([first.group, second.group]))
