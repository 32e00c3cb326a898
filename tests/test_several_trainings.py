"""Several trainings of one network beside each other: what is taken, and what may not be mixed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from medpriv_lib.core.weights import FOLDER, read_card

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "data_scripts" / "collect_trainings.py"


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


def collect(out: Path, *folders: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, SCRIPT, "--out", out, *folders], capture_output=True, text=True
    )


def test_each_training_keeps_its_own_figures(tmp_path):
    folders = [folder_of(tmp_path / f"seed-{seed}", seed) for seed in (2, 0, 1)]
    assert collect(tmp_path / "out.json", *folders).returncode == 0
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
    result = collect(tmp_path / "out.json", *folders)
    assert result.returncode == 2
    assert said in result.stderr
    assert not (tmp_path / "out.json").exists()


def test_a_lacking_file_is_named(tmp_path):
    folder = folder_of(tmp_path / "one", 0)
    (folder / "attacks.json").unlink()
    result = collect(tmp_path / "out.json", folder)
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
