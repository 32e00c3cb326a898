"""Real radiographs, prepared and studied; they are not part of this repository."""

import os
from pathlib import Path

import numpy as np
import pytest

from medpriv_lib.cli import main
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.prepare import prepare
from medpriv_lib.study.table import paper_table, read_table

FOLDER = os.environ.get("MEDPRIV_TEST_IMAGES", "")


@pytest.mark.skipif(
    not FOLDER, reason="MEDPRIV_TEST_IMAGES names no folder with the NIH effusion images"
)
def test_chest_radiographs_through_the_manifest_loader():
    listing = read_manifest(Path(FOLDER))
    cohort, report = prepare(listing, localize=False)
    assert (len(cohort), cohort.patients, int(cohort.diseased.sum())) == (125, 37, 62)
    assert report["splits"] == {"train": 81, "val": 19, "test": 25}
    assert set(cohort.patient[cohort.split == "train"]) == set(range(37))
    assert cohort.images.std(axis=(1, 2)).min() > 10
    assert np.unique(cohort.images.reshape(125, -1), axis=0).shape[0] == 125


@pytest.mark.slow
@pytest.mark.skipif(
    not FOLDER, reason="MEDPRIV_TEST_IMAGES names no folder with the NIH effusion images"
)
def test_the_study_from_radiographs_to_the_table(tmp_path, capsys):
    """The commands as one types them, at 32 pixels and with networks that hardly learn: everything
    runs to its end."""
    assert (
        main(
            [
                "prepare",
                FOLDER,
                "--kind",
                "manifest",
                "--no-localize",
                "--size",
                "32",
                "--out",
                str(tmp_path / "xrays.npz"),
            ]
        )
        == 0
    )
    assert (
        main(
            [
                "study",
                "--cohort",
                str(tmp_path / "xrays.npz"),
                "--scale",
                "toy",
                "--draws",
                "2",
                "--device",
                "cpu",
                "--out",
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
    assert "25 test images of" in capsys.readouterr().out
    rows = read_table(tmp_path / "out" / "table.csv")
    assert [row["set"] for row in rows[:14]] == [row["set"] for row in paper_table()]
    for row in rows:
        if (
            "release form" in row["set"] and row["note"]
        ):  # 25 images, and predicted labels may leave few of a class
            assert row["note"].startswith("empty: K-Same-Select")
            continue
        assert (
            row["note"] == ""
        )  # 23 patients have both labels: no class is too small, no pool empty
        assert row["n"] == 25
        assert row["identity_accuracy"] is not None
        assert row["disease_f1_unseen"] is not None
        assert row["evidence_kept"] is None  # nobody knows a radiograph without its effusion
        assert row["intelligibility_found"] is None  # no eyes
        assert row["intelligibility_sharpness"] is not None
