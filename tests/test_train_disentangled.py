"""Who draws the curve of a disentangled training: the development judges, and no judge of a table."""

import importlib.util
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_cohorts import toy_cohort

from medpriv_lib.recognition.expert import DEVELOPMENT_NAME, NAME, Expert
from medpriv_lib.recognition.wide import Shape, Wide

SCRIPT = Path(__file__).resolve().parents[1] / "data_scripts" / "train_disentangled.py"
SMALL = Shape((4, 4, 4, 4), (3, 3, 3, 3), "max", 4)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("train_disentangled", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kept(folder: Path, kind: str, file: str, images: np.ndarray) -> Expert:
    """Write an expert of a kind under a file's name, and return it as it is read again; it calls
    half of the images ill."""
    torch.manual_seed(0)
    network = Wide(2, images.shape[1], 1, SMALL).eval()
    card = {"kind": kind, "data_hash": "0" * 16, "seed": 0, "command": "pytest"}
    card |= {"metrics": {}, "curve": {}}
    middle = float(np.median(Expert((network,), 0.0, card).score(images)))
    expert = Expert((network,), middle, card)
    expert.save(folder / file)
    return expert.halved()


def test_the_development_expert_says_who_is_ill(script, tmp_path, monkeypatch):
    cohort = toy_cohort()
    expert = kept(tmp_path, DEVELOPMENT_NAME, DEVELOPMENT_NAME, cohort.images)
    # who is named is asked of a recogniser trained on the spot: not here
    monkeypatch.setattr(script, "recogniser", lambda cohort, target, *_: target)
    options = Namespace(judges=str(tmp_path), device="cpu")
    names, ill = script.judges(cohort, options, tmp_path / "none")
    assert names == "identity"
    images = cohort.of("val").images
    np.testing.assert_array_equal(ill(images), expert.ill(images))
    assert 0 < expert.ill(cohort.images).mean() < 1  # it says something


def test_the_expert_of_the_tables_is_refused_under_that_name(script, tmp_path):
    cohort = toy_cohort()
    kept(tmp_path, NAME, DEVELOPMENT_NAME, cohort.images)
    with pytest.raises(ValueError, match="of kind"):
        script.judges(cohort, Namespace(judges=str(tmp_path), device="cpu"), tmp_path / "none")
