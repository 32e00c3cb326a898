"""The best attacker's figures: of both labels the one of which more is found."""

from pathlib import Path

import pytest

from medpriv_lib.attacks.best import (
    AUC,
    BEST,
    COLUMNS,
    LENT,
    LENT_AUC,
    OWN,
    RANK1,
    Lent,
    Reached,
    best_figures,
    columns,
    most_found,
    most_lent,
)
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.study.attacks import read_attacks
from medpriv_lib.study.table import read_table
from medpriv_lib.study.verdict import verdicts

RESULTS = Path(__file__).resolve().parent.parent / "chapters" / "results"
SIGNS = [("control", f"true signs on a stranger{more}") for more in ("", ", same pupil")]
TRIVIAL = [
    ("control", "stranger"),
    ("control", "stranger, same pupil"),
    ("control", "mean sign on a stranger"),
    ("control", "own iris in a stranger"),
    ("control", "mean image of the label"),
    ("control", "real image, other patient, same label"),
    ("control", "prior sample, random identities"),
    ("control", "prior sample, same pathology"),
]
DECODED = ("pprl-vgan", "random identities")
MEAN = ("pprl-vgan", "average of 6 with random identities")
# what prototypes of the attackers reached, before they were written, on a cohort without visits
REACHED = [
    (DECODED, "code reading", "own_auc", 0.891),
    (DECODED, "code reading", "own_tar_1", 0.136),
    (DECODED, "code reading", "linkage_auc", 0.603),
    (DECODED, "several releases, codes", "own_auc", 0.989),
    (DECODED, "several releases, codes", "rank1_own", 0.44),
    (MEAN, "unmixing", "linkage_auc", 0.904),
    (MEAN, "unmixing", "found", 0.52),
    (MEAN, "unmixing", "first", 0.69),
    (MEAN, "named in a mean", "rank1", 0.158),
    (MEAN, "named in a mean", "rank5", 0.51),
    (("control", "own iris in a stranger"), "iris ring", "rank1", 0.84),
]


def figure(value, attack="one"):
    return {"value": value, "low": value - 0.1, "high": None, "attack": attack, "chance": 0.5}


def test_the_label_of_which_more_is_found_counts():
    figures = {
        "all": {"others": figure(0.54), "named": figure(0.3)},
        "healthy": {"others": figure(0.51), "source": figure(0.9, "pupil")},
        "diseased": {"others": figure(0.67, "signs")},
    }
    found = most_found(figures, "others")
    assert found == Reached(pytest.approx(67.0), pytest.approx(57.0), None, "diseased", "signs")
    assert most_found(figures, "source").label == "healthy"
    assert most_found(figures, "named").label == "all"
    assert most_found(figures, "contributors") is None
    assert most_found({}, "others") is None


def test_the_columns_are_those_of_the_label_of_which_more_is_found():
    figures = {"all": {"named": figure(0.2, "ring")}, "diseased": {"others": figure(0.6)}}
    cells = columns(figures)
    assert (cells[AUC], cells[RANK1], cells[BEST]) == (60.0, 20.0, "ring")
    assert (cells[f"{AUC}_low"], cells[f"{AUC}_high"]) == (pytest.approx(50.0), None)
    assert cells[OWN] is None
    assert columns({})[BEST] == ""


def test_of_contributors_the_attack_counts_that_beats_its_own_guess_most():
    def of(name, rank1, chance, ill=None, ill_chance=None):
        by = {} if ill is None else {"diseased": {"rank1": (ill, ill - 0.1, ill + 0.1)}}
        return Finding(
            name, "nothing.", {"rank1": rank1}, {"rank1": (rank1 - 0.02, rank1 + 0.02)},
            {"rank1": chance}, kind="contributors", target="contributor", by_label=by,
            label_chance={} if ill is None else {"diseased": {"rank1": ill_chance}},
        )  # fmt: skip

    # one looks among many images, and its guess is better
    found = best_figures([of("reverse", 0.3, 0.2), of("named", 0.25, 0.05)])
    assert found["all"]["contributors_named"]["attack"] == "named"
    assert most_lent(found) == Lent(
        25.0, pytest.approx(23.0), pytest.approx(27.0), 5.0, "all", "named"
    )
    # by label the guess knows the label, and counts in place of that over all
    found = best_figures([of("named", 0.25, 0.05, ill=0.4, ill_chance=0.3)])
    lent = most_lent(found)
    assert (lent.label, lent.value, lent.guess) == ("diseased", 40.0, 30.0)
    cells = columns(found)
    assert (cells[LENT], cells[f"{LENT}_guess"]) == (40.0, 30.0)
    assert cells[f"{LENT}_low"] == pytest.approx(30.0)
    assert cells[LENT_AUC] is None
    assert most_lent({}) is None
    assert columns({"all": {"contributors": figure(0.9)}})[LENT_AUC] == 90.0
    assert set(cells) == set(COLUMNS)


@pytest.mark.parametrize("kind", ["crossed", "confounded"])
def test_the_cells_of_the_table_are_those_of_the_attacks_beside_it(kind):
    content = read_attacks(RESULTS / kind)
    table = {
        (row["experiment"], row["set"]): row for row in read_table(RESULTS / kind / "table.csv")
    }
    lending = 0
    for one in content["methods"]:
        cells = columns(one["figures"])
        for key in (LENT, f"{LENT}_low", f"{LENT}_guess", LENT_AUC, f"{LENT_AUC}_high"):
            shown = table[one["experiment"], one["set"]][key]
            assert shown == (None if cells[key] is None else pytest.approx(cells[key], abs=0.006))
        lending += cells[LENT] is not None
    assert lending >= 10  # PPRL-VGAN and its averages, K-Same-Select, means of identities


@pytest.mark.parametrize("kind", ["crossed", "confounded"])
@pytest.mark.parametrize(("name", "attack", "measure", "least"), REACHED)
def test_the_attackers_reach_what_their_prototypes_did(kind, name, attack, measure, least):
    (row,) = [
        one
        for one in read_attacks(RESULTS / kind)["methods"]
        if (one["experiment"], one["set"]) == name
    ]
    (found,) = [one["measures"] for one in row["findings"] if one["attack"] == attack]
    assert found[measure] >= least


@pytest.mark.parametrize("kind", ["crossed", "confounded"])
def test_whoever_shows_patients_lends_them_and_who_shows_none_does_not(kind):
    found = verdicts(read_table(RESULTS / kind / "table.csv"))
    for name in (
        ("pprl-vgan", "random identities"),
        ("pprl-vgan", "average of 6 with the same pathology"),
        ("k-same-select", "12 identities, release form"),
        ("control", "real image, other patient, same label"),
    ):
        assert found[name].line("lends nobody").holds is False, name
    for name in (("control", "stranger"), ("sign-transfer", "pupil kept"), ("blur", "kernel 9")):
        assert found[name].line("lends nobody").holds is True, name


@pytest.mark.parametrize("kind", ["crossed", "confounded"])
def test_no_trivial_release_meets_the_verdict_and_the_true_signs_are_the_ceiling(kind):
    """Of what ships: the iris transplant hides nobody, the stencil has no evidence of its own. The
    true signs are linked to other photographs of their visit, so nobody who shows them is hidden.
    """
    found = verdicts(read_table(RESULTS / kind / "table.csv"))
    for name in TRIVIAL:
        assert found[name].meets_all is False, name
        assert found[name].meets_what_can_be is False, name
    for name in SIGNS:
        assert found[name].line("hidden").holds is False, name
        assert found[name].meets_what_can_be, name
    assert not found["control", "own iris in a stranger"].line("hidden").holds
    assert not found["control", "mean sign on a stranger"].line("evidence").holds
