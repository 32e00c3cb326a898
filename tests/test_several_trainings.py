"""Several trainings of one network beside each other, by seed and by the weight of the identity
head: what is taken, their order, and what may not be mixed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from medpriv_lib.core.weights import FOLDER, read_card

ROOT = Path(__file__).resolve().parents[1]
SEEDS, WEIGHTS = (
    ROOT / "data_scripts" / f"collect_{name}.py" for name in ("trainings", "identity_weight")
)


def folder_of(path: Path, seed: int, rate: float = 1e-3, data: str = "d", rows: int = 1) -> Path:
    """Return a folder with the three files of one training."""
    path.mkdir()
    card = {
        "config": {"training": {"seed": seed, "rate": rate}},
        "data_hash": "d",
        "metrics": {"flipped": 0.5 + seed / 10},
        "curve": {"rounds": [{"round": 10, "psnr": 20.0 + seed}]},
    }
    row = {"experiment": "disentangled", "set": "synthetic identities", "note": ""}
    table = {
        "provenance": {"data_hash": data},
        "rows": [row | {"own_signs_auc": 50.0 + seed}, {**row, "experiment": "blur"}],
    }
    attacked = {"methods": [row | {"figures": {"all": {"named": {"value": seed / 10}}}}] * rows}
    for name, content in (
        ("disentangled-closed.json", card),
        ("table.json", table),
        ("attacks.json", attacked),
    ):
        (path / name).write_text(json.dumps(content), encoding="utf-8")
    return path


def collect(script: Path, out: Path, *paths: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, script, "--out", out, *paths], capture_output=True, text=True
    )


def test_each_training_keeps_its_own_figures(tmp_path):
    folders = [folder_of(tmp_path / f"seed-{seed}", seed) for seed in (2, 0, 1)]
    assert collect(SEEDS, tmp_path / "out.json", *folders).returncode == 0
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found["config"] == {"rate": 1e-3}
    assert found["data_hash"] == "d"
    for one, seed in zip(found["trainings"], (2, 0, 1), strict=True):
        assert one["seed"] == seed
        assert one["metrics"]["flipped"] == 0.5 + seed / 10
        assert one["curve"] == [{"round": 10, "psnr": 20.0 + seed}]
        assert list(one["rows"]) == ["synthetic identities"]
        assert one["rows"]["synthetic identities"]["own_signs_auc"] == 50 + seed
        assert one["attacks"]["all"]["named"]["value"] == seed / 10


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 1, "rate": 2e-3}, "another config"),
        ({"seed": 0}, "one is there twice"),
        ({"seed": 1, "data": "e"}, "of cohort e"),
        ({"seed": 1, "rows": 0}, "0 times instead of once"),
    ],
)
def test_what_does_not_belong_together_is_refused(tmp_path, other, said):
    folders = [folder_of(tmp_path / "one", 0), folder_of(tmp_path / "two", **other)]
    result = collect(SEEDS, tmp_path / "out.json", *folders)
    assert result.returncode == 2
    assert said in result.stderr
    assert not (tmp_path / "out.json").exists()


def test_a_lacking_file_is_named(tmp_path):
    folder = folder_of(tmp_path / "one", 0)
    (folder / "attacks.json").unlink()
    result = collect(SEEDS, tmp_path / "out.json", folder)
    assert result.returncode == 2
    assert f"{folder / 'attacks.json'}: no such file" in result.stderr


def test_the_training_that_ships_is_among_them():
    """With the figures of its card and of the committed table: nobody mixed up the folders."""
    results = ROOT / "chapters" / "results"
    found = json.loads((results / "disentangled-trainings.json").read_text(encoding="utf-8"))
    assert [one["seed"] for one in found["trainings"]] == [0, 1, 2]
    first = found["trainings"][0]
    card = read_card(FOLDER / "crossed" / "disentangled-closed.safetensors")
    assert first["metrics"] == card["metrics"]
    assert first["curve"] == card["curve"]["rounds"]
    table = json.loads((results / "crossed" / "table.json").read_text(encoding="utf-8"))
    rows = {row["set"]: row for row in table["rows"] if row["experiment"] == "disentangled"}
    for name, values in first["rows"].items():
        assert values == {key: rows[name].get(key) for key in values}
    for key in ("flipped", "psnr"):  # three trainings, not one three times
        assert len({one["metrics"][key] for one in found["trainings"]}) == 3


def card_of(path: Path, weight: float, width: int = 16, seed: int = 0, data: str = "d") -> Path:
    """Return the card of one training."""
    card = {
        "architecture": {"width": width},
        "config": {"training": {"identity": weight, "rate": 1e-3, "seed": seed}},
        "data_hash": data,
        "metrics": {"flipped": weight / 10},
    }
    path.write_text(json.dumps(card), encoding="utf-8")
    return path


def test_trainings_stand_in_the_order_of_their_weights(tmp_path):
    cards = [card_of(tmp_path / f"{weight}.json", weight) for weight in (0.5, 5, 0.05)]
    assert collect(WEIGHTS, tmp_path / "out.json", *cards).returncode == 0
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found["architecture"] == {"width": 16}
    assert found["config"] == {"rate": 1e-3, "seed": 0}
    assert [one["identity"] for one in found["trainings"]] == [0.05, 0.5, 5]
    assert all(one["metrics"]["flipped"] == one["identity"] / 10 for one in found["trainings"])


@pytest.mark.parametrize(
    ("weight", "other", "said"),
    [
        (1.5, {"width": 32}, "another architecture"),
        (1.5, {"seed": 1}, "another config"),
        (1.5, {"data": "e"}, "another data_hash"),
        (0.5, {}, "one is there twice"),
    ],
)
def test_other_trainings_than_those_of_one_weight_each_are_refused(tmp_path, weight, other, said):
    cards = [card_of(tmp_path / "a.json", 0.5), card_of(tmp_path / "b.json", weight, **other)]
    result = collect(WEIGHTS, tmp_path / "out.json", *cards)
    assert result.returncode == 2
    assert said in result.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(("text", "said"), [(None, "no such file"), ("{}", "no card")])
def test_a_file_that_is_no_card_is_named(tmp_path, text, said):
    path = tmp_path / "card.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    result = collect(WEIGHTS, tmp_path / "out.json", path)
    assert result.returncode == 2
    assert str(path) in result.stderr
    assert said in result.stderr
