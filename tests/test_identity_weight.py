"""Trainings with several weights of the identity head: their order, and what may not be mixed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "data_scripts" / "collect_identity_weight.py"


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


def collect(out: Path, *cards: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, SCRIPT, "--out", out, *cards], capture_output=True, text=True
    )


def test_trainings_stand_in_the_order_of_their_weights(tmp_path):
    cards = [card_of(tmp_path / f"{weight}.json", weight) for weight in (0.5, 5, 0.05)]
    assert collect(tmp_path / "out.json", *cards).returncode == 0
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
def test_what_does_not_belong_together_is_refused(tmp_path, weight, other, said):
    cards = [card_of(tmp_path / "a.json", 0.5), card_of(tmp_path / "b.json", weight, **other)]
    result = collect(tmp_path / "out.json", *cards)
    assert result.returncode == 2
    assert said in result.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(("text", "said"), [(None, "no such file"), ("{}", "no card")])
def test_a_file_that_is_no_card_is_named(tmp_path, text, said):
    path = tmp_path / "card.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    result = collect(tmp_path / "out.json", path)
    assert result.returncode == 2
    assert str(path) in result.stderr
    assert said in result.stderr
