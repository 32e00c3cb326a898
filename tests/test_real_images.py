"""Preparation of real radiographs; they are not part of this repository."""

import os
from pathlib import Path

import numpy as np
import pytest

from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.prepare import prepare

FOLDER = os.environ.get("MEDPRIV_TEST_IMAGES", "")


@pytest.mark.skipif(not FOLDER, reason="MEDPRIV_TEST_IMAGES names no folder with the NIH effusion images")
def test_chest_radiographs_through_the_manifest_loader():
    listing = read_manifest(Path(FOLDER))
    cohort, report = prepare(listing, localize=False)
    assert (len(cohort), cohort.patients, int(cohort.diseased.sum())) == (125, 37, 62)
    assert report["splits"] == {"train": 81, "val": 19, "test": 25}
    assert set(cohort.patient[cohort.split == "train"]) == set(range(37))
    assert cohort.images.std(axis=(1, 2)).min() > 10
    assert np.unique(cohort.images.reshape(125, -1), axis=0).shape[0] == 125
