"""Real radiographs, prepared and studied; they are not part of this repository."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.towers import Schedule
from medpriv_lib.cli import build_parser, main
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.prepare import prepare
from medpriv_lib.study.table import paper_table, read_table

SHORT = Schedule(steps=2, rate=1e-3)
SMALL = Budget(
    originals=SHORT, released=SHORT, scratch=SHORT, restorer_epochs=1, restorer_pairs=8,
    gallery_runs=2, generators=2, generator_rounds=2, orders=20, code_decodes=32,
    code_errors=8, several=2,
)  # fmt: skip
FOLDER = os.environ.get("MEDPRIV_TEST_IMAGES", "")


@pytest.mark.skipif(
    not FOLDER, reason="MEDPRIV_TEST_IMAGES names no folder with the NIH effusion images"
)
def test_chest_radiographs_through_the_manifest_loader():
    listing = read_manifest(Path(FOLDER))
    cohort, report = prepare(listing, Cut(localize=False))
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


def few(folder: Path, patients: int) -> Path:
    """Copy the images of the first patients and their lines of the table; return the table."""
    source = next(Path(FOLDER).glob("*.csv"))
    with open(source, newline="") as file:
        lines = list(csv.DictReader(file))
    chosen = sorted({line["patient"] for line in lines})[:patients]
    kept = [line for line in lines if line["patient"] in chosen]
    for line in kept:
        (folder / line["file"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source.parent / line["file"], folder / line["file"])
    with open(folder / "few.csv", "w", newline="") as file:
        table = csv.DictWriter(file, list(lines[0]))
        table.writeheader()
        table.writerows(kept)
    return folder / "few.csv"


@pytest.mark.slow
@pytest.mark.skipif(
    not FOLDER, reason="MEDPRIV_TEST_IMAGES names no folder with the NIH effusion images"
)
def test_radiographs_at_256_pixels_from_prepare_to_the_report(tmp_path, capsys):
    """Few images and attackers that hardly learn: every step runs at this size and says its cost."""
    table = few(tmp_path, 8)
    cohort, release, out = (tmp_path / name for name in ("x.npz", "release", "attacked"))
    prepare_ = ["prepare", table, "--kind", "manifest", "--no-localize"]
    for command in (
        [*prepare_, "--size", "256", "--out", cohort],
        ["privatize", cohort, "--method", "k-same-select", "--k", "2", "--out", release],
    ):
        assert main([str(word) for word in command]) == 0
    assert Cohort.load(cohort).images.shape[1:] == (256, 256)
    given = ["attack", release, "--cohort", cohort, "--out", out]
    args = build_parser("attack").parse_args([str(word) for word in given])
    args.run(args, budget=SMALL)
    said = capsys.readouterr()
    assert "grey images of 256x256: at most 9 attackers" in said.err
    assert "The best naming attack" in said.out
    page = (out / "report.html").read_text()
    assert "so that the attack stays affordable" in page
