"""The slots whose input are pictures: cases that are shown, synthetic images, deep features."""

import numpy as np
import pytest
import torch

from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.pipeline.deep_radiomics import SLOTS, DeepRadiomics, acquire, describe
from medpriv_lib.pipeline.slots.explain import EXPLAINING, METHODS, nearest_of_decision, released
from medpriv_lib.pipeline.slots.technology import Context, Table


@pytest.fixture(scope="module")
def cohort():
    """Every ninth image of the cohort that the map is measured on."""
    whole = packaged_cohort("crossed")
    return whole.take(np.arange(0, len(whole), 9))


@pytest.fixture(scope="module")
def prepared(cohort):
    return acquire(cohort)


def test_every_way_to_show_a_case_but_the_plain_one_has_a_method():
    assert set(METHODS) == set(EXPLAINING) - {"original"}
    with pytest.raises(ValueError, match="cases are shown by blur, k-same"):
        released("original", None, None, None)


@pytest.mark.parametrize("name", METHODS)
def test_no_shown_case_is_the_original(name):
    whole = packaged_cohort("crossed")  # whose weights ship
    rows = np.flatnonzero(whole.split == "train")[:4]
    images = released(name, whole, rows, seeded(0, "cases"))
    assert images.shape == whole.images[rows].shape
    assert (np.abs(images.astype(int) - whole.images[rows]).mean(axis=(1, 2)) > 1).all()


def test_the_original_is_shown_as_it_is_and_attacked_so(prepared):
    found = DeepRadiomics(explain="original", queries=8).run(prepared, seed=0, parts=1)
    what = found.seen["explain"][0][0].what
    cohort = prepared.cohort
    for image, patient in zip(what["images"], what["patient"], strict=True):
        own = cohort.images[cohort.patient == patient]
        assert (own == image).all(axis=(1, 2)).any()
        assert prepared.fold[patient] != 0  # nobody of those who are asked about
    assert found.sent["explain"] == 8 * 64 * 64
    assert found.case_auc is not None
    assert 0 <= found.case_auc[1] <= found.case_auc[2] <= 1


def test_the_nearest_case_has_the_decision():
    table = Table(np.arange(6.0)[:, None], np.arange(6) % 2 == 0, np.arange(6), np.arange(6))
    asked, called = np.array([[2.2], [2.2]]), np.array([True, False])
    assert nearest_of_decision(asked, called, table, table.diseased).tolist() == [2, 3]
    nobody = np.zeros(6, bool)
    assert nearest_of_decision(asked[:1], called[:1], table, nobody).tolist() == [2]


def test_synthetic_images_are_described_anew_and_keep_the_labels(prepared):
    found = DeepRadiomics(release="synthetic").run(prepared, seed=0, parts=1)
    what = found.seen["release"][0][0].what
    rows = what["group"]
    assert found.sent["release"] == len(rows) * 64 * 64
    assert np.abs(what["values"] - prepared.vectors[rows]).mean() > 0.3  # other eyes
    assert (prepared.cohort.patient[rows] == what["patient"]).all()


def test_pictures_of_a_generator_are_sent_in_place_of_the_originals(prepared):
    whole = packaged_cohort("crossed")  # whose generator ships
    rows = np.flatnonzero(whole.split == "train")[:6]
    own = prepared.scale(whole.images[rows])
    table = Table(own, whole.diseased[rows], whole.patient[rows], rows)
    context = Context(seeded(0, "eyes"), 3, 0.01, table, whole, rows, prepared.scale)
    given = SLOTS["release"]["generated"].work(table, context)
    assert given.sent == 6 * 64 * 64
    assert np.abs(given.result.features - own).mean() > 0.3
    assert (given.result.patient == table.patient).all()


def test_a_whole_network_of_pictures_between_two_parties(prepared):
    pytest.importorskip("tenseal")
    found = DeepRadiomics(infer="ckks-shared-picture", few=1).run(prepared, seed=0, parts=1)
    notes = found.notes["infer"][0]
    assert (notes["images"], notes["comparisons"]) == (1, 6 * 49 + 32)
    assert notes["error"] < 1e-3
    assert notes["flips"] == 0


def test_deep_features_are_the_expert_s_embedding(cohort):
    one = describe(cohort.images[:3], "deep")
    assert one.shape == (3, 64)
    assert np.allclose(one[1:2], describe(cohort.images[1:2], "deep"), atol=1e-4)
    assert torch.isfinite(torch.from_numpy(one)).all()
