"""The study of what secure aggregation costs: it goes on, checks its sums, and plans by counts."""

import json

import numpy as np
import pytest

from medpriv_lib.study import secure_aggregation as study


def test_the_study_goes_on_where_it_was_stopped(tmp_path):
    said = []
    study.measure(tmp_path, said.append, (3, 4), (10,))
    first = json.loads((tmp_path / study.NAME).read_text())
    found = study.measure(tmp_path, said.append, (3, 4, 5), (10,))
    assert said == ["3 sites, 10 weights", "4 sites, 10 weights", "5 sites, 10 weights"]
    assert found["points"][:2] == first["points"]
    assert found == json.loads((tmp_path / study.NAME).read_text())
    for one in found["points"]:
        assert one["lost"] == 1
        assert min(one["cpu"][part] for part in ("share", "mask", "reveal", "collect", "open")) > 0
    changed = found | {"provenance": found["provenance"] | {"machine": "another"}}
    (tmp_path / study.NAME).write_text(json.dumps(changed))
    study.measure(tmp_path, said.append, (3, 4), (10,))
    assert len(said) == 5  # numbers of another machine are not mixed with these


def test_the_threshold_leaves_drop_outs_and_a_majority():
    for sites in range(3, 200):
        threshold = study.threshold_of(sites)
        assert sites < 2 * threshold
        assert threshold < sites


@pytest.mark.parametrize("part", list(study.COUNTS))
def test_the_fit_finds_the_constants_that_made_the_seconds(part):
    """Made-up seconds follow the counts exactly; the prediction for 1,000 sites must as well."""
    shapes = [(n, study.threshold_of(n), m) for n in (3, 10, 30, 100) for m in (1000, 10**6)]
    made = np.array([3e-4, 2e-6, 5e-9][: len(study.COUNTS[part](1, 1, 1))])
    points = [
        {
            "sites": n,
            "threshold": t,
            "weights": m,
            "cpu": {part: float(made @ study.COUNTS[part](n, t, m))},
        }
        for n, t, m in shapes
    ]
    asked = (1000, 667, 11_689_512)
    found = study._predict(study._fit(points, part), part, *asked)
    assert found == pytest.approx(float(made @ study.COUNTS[part](*asked)), rel=1e-4)


def test_a_round_whose_bytes_are_not_as_counted_stops_the_study(monkeypatch):
    monkeypatch.setattr(study, "bytes_of", lambda sites, numbers: {"sent": 1, "got": 1})
    with pytest.raises(RuntimeError, match="not as counted"):
        study.timed_round(3, 10, 0)
