"""The conclusions of the paper, held against its own table and against tables that contradict
it."""

import copy

import pytest
import torch

from medpriv_lib.data.default import default_cohort
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.train import logits
from medpriv_lib.study.claims import (
    CLAIMS,
    Answer,
    as_table,
    falling,
    render_claims,
    verdict,
    weigh,
)
from medpriv_lib.study.table import paper_table

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


def test_the_page_escapes_and_has_one_row_a_claim():
    page = render_claims(paper_table())
    assert page.count("<tr>") == len(CLAIMS) + 1
    assert "<script" not in page


def test_the_landing_page_is_right_about_the_strongest_blur():
    """Hardly anybody is named, and nearly every eye is read as diseased, the healthy ones
    included."""
    test = default_cohort().of("test")
    judges, blurred = (
        Judges.load(),
        Blur(21).privatize(test, torch.Generator().manual_seed(0)).images,
    )
    assert (logits(judges.identity, blurred).argmax(1).numpy() == test.patient).mean() < 0.1
    assert logits(judges.disease, blurred[~test.diseased]).argmax(1).numpy().mean() > 0.9
