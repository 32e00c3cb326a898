"""The conclusions of the paper, held against its own table and against tables that contradict
it."""

import copy
from pathlib import Path

import pytest
import torch

from medpriv_lib.attacks.best import RANK1
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.train import logits
from medpriv_lib.study.claims import (
    AVERAGED,
    CLAIMS,
    FEW,
    GROUPS,
    HIDDEN,
    MOST,
    RANDOM,
    Answer,
    as_table,
    best_of_hidden,
    both,
    falling,
    render_claims,
    stays,
    verdict,
    weigh,
)
from medpriv_lib.study.paired import Difference
from medpriv_lib.study.table import paper_table, read_table

RESULTS = Path(__file__).parents[1] / "chapters" / "results"
SWAPS = [  # rows whose exchange must break a claim, by the start of its text
    ("The stronger the blur", ("blur", "kernel 3"), ("blur", "kernel 9")),
    ("The strongest blur still", ("blur", "kernel 21"), ("k-same-select", "3 identities")),
    ("Stronger blur loses", ("blur", "kernel 15"), ("blur", "kernel 21")),
    (
        "The larger K, the less",
        ("k-same-select", "9 identities"),
        ("k-same-select", "12 identities"),
    ),
    (
        "The larger K, the worse",
        ("k-same-select", "3 identities"),
        ("k-same-select", "6 identities"),
    ),
    ("PPRL-VGAN hides", ("pprl-vgan", "random identities"), ("blur", "kernel 3")),
    ("PPRL-VGAN exposes", ("pprl-vgan", "random identities"), ("k-same-select", "3 identities")),
    (
        "An identity with",
        ("pprl-vgan", "random identities"),
        ("pprl-vgan", "identities with the same pathology"),
    ),
    (
        "Averaging six",
        ("pprl-vgan", "random identities"),
        ("pprl-vgan", "average of 6 with random identities"),
    ),
    (
        "Averages over",
        ("pprl-vgan", "average of 6 with random identities"),
        ("pprl-vgan", "average of 6 with the same pathology"),
    ),
    (
        "Averaged sets are",
        ("pprl-vgan", "average of 6 with the same pathology"),
        ("k-same-select", "6 identities"),
    ),
]


def test_every_claim_holds_on_the_papers_own_table():
    assert [claim.text for claim, theirs, _ in weigh(paper_table()) if not theirs.holds] == []


@pytest.mark.parametrize(("start", "one", "other"), SWAPS)
def test_every_claim_can_fail(start, one, other):
    rows = copy.deepcopy(paper_table())
    table = as_table(rows)
    for column in list(table[one]):
        if column not in ("experiment", "set"):
            table[one][column], table[other][column] = table[other][column], table[one][column]
    if start == "Averaged sets are":  # both averages must fall behind
        table["pprl-vgan", "average of 6 with random identities"]["disease_accuracy"] = 50.0
    claim = next(claim for claim in CLAIMS if claim.text.startswith(start))
    assert claim.ask(table).holds is False


def test_the_list_of_exchanges_covers_all_claims():
    assert len(SWAPS) == len(CLAIMS)


def test_a_missing_number_is_no_verdict():
    rows = [row for row in paper_table() if row["set"] != "kernel 9"]
    assert verdict(CLAIMS[0].ask(as_table(rows))) == "cannot be said"


def test_overlapping_intervals_are_named():
    rows = {
        ("a", name): {"x": value, "x_low": value - 2, "x_high": value + 2}
        for name, value in (("1", 9.0), ("2", 6.0))
    }
    close, far = falling("x", ("a", "1"), ("a", "2")), falling("x", ("a", "1"), 4.0)
    assert close(rows) == Answer(True, "9.0 | 6.0", False)
    assert verdict(close(rows)) == "holds, within the intervals"
    assert far(rows) == Answer(True, "9.0 | 4.0", True)
    assert verdict(falling("x", ("a", "2"), ("a", "1"))(rows)) == "does not hold"


A, B, C = (("a", name) for name in ("1", "2", "3"))


def overlapping():
    return {
        name: {"x": value, "x_low": value - 2, "x_high": value + 2}
        for name, value in ((A, 9.0), (B, 8.0), (C, 5.0))
    }


def test_rows_are_better_by_their_differences_where_those_are_known():
    ask, rows = falling("x", A, B), overlapping()
    assert ask(rows) == Answer(True, "9.0 | 8.0", False)
    clear, noisy = Difference(1.0, 0.4, 1.6), Difference(1.0, -0.4, 2.4)
    assert ask(rows, {(A, B, "x"): clear}) == Answer(True, "9.0 | 8.0", True, True)
    told = ask(rows, {(A, B, "x"): noisy})
    assert told == Answer(True, "9.0 | 8.0", False, True)
    assert verdict(told) == "holds, though not clearly"
    # of another column, or of another pair: not compared
    assert ask(rows, {(A, B, "y"): clear, (A, C, "x"): clear}) == ask(rows)
    # every pair of a group counts, and one that is missing leaves all to the intervals
    both_known = {(A, B, "x"): noisy, (A, C, "x"): clear}
    ask = falling("x", A, (B, C))
    assert ask(rows, both_known).clear is False
    assert ask(rows, both_known | {(A, B, "x"): clear}).clear is True
    assert ask(rows, {(A, C, "x"): clear}).paired is False


def test_what_does_not_hold_may_not_hold_clearly():
    rows, ask = overlapping(), falling("x", B, A, C)
    steps = {(B, A, "x"): Difference(-1, -2.4, 0.4), (A, C, "x"): Difference(4, 3, 5)}
    told = ask(rows, steps)
    assert (told.holds, told.clear, told.paired) == (False, False, True)
    assert verdict(told) == "does not hold, though not clearly"
    told = ask(rows, steps | {(B, A, "x"): Difference(-1, -1.6, -0.4)})
    assert verdict(told) == "does not hold"
    assert told.clear is True
    good = falling("x", A, C)
    whole = both(good, ask)(rows, steps)
    assert (whole.holds, whole.clear, whole.paired) == (False, False, True)
    assert both(good, good)(rows, steps) == Answer(True, "9.0 | 5.0; 9.0 | 5.0", True, True)


def test_a_threshold_needs_no_second_row():
    rows = overlapping()
    assert falling("x", A, 4.0)(rows, {(A, B, "x"): Difference(1, 0, 2)}).paired is False


def hidden(**values):
    return {
        name: dict(identity_accuracy=named, replacement_identity_accuracy=lent)
        | dict(disease_accuracy=read, disease_accuracy_low=read - 3, disease_accuracy_high=read + 3)
        for name, (named, lent, read) in zip(
            (AVERAGED[0], AVERAGED[1], GROUPS[3], RANDOM), values.values(), strict=False
        )
    }


def test_the_best_of_the_hidden_is_clear_or_it_is_not():
    """The largest that is named less than the limit, against each hidden method of other kinds."""
    table = hidden(one=(4.0, 12.0, 84.0), two=(4.0, 14.0, 86.0), group=(3.0, 16.0, 83.0))
    key = (AVERAGED[1], GROUPS[3], "disease_accuracy")
    ask = best_of_hidden(20.0)
    assert ask(table).holds
    assert verdict(ask(table)) == "holds, within the intervals"
    assert verdict(ask(table, {key: Difference(3.0, 1.0, 5.0)})) == "holds"
    assert ask(table, {key: Difference(3.0, 1.0, 5.0)}).paired
    assert verdict(ask(table, {key: Difference(3.0, -1.0, 7.0)})) == "holds, though not clearly"
    far = table | {GROUPS[3]: table[GROUPS[3]] | {"disease_accuracy_high": 82.9}}
    assert ask(far).clear is True
    # a rival is best: the claim fails, clearly only against both averages
    table[GROUPS[3]] |= {"disease_accuracy": 87.0}
    found = {(GROUPS[3], name, "disease_accuracy"): Difference(2.0, 1.0, 3.0) for name in AVERAGED}
    assert verdict(ask(table, found)) == "does not hold"
    found[GROUPS[3], AVERAGED[1], "disease_accuracy"] = Difference(1.0, -1.0, 3.0)
    assert verdict(ask(table, found)) == "does not hold, though not clearly"
    # nobody else is hidden: nothing to be better than
    alone = best_of_hidden(15.0)(table, found)
    assert (alone.holds, alone.clear) == (True, None)
    assert "no other kind" in alone.numbers
    assert best_of_hidden(1.0)(table).holds is None
    unnamed = {name: row | {"identity_accuracy": None} for name, row in table.items()}
    assert ask(unnamed).holds is None


def test_thresholds_are_swept_over_all_that_give_the_same_answer():
    """Against the ends that the cells themselves have: the answer changes where a value is met."""
    table = as_table(paper_table())
    few, most, best = (one for one in CLAIMS if one.at is not None)
    assert [one.threshold for one in (few, most, best)] == [FEW, MOST, HIDDEN]
    assert f"{FEW:.0f} %" in few.text
    named = [table[name]["identity_accuracy"] for name in table if name[0] == "pprl-vgan"][:3]
    low, high = stays(few, table)
    assert high == 100
    assert max(named) < low <= max(named) + 0.1
    lent = [
        table[name]["replacement_identity_accuracy"] for name in table if name[0] == "pprl-vgan"
    ]
    low, high = stays(most, table)
    assert low == 0
    assert min(lent[:3]) - 0.1 <= high < min(lent[:3])
    low, high = stays(best, table)
    for tenth in range(1001):
        same = best.at(tenth / 10)(table).holds is best.ask(table).holds
        if low <= tenth / 10 <= high:
            assert same
        elif tenth / 10 in (round(low - 0.1, 1), round(high + 0.1, 1)):
            assert not same
    assert low <= HIDDEN <= high
    assert stays(CLAIMS[0], table) is None


def test_an_answer_that_hangs_on_the_threshold_says_so():
    table = hidden(one=(4.0, 24.7, 84.0), two=(4.0, 29.2, 86.0), group=(3.0, 60.0, 99.0))
    best = next(one for one in CLAIMS if one.at is best_of_hidden)
    assert best.ask(table).holds is None
    assert stays(best, table) == (0.0, 24.6)
    assert best.at(24.7)(table).holds
    assert best.at(60.0)(table).holds is False


def test_the_page_says_over_which_thresholds_and_how_rows_were_compared():
    rows = read_table(RESULTS / "crossed" / "table.csv")
    page = render_claims(rows)
    assert page.count("the same for any limit from") == 3
    assert "not compared image by image" in page
    pair = {(RANDOM, AVERAGED[0], "replacement_identity_accuracy"): Difference(70.0, 60.0, 80.0)}
    page = render_claims(rows, pair)
    assert "are compared image by image" in page


def test_the_page_escapes_and_has_one_row_a_claim():
    page = render_claims(paper_table())
    assert page.count("<tr>") == len(CLAIMS) + 1
    assert "<script" not in page


def test_the_landing_page_is_right_about_the_strongest_blur():
    """Fewer than one in five is named, and more than half of the ill eyes are overlooked; who
    learns from blurred images names most."""
    test = default_cohort().of("test")
    judges, blurred = (
        Judges.load(),
        Blur(21).privatize(test, torch.Generator().manual_seed(0)).images,
    )
    assert (logits(judges.identity, blurred).argmax(1).numpy() == test.patient).mean() < 0.2
    assert logits(judges.disease, blurred[test.diseased]).argmax(1).numpy().mean() < 0.5
    rows = read_table(RESULTS / "confounded" / "table.csv")
    assert as_table(rows)["blur", "kernel 21"][RANK1] > 50
