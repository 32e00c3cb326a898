"""What each technology of collection states of itself and costs, and the study that measures this."""

import json

import pytest

from medpriv_lib.collection import costs
from medpriv_lib.study import collection as study


@pytest.mark.parametrize("technology", list(costs.TECHNOLOGIES))
def test_each_technology_says_what_it_hides_and_what_it_costs(technology):
    said = costs.DESCRIBED[technology]
    for text in (said.hides, said.trusted, said.open):
        assert text.endswith(".")
        assert "  " not in text
    assert "from" in said.hides  # what, and from whom
    found = costs.cost(technology, 20)
    assert found.n == 20
    assert found.seconds > 0
    assert found.bytes > 0


def test_bytes_are_counted_by_hand():
    assert costs.cost("keyed pseudonyms", 30).bytes == 30 * 20
    points, heads = 32 * 3 * 30, 2 * (16 + 32 + 32 + 8) + 8 + 16
    assert costs.cost("private set intersection", 30).bytes == points + heads


def test_the_bytes_of_an_upload_are_those_of_the_shares():
    few = costs.cost("secret-shared upload", 400)
    assert few.bytes == 400 * 2 * (16 + 2 + 8 * 5 * 2)  # five diagnoses, a count and an age


def test_a_module_without_a_statement_and_an_unknown_technology_are_refused():
    with pytest.raises(ValueError, match="no line that begins with 'Hides:'"):
        costs.described("medpriv_lib.collection.identifiers")
    for technology, n in (("magic", 100), ("keyed pseudonyms", 3)):
        with pytest.raises(ValueError, match="choose one of"):
            costs.cost(technology, n)


def test_the_study_goes_on_where_it_was_stopped(tmp_path):
    said: list[str] = []
    sizes = {"keyed pseudonyms": [10], study.INTERSECTION: [5]}
    first = study.measure(tmp_path, said.append, sizes)
    found = study.measure(tmp_path, said.append, {**sizes, study.INTERSECTION: [5, 10]})
    assert said == [
        "keyed pseudonyms, 10 patients",
        "private set intersection, 5 patients",
        "private set intersection, 10 patients",
    ]
    assert found["points"][:2] == first["points"]
    assert found == json.loads((tmp_path / study.NAME).read_text())
    assert found["intersection"]["measured_100000"] is False
    changed = found | {"provenance": found["provenance"] | {"machine": "another"}}
    (tmp_path / study.NAME).write_text(json.dumps(changed))
    study.measure(tmp_path, said.append, {"keyed pseudonyms": [10]})
    assert len(said) == 4  # numbers of another machine are not mixed with these


def test_the_line_is_that_of_the_points():
    points = [
        {"technology": study.INTERSECTION, "n": n, "seconds": s}
        for n, s in ((1000, 0.5), (20_000, 8.0), (100_000, 45.0))
    ]
    found = study.straight(points)
    assert found["spread"] == [400.0, 500.0]
    assert found["microseconds"] == 450.0
    assert (found["predicted_100000"], found["predicted_from"]) == (40.0, 20_000)
    assert found["measured_100000"] is True
    assert study.straight([]) == {}


def test_what_ships_was_measured_with_these_settings():
    path = study.Path(__file__).parent.parent / "chapters" / "results" / study.NAME
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["provenance"]["technologies"] == sorted(costs.TECHNOLOGIES)
    measured = {(one["technology"], one["n"]) for one in found["points"]}
    assert {one for one, _ in measured} == set(costs.TECHNOLOGIES)
    for one in found["points"]:
        if one["technology"] == study.INTERSECTION:
            assert one["bytes"] == 32 * 3 * one["n"] + 2 * (16 + 32 + 32 + 8) + 8 + 16
