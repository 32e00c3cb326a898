"""The study of counterfactuals: what a row holds, and that it goes on where it was stopped."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from small_cohorts import signed_cohort

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.explanation.edits import by_another, unchanged
from medpriv_lib.study.counterfactuals import DRAWS, Asked, Way, measure, once

PATCH = (4, 9, 5, 11)


def dark(images):
    top, bottom, left, right = PATCH
    return images[:, top:bottom, left:right].mean(axis=(1, 2)) < 95


class Small(Asked):
    """Asked of a cohort of dark squares, with edits whose result is known."""

    def ways(self):
        def removes_only(images, wanted, generator):
            if wanted.any():
                raise NotApplicable("adds nothing")
            return np.full_like(images, 200)

        return {
            "unchanged": Way(unchanged),
            "another": Way(by_another(self.cohort), True),
            "removes only": Way(removes_only),
        }

    @property
    def readers(self):
        return {"frozen": dark, "unseen": lambda images: np.ones(len(images), bool)}

    def same_eye(self, images):
        return np.full(len(images), -1)


@pytest.fixture(scope="module")
def asked():
    cohort = signed_cohort(8, 6, PATCH, np.arange(8) < 4)
    return Small(cohort, *[None] * 2, SimpleNamespace(ill=dark), None, None)


def test_rows_say_what_was_measured_and_nothing_is_measured_twice(asked, tmp_path):
    said = []
    first = measure(tmp_path, said.append, lambda kind: asked)
    # three ways to remove, two to add, two readers, two cohorts
    assert len(first["rows"]) == len(said) == 2 * 2 * (3 + 2)
    rows = {
        tuple(row[key] for key in ("cohort", "way", "direction", "reader")): row
        for row in first["rows"]
    }
    one = rows["crossed", "another", "removal", "frozen"]
    assert (one["draws"], one["images"], one["patients"]) == (DRAWS, 4, 4)
    assert one["expert"]["mean"] == one["recogniser"]["mean"] == one["expert_of_truth"]["mean"] == 1
    assert one["inside"]["least"] < one["inside"]["most"]
    assert one["same_eye"]["mean"] == 0
    # this reader calls all ill: none could become ill, and a share of nothing is None
    unseen = rows["crossed", "unchanged", "addition", "unseen"]
    assert unseen["recogniser_could"] == 0
    assert unseen["recogniser"]["mean"] is None
    assert measure(tmp_path, said.append, lambda kind: asked) == first
    assert len(said) == len(first["rows"])


def test_a_stopped_measurement_goes_on(asked, tmp_path):
    whole = measure(tmp_path, lambda text: None, lambda kind: asked)
    file = tmp_path / "counterfactuals.json"
    half = json.loads(file.read_text())
    half["rows"] = half["rows"][:7]
    file.write_text(json.dumps(half))
    said = []
    again = measure(tmp_path, said.append, lambda kind: asked)
    assert len(said) == len(whole["rows"]) - 7
    assert again == whole
    half["provenance"]["seed"] = 5
    file.write_text(json.dumps(half))
    assert measure(tmp_path, lambda text: None, lambda kind: asked) == whole


def test_an_edit_is_made_once_for_all_readers():
    made = []

    def edit(images, wanted, generator):
        made.append(len(images))
        return images + 1

    same, images = once(edit), np.zeros((2, 3, 3), np.uint8)
    assert np.array_equal(same(images, None, None), same(images, None, None))
    assert made == [2]
