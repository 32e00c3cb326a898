"""Weights on disk: what is written comes back, and what was changed is refused."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_cohorts import cohort_of, toy_cohort

from medpriv_lib.core import weights
from medpriv_lib.core.budgets import TOY
from medpriv_lib.data.packaged import KINDS
from medpriv_lib.pipeline import weights as pipeline_weights
from medpriv_lib.pipeline.weights import fit_weights, load_weights

CARD = {
    "kind": "toy",
    "data_hash": "0" * 16,
    "config": {"size": 16},
    "seed": 1,
    "command": "pytest",
    "metrics": {"accuracy": 0.5},
    "curve": {"loss": [1.0, 0.5]},
}


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "a": torch.randn(3, 4, generator=generator),
        "b": torch.arange(5),
        "c": torch.randn(2, generator=generator).half(),
    }


@pytest.fixture
def path(tmp_path, tensors):
    return weights.save(tmp_path / "toy", tensors, CARD)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_what_is_saved_comes_back_equal(path, tensors):
    loaded, card = weights.load(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert {key: card[key] for key in CARD} == CARD
    assert card["versions"]["torch"] == torch.__version__
    assert sorted(file.name for file in path.parent.iterdir()) == ["toy.json", "toy.safetensors"]


def test_the_path_may_carry_no_suffix_or_dots(tmp_path, tensors):
    path = weights.save(tmp_path / "vgan-1.5", tensors, CARD)
    assert path.name == "vgan-1.5.safetensors"
    assert weights.read_card(tmp_path / "vgan-1.5.json")["kind"] == "toy"
    weights.load(tmp_path / "vgan-1.5")


def test_one_changed_tensor_is_refused(path, tensors):
    tensors["a"][0, 0] += 1e-3
    save_file(tensors, path)
    with pytest.raises(
        ValueError, match=r"toy\.safetensors: wrong or tampered weights.*medpriv fit"
    ):
        weights.load(path)


def test_one_flipped_bit_and_a_truncated_file_are_refused(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="tampered"):
        weights.load(path)
    path.write_bytes(whole[:-8])
    with pytest.raises(ValueError, match="tampered"):
        weights.load(path)


def test_missing_card_and_missing_weights_are_named(path):
    card = path.with_suffix(".json")
    text = card.read_text()
    card.unlink()
    with pytest.raises(FileNotFoundError, match=r"toy\.json: no such card"):
        weights.load(path)
    card.write_text(text)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"toy\.safetensors: no such weights"):
        weights.load(path)
    (path.parent / "judges-in-training").mkdir()
    with pytest.raises(FileNotFoundError, match="not finished: give the same `medpriv fit` once"):
        weights.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": None}, "seed"),
        ({"seed": True}, "seed"),
        ({"curve": []}, "curve"),
        ({"sha256": 3}, "sha256"),
        ({"format": 99}, "version 99"),
        ({"format": 1}, "version 1, this library reads 2; train them again"),
    ],
)
def test_a_card_of_another_shape_is_refused(path, change, message):
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(ValueError, match=rf"toy\.json.*{message}"):
        weights.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"data_hash": "1" * 16},
        {"seed": 2},
        {"command": "something else"},
        {"patient_names": ["A", "C"]},
        {"metrics": {"accuracy": 0.75}},
        {"config": {"size": 16, "more": 1}},
        {"added": 1},
        {"checksum": "0" * 64},
    ],
)
def test_an_edited_card_is_noticed(tmp_path, tensors, change):
    path = weights.save(tmp_path / "toy", tensors, CARD | {"patient_names": ["A", "B"]})
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(
        ValueError, match=r"toy\.json: the card was changed after the training; train"
    ):
        weights.load(path)
    with pytest.raises(ValueError, match="changed after the training"):
        weights.read_card(path)


def test_a_card_that_is_written_otherwise_but_says_the_same_is_read(path):
    card = path.with_suffix(".json")
    told = json.loads(card.read_text())
    card.write_text(json.dumps(dict(reversed(told.items())), indent=4))
    assert weights.read_card(path) == told


def test_keys_and_tuples_that_json_changes_do_not_spoil_the_checksum(tmp_path, tensors):
    odd = {"config": {"widths": (1, 2), "by_number": {2: "b", 10: "a"}}}
    path = weights.save(tmp_path / "odd", tensors, CARD | odd)
    assert weights.read_card(path)["config"] == {
        "widths": [1, 2],
        "by_number": {"2": "b", "10": "a"},
    }


SAVED = """
import sys, torch
from medpriv_lib.core import weights
tensors = {f"t{i}": torch.full((3,), float(i)) for i in range(9)}
weights.save(sys.argv[1], tensors, dict(kind="toy", data_hash="1", config={}, seed=2, command="",
             metrics={}, curve={}))
"""


def test_equal_weights_are_equal_files_in_every_process(tmp_path):
    for seed in ("1", "2"):  # in which sets and hashes have another order
        (tmp_path / seed).mkdir()
        subprocess.run(
            [sys.executable, "-c", SAVED, str(tmp_path / seed / "toy")],
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=Path(weights.__file__).parents[2],
        )
    for file in ("toy.safetensors", "toy.json"):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00", "[" * 100_000])
def test_a_damaged_card_is_refused(path, text):
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match=r"toy\.json"):
        weights.load(path)


def test_another_kind_is_refused(path):
    with pytest.raises(ValueError, match="of kind 'toy', not 'judges'"):
        weights.load(path, kind="judges")


def test_nan_is_refused_when_saved_and_nothing_is_lost(path, tensors):
    before = contents(path.parent)
    tensors["a"][1, 1] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinite values in a"):
        weights.save(path, tensors, CARD)
    assert contents(path.parent) == before


def test_nan_is_refused_when_loaded(path, tensors):
    tensors["c"][0] = float("inf")
    save_file(tensors, path)
    card = path.with_suffix(".json")
    told = json.loads(card.read_text()) | {"sha256": weights.sha256_of(path)}
    card.write_text(json.dumps(weights.stamped(told)))
    with pytest.raises(ValueError, match="NaN or infinite values in c"):
        weights.load(path)


@pytest.mark.parametrize(
    "change", [{"seed": "one"}, {"metrics": None}, {"metrics": {"f1": float("nan")}}]
)
def test_an_incomplete_card_is_refused_before_anything_is_written(tmp_path, tensors, change):
    with pytest.raises(ValueError, match="card"):
        weights.save(tmp_path / "toy", tensors, CARD | change)
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_the_old_pair(path, tensors, monkeypatch):
    before = contents(path.parent)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        weights.save(path, tensors, CARD | {"seed": 2})
    assert contents(path.parent) == before


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from medpriv_lib.core import weights
moved, real = [], os.replace
def replace(source, target):
    real(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace
weights.save(sys.argv[1], {"a": torch.ones(3)}, dict(kind="toy", data_hash="1", config={}, seed=2, command="",
             metrics={}, curve={}))
"""


def test_killed_between_the_two_files_is_noticed(path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        check=False,
        cwd=Path(weights.__file__).parents[2],
    )
    assert done.returncode == -9
    assert torch.equal(
        load_file(path)["a"], torch.ones(3)
    )  # the new tensors are there, with the old card
    with pytest.raises(ValueError, match="tampered"):
        weights.load(path)


def test_the_curve_is_drawn_by_none_of_the_judges_and_changes_no_weight(tmp_path, monkeypatch):
    """Two fits, one of them without any curve: the same generator. And the recognisers that draw
    the curve are not the judges, whom the table is filled by."""
    asked, drawn = [], pipeline_weights._validation

    def watched(training, val, *observers):
        asked.append(observers)
        return drawn(training, val, *observers)

    cohort = toy_cohort()
    monkeypatch.setattr(pipeline_weights, "_validation", watched)
    fit_weights(cohort, tmp_path / "watched", 3, TOY, "cpu", False)
    monkeypatch.setattr(pipeline_weights, "_validation", lambda *_: None)
    fit_weights(cohort, tmp_path / "alone", 3, TOY, "cpu", False)
    one, two = (
        load_file(tmp_path / name / "pprl-vgan.safetensors") for name in ("watched", "alone")
    )
    assert set(one) == set(two)
    assert all(torch.equal(one[key], two[key]) for key in one)
    curves = [
        weights.read_card(tmp_path / name / "pprl-vgan")["curve"]["rounds"]
        for name in ("watched", "alone")
    ]
    assert "replacement" in curves[0][-1]
    assert "replacement" not in curves[1][-1]
    judges, _, _ = load_weights(tmp_path / "watched", cohort)
    for observer, judge in zip(asked[0], (judges.identity, judges.disease), strict=True):
        assert observer.classes == judge.classes
        assert any(
            not torch.allclose(a, b, atol=1e-2)  # judges are kept in half precision
            for a, b in zip(observer.parameters(), judge.parameters(), strict=True)
        )
    assert not (tmp_path / "watched" / "pprl-vgan-in-training").exists()


def test_weights_of_another_cohort_are_refused_with_the_remedy():
    cohort = cohort_of(np.ones((2, 16, 16)), diseased=[True, False], split=["train", "test"])
    card = CARD | {"data_hash": cohort.hash()}
    weights.require_cohort(card, cohort)
    with pytest.raises(ValueError, match="trained on another cohort.*medpriv fit --cohort FILE"):
        weights.require_cohort(card, replace(cohort, images=cohort.images + 1))


def test_unknown_shipped_weights_list_those_there_are():
    with pytest.raises(FileNotFoundError, match="no shipped weights of this name"):
        weights.shipped("nothing")


def test_shipped_weights_are_what_their_cards_say():
    files = sorted(weights.FOLDER.rglob("*.safetensors"))
    assert {file.parent.name for file in files} >= set(KINDS), "the cohorts' own lie in sub-folders"
    for file in files:
        _, card = weights.load(file)
        assert card["kind"]


def shipped_bytes() -> dict[str, int]:
    """Return the size of all that ships, by the sub-folder that it lies in; "" beside them."""
    sizes: dict[str, int] = {}
    for file in weights.FOLDER.rglob("*"):
        if file.is_file():
            place = file.relative_to(weights.FOLDER).parent.as_posix().lstrip(".")
            sizes[place] = sizes.get(place, 0) + file.stat().st_size
    return sizes


def test_shipped_weights_stay_small():
    """What one cohort needs, its own weights and those that all share, stays within the 25 MB that
    were meant for the package. The second cohort came later and brings networks of its own, so that
    everything together is larger: up to 40 MB, what a clone and an installation download."""
    sizes = shipped_bytes()
    assert set(sizes) == {"", *KINDS}
    for kind in KINDS:
        assert sizes[""] + sizes[kind] < 25e6, kind
    assert sum(sizes.values()) < 40e6


def test_the_sum_of_what_ships_finds_files_in_sub_folders(tmp_path, monkeypatch):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for place, size in (("a.npz", 3), ("deep/b.safetensors", 5), ("deep/er/c", 7)):
        (tmp_path / place).write_bytes(b"x" * size)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    assert shipped_bytes() == {"": 3, "deep": 5, "deep/er": 7}


def test_two_equal_fits_give_equal_files_and_say_that_they_are_private(tmp_path):
    cohort, told = toy_cohort(), []
    for name in ("one", "two"):
        fit_weights(cohort, tmp_path / name, 4, TOY, "cpu", False, report=told.append)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert sorted(contents(tmp_path / "one")) == [
        "judges.json",
        "judges.safetensors",
        "pprl-vgan.json",
        "pprl-vgan.safetensors",
    ]
    assert told[0] == f"{tmp_path / 'one'}: {weights.PRIVATE}"
    assert "never share" in weights.PRIVATE
    for name in ("judges", "pprl-vgan"):
        card = weights.read_card(tmp_path / "one" / name)
        assert card["private"] == weights.PRIVATE
        assert card["command"].startswith(
            "medpriv_lib.pipeline.weights.fit_weights, seed 4, Budget("
        )
        assert str(tmp_path) not in json.dumps(card)
    judges, vgan, sums = load_weights(tmp_path / "one", cohort)
    assert sums == {"judges": judges.card["sha256"], "pprl-vgan": card["sha256"]}
    assert vgan.pools.names.tolist() == cohort.patient_names.tolist()
    with pytest.raises(ValueError, match="another seed|of seed 4"):
        fit_weights(cohort, tmp_path / "one", 5, TOY, "cpu", False)
    other = toy_cohort(seed=1)
    with pytest.raises(ValueError, match="trained on another cohort"):
        load_weights(tmp_path / "one", other)
    with pytest.raises(FileNotFoundError, match="no such folder of weights"):
        load_weights(tmp_path / "three", cohort)
