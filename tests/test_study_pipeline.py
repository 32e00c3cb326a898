"""The map: its cells, the reasons of empty places, the claims, what a reader sees, and going on."""

import json

import numpy as np
import pytest

from medpriv_lib.pipeline.deep_radiomics import SLOTS
from medpriv_lib.study.pipeline import run as study
from medpriv_lib.study.pipeline import shown
from medpriv_lib.study.pipeline.cells import STAGES, cells, reason
from medpriv_lib.study.pipeline.claims import claims


def attack(value, chance=0.01, name="patients named"):
    return {"attack": name, "value": value, "low": value, "high": value, "chance": chance, "n": 9}


def cell(stage, name, auc, value=None, epsilon=3.0, **notes):
    technology = SLOTS[stage][name]
    promise = technology.promise
    return {
        "stage": stage, "name": name, "technology": technology.title, "features": "radiomics",
        "epsilon": epsilon, "hides": promise.hides, "whom": promise.whom, "trusts": promise.trusts,
        "not_against": promise.not_against, "auc": [auc, auc - 0.05, auc + 0.05], "images": 9,
        "patients": 3, "trainings": 2, "cpu_seconds": 1.5, "bytes": 1500, "notes": notes,
        "attacks": [] if value is None else [attack(value)], "chapter": technology.chapter,
    }  # fmt: skip


@pytest.fixture
def content():
    some = {
        "release/plain/radiomics/3": cell("release", "plain", 0.85, 0.6, None),
        "release/local/radiomics/3": cell("release", "local", 0.55, 0.01),
        "train/private/radiomics/3": cell("train", "private", 0.8, 0.02),
        "train/masked/radiomics/3": cell("train", "masked", 0.85, 0.02, None),
        "train/each/radiomics/3": cell("train", "each", 0.6, 0.02),
        "train/shares/radiomics/3": cell("train", "shares", 0.8, 0.02),
        "explain/original/radiomics/3": cell("explain", "original", 0.9, 0.99, None),
        "infer/ckks/radiomics/3": cell("infer", "ckks", 0.85, None, None, error=1e-4,
                                       seconds_each=0.2, bytes_each=5e5),
        "infer/shared/radiomics/3": cell("infer", "shared", 0.8, None, None, error=1e-5,
                                         seconds_each=0.02, bytes_each=1500.0),
    }  # fmt: skip
    return study.finished({"provenance": {}, "cells": some})


def test_every_technology_has_its_place_and_no_place_twice():
    keys = [one.key for one in cells()]
    assert len(set(keys)) == len(keys)
    for stage, there in SLOTS.items():
        for name in there:
            assert f"{stage}/{name}/radiomics/3" in keys


def test_every_other_place_says_why_it_is_empty(content):
    assert len(content["empty"]) == len(STAGES) * (len(STAGES) - 1)
    assert reason("explain", "train") == (
        "it works on pictures; this arrow carries gradients and models, while they are made"
    )
    assert "train/pooled/deep/3" in content["to_do"]
    assert len(shown.empty(content)) == len(content["empty"]) + len(content["to_do"])


def test_claims_follow_the_numbers(content):
    verdicts = {one["said"][:12]: one["verdict"] for one in content["claims"]}
    assert list(verdicts.values()) == ["supported", "supported", "supported", "contradicted"]
    content["cells"]["infer/ckks/radiomics/3"]["notes"]["seconds_each"] = 9.0
    assert claims(content["cells"])[3]["verdict"] == "supported"
    content["cells"]["train/each/radiomics/3"]["auc"] = [0.9, 0.85, 0.95]
    turned = {one["said"][:12]: one["verdict"] for one in claims(content["cells"])}
    assert turned["combining se"] == "contradicted"
    content["cells"]["release/local/radiomics/3"]["auc"] = [0.8, 0.75, 0.85]
    assert [one["verdict"] for one in claims(content["cells"])][1] == "both"
    assert claims({}) == []


def test_what_a_reader_sees(content, tmp_path):
    rows = shown.rows(content)
    assert all(len(row) == len(shown.COLUMNS) for row in rows)
    assert rows[1][1] == "local differential privacy, epsilon 3"
    assert rows[0][6] == (0.85, "0.85 [0.80, 0.90]")
    assert rows[0][8] == (1500, "1.5 kB")
    said = shown.said(content, "release")
    assert "Most useful: vectors as they are, AUC 0.85." in said
    assert "Most exposed: vectors as they are, patients named 0.60, guessing 0.01." in said
    assert "not measured yet" in shown.said(content, "collect")
    masked = {row[9] for row in rows if row[0] == "decision"}
    assert masked == {shown.MASKED}  # no attack reads it, and the table says why
    order = list(shown.ARROWS.values())
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), key=order.index)
    sizes = {tuple(shown.draw(content, stage).get_size_inches()) for stage in shown.ARROWS}
    assert len(sizes) == 1
    (tmp_path / "pipeline.json").write_text(json.dumps(content))
    assert shown.read_map(tmp_path / "pipeline.json")["claims"] == content["claims"]
    with pytest.raises(FileNotFoundError, match="medpriv study --pipeline"):
        shown.read_map(tmp_path / "none.json")


def timeless(content):
    return [
        {k: v for k, v in one.items() if k != "cpu_seconds"} for one in content["cells"].values()
    ]


def test_the_study_goes_on_where_it_stopped(tmp_path):
    from test_deep_radiomics import prepared

    pytest.importorskip("tenseal")
    work, asked = prepared(), []

    def acquire(cohort, how):
        asked.append(how)
        return work

    own = {"cohort": work.cohort, "described": acquire}
    wanted = [
        one
        for one in cells()
        if one.key in ("release/plain/radiomics/3", "train/federated/radiomics/3")
    ]

    def stop(text):
        if "AUC" in text:  # the first place is finished
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.measure(tmp_path, stop, wanted, **own)
    first = json.loads((tmp_path / "pipeline.json").read_text())
    assert list(first["cells"]) == [wanted[0].key]
    both = study.measure(tmp_path, lambda text: None, wanted, **own)
    assert len(both["cells"]) == 2
    assert asked == ["radiomics", "radiomics"]
    study.measure(tmp_path, lambda text: None, wanted, **own)
    assert len(asked) == 2
    (tmp_path / "at once").mkdir()
    at_once = study.measure(tmp_path / "at once", lambda text: None, wanted, **own)
    assert timeless(at_once) == timeless(both)  # whether it was stopped or not
    hospitals = both["cells"]["train/federated/radiomics/3"]["attacks"]
    assert {one["attack"] for one in hospitals} == {"hospital named", "membership, AUC"}
    named = both["cells"]["release/plain/radiomics/3"]["attacks"][0]
    assert named["value"] > 5 * named["chance"]  # the patients of this cohort are easily told apart
    assert np.isfinite(both["cells"]["release/plain/radiomics/3"]["auc"]).all()
