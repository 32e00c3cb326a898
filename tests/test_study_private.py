"""The study of private training: test patients are in no training, and a stopped study goes on."""

import json

import numpy as np
import pytest

from medpriv_lib.study.private import __main__ as command
from medpriv_lib.study.private import cells
from medpriv_lib.study.private.people import People


@pytest.fixture
def people():
    """Forty patients with three images each, whose first feature tells the disease."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(40), 3)
    x = rng.normal(size=(120, 3))
    images = rng.integers(0, 255, (120, 64, 64)).astype(np.uint8)
    return People(images, patient, x[:, 0] > 0, x)


def test_no_test_patient_is_in_the_training_and_all_are_tested(people):
    tested = []
    for seed in range(cells.FOLDS):
        train, test, *_ = cells._parts(cells.Material(people, people.features), seed)
        assert not set(train.patient) & set(test.patient)
        tested += np.unique(test.patient).tolist()
    assert sorted(tested) == list(range(40))


def test_a_cell_without_noise_learns_and_counts_its_patients(people):
    cell = cells.Cell("cohort", "radiomics", "patient", None, 40, clipped=False)
    row = cells.run_cell(cell, cells.Material(people, people.features))
    assert row["auc"] > 0.95
    assert row["interval"][0] <= row["auc"] <= row["interval"][1]
    assert (row["units"], row["test_patients"]) == (32, 40)
    assert "prv" not in row


def test_labels_that_say_nothing_give_half(people):
    ill = np.random.default_rng(1).random(120) < 0.5
    blind = People(people.images, people.patient, ill, people.features)
    cell = cells.Cell("cohort", "radiomics", "image", None, 40, clipped=False)
    row = cells.run_cell(cell, cells.Material(blind, blind.features))
    assert row["auc"] == pytest.approx(0.5, abs=0.2)  # 120 images know it to .053
    assert row["units"] == 96


def test_a_stopped_study_makes_only_what_is_missing(tmp_path):
    made = []

    def works(study):
        for name in ("a", "b"):
            yield name, lambda name=name: made.append(name) or {"auc": 0.5}

    command.measure(tmp_path, tmp_path, lambda text: None, works)
    content = json.loads((tmp_path / command.NAME).read_text())
    del content["parts"]["b"]
    (tmp_path / command.NAME).write_text(json.dumps(content))
    again = command.measure(tmp_path, tmp_path, lambda text: None, works)
    assert made == ["a", "b", "b"]
    assert set(again["parts"]) == {"a", "b"}
