"""The attackers' figures of the second cohorts: of both labels the one of which more is found."""

import json
from pathlib import Path

import pytest

from medpriv_lib.attacks.best import AUC, BEST, OWN, RANK1
from medpriv_lib.study.both_labels import FILE, Reached, most_found, with_both_labels
from medpriv_lib.study.table import read_table
from medpriv_lib.study.verdict import verdicts

RESULTS = Path(__file__).resolve().parent.parent / "chapters" / "results"
SIGNS = [("control", f"true signs on a stranger{more}") for more in ("", ", same pupil")]
TRIVIAL = [
    ("control", "stranger, same pupil"),
    ("control", "mean sign on a stranger"),
    ("control", "own iris in a stranger"),
    ("control", "mean image of the label"),
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


def test_rows_get_the_columns_and_rows_that_were_not_attacked_keep_theirs(tmp_path):
    figures = {"all": {"named": figure(0.2, "ring")}, "diseased": {"others": figure(0.6)}}
    rows = [{"experiment": "e", "set": "a", "figures": figures}]
    rows.append({"experiment": "e", "set": "untrained", "figures": {}})
    content = {"cohorts": {"crossed": {"n": 7, "rows": rows}}}
    table = [{"experiment": "e", "set": name, "n": 7, AUC: None} for name in "ab"]
    table.append({"experiment": "e", "set": "untrained", "n": None, AUC: None})
    assert with_both_labels(table, tmp_path, "crossed") == table  # no file
    (tmp_path / FILE).write_text(json.dumps(content))
    first, *rest = with_both_labels(table, tmp_path, "crossed")
    assert (first[AUC], first[RANK1], first[BEST]) == (60.0, 20.0, "ring")
    assert (first[f"{AUC}_low"], first[f"{AUC}_high"]) == (pytest.approx(50.0), None)
    assert OWN not in first
    assert rest == table[1:]
    assert with_both_labels(table, tmp_path, "confounded") == table
    table[0]["n"] = 8
    with pytest.raises(ValueError, match="7 images of crossed were attacked"):
        with_both_labels(table, tmp_path, "crossed")


@pytest.mark.parametrize("kind", ["crossed", "confounded"])
def test_no_trivial_release_meets_the_verdict_and_the_true_signs_are_the_ceiling(kind):
    """Of what ships: the iris transplant hides nobody, the stencil has no evidence of its own. The
    true signs are linked to other photographs of their visit, so nobody who shows them is hidden."""
    table = read_table(RESULTS / kind / "table.csv")
    found = verdicts(with_both_labels(table, RESULTS, kind))
    for name in TRIVIAL:
        assert found[name].meets_all is False, name
        assert found[name].meets_what_can_be is False, name
    for name in SIGNS:
        assert found[name].line("hidden").holds is False, name
        assert found[name].meets_what_can_be, name
    assert not found["control", "own iris in a stranger"].line("hidden").holds
    assert not found["control", "mean sign on a stranger"].line("evidence").holds
