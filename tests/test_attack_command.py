"""`medpriv attack` from a release on disk to its report."""

import json
import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from small_cohorts import toy_cohort

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.towers import Schedule
from medpriv_lib.cli import main
from medpriv_lib.cli.attack import source_rows
from medpriv_lib.core.sharing import read_release, write_release
from medpriv_lib.privatizers.controls import RealOther

IMAGES = os.environ.get("MEDPRIV_TEST_IMAGES", "")
SHORT = Schedule(steps=2, rate=1e-3, batch=16)


def named_cohort():
    """The toy cohort with names that no file has by chance."""
    return replace(toy_cohort(), patient_names=np.array([f"Name-{i}" for i in range(8)]))


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(
        "medpriv_lib.attacks.attackers.Attackers",
        partial(Attackers, originals=SHORT, released=SHORT),
    )


@pytest.fixture
def released(tmp_path):
    """A cohort file and a release of its test images, blurred."""
    named_cohort().save(tmp_path / "toy.npz")
    command = [
        "privatize",
        str(tmp_path / "toy.npz"),
        "--method",
        "blur",
        "--kernel",
        "3",
        "--out",
        str(tmp_path / "release"),
    ]
    assert main(command) == 0
    return tmp_path


def attack(folder: Path, *more: str) -> int:
    return main(
        [
            "attack",
            str(folder / "release"),
            "--cohort",
            str(folder / "toy.npz"),
            "--out",
            str(folder / "attacked"),
            *more,
        ]
    )


def test_the_report_says_what_was_tried_known_and_found(released, capsys):
    assert attack(released) == 0
    out = capsys.readouterr().out
    assert "best naming attack" in out
    report = json.loads((released / "attacked" / "report.json").read_text())
    tried = {one["attack"]: one for one in report["findings"]}
    assert {"reverse", "parrot", "naive linkage", "retrained linkage", "parrot linkage"} <= set(
        tried
    )
    assert "naive" not in tried  # no recogniser of these patients
    assert any("No recogniser" in note for note in report["notes"])
    assert report["images"] == report["patients"] == 8
    assert "does not prove" in report["not_proved"]
    assert report["groups"]["smallest"] == 1
    page = (released / "attacked" / "report.html").read_text()
    for text in (
        "What was tried",
        "What this does not prove",
        "Who is at risk",
        "default-src 'none'",
    ):
        assert text in page
    assert not re.search(r'(src|href)="|url\(', page)  # nothing is asked of anybody


def test_the_report_names_nobody_and_the_key_says_who_is_who(released):
    assert attack(released) == 0
    for name in ("report.html", "report.json"):
        assert "Name-" not in (released / "attacked" / name).read_text()
    lines = (released / "attacked" / "keep" / "patients.csv").read_text().split()
    assert lines[0] == "number,patient"
    assert sorted(line.split(",")[1] for line in lines[1:]) == [f"Name-{i}" for i in range(8)]
    assert sorted(int(line.split(",")[0]) for line in lines[1:]) == list(range(1, 9))
    assert (released / "attacked" / "keep" / "patients.csv").stat().st_mode & 0o077 == 0
    report = json.loads((released / "attacked" / "report.json").read_text())
    assert {one["patient"] for one in report["worst"]} <= set(range(1, 9))
    assert [one["named"] for one in report["worst"]] == sorted(
        (one["named"] for one in report["worst"]), reverse=True
    )


def test_a_second_run_finds_its_attackers_and_the_same_result(released):
    assert attack(released) == 0
    first = (released / "attacked" / "report.json").read_bytes()
    times = {
        path: path.stat().st_mtime_ns
        for path in (released / "attacked" / "attackers").glob("*.safetensors")
    }
    assert len(times) == 6
    assert attack(released) == 0
    assert (released / "attacked" / "report.json").read_bytes() == first
    assert times == {
        path: path.stat().st_mtime_ns
        for path in (released / "attacked" / "attackers").iterdir()
        if path.suffix == ".safetensors"
    }


def test_releases_of_one_cohort_share_the_attackers_of_the_originals(released):
    shared = released / "shared"
    assert attack(released, "--attackers", str(shared)) == 0
    assert len(list(shared.glob("*.safetensors"))) == 6
    assert not (released / "attacked" / "attackers").exists()
    assert (
        main(
            [
                "privatize",
                str(released / "toy.npz"),
                "--method",
                "blur",
                "--kernel",
                "9",
                "--out",
                str(released / "other"),
            ]
        )
        == 0
    )
    assert (
        main(
            [
                "attack",
                str(released / "other"),
                "--cohort",
                str(released / "toy.npz"),
                "--out",
                str(released / "second"),
                "--attackers",
                str(shared),
            ]
        )
        == 0
    )
    assert len(list(shared.glob("*.safetensors"))) == 9
    assert (released / "second" / "report.html").is_file()


def test_a_method_that_cannot_be_run_again_is_attacked_from_half_of_its_images(tmp_path):
    cohort = named_cohort()
    cohort.save(tmp_path / "toy.npz")
    release = (
        RealOther().fit(cohort.of("train")).privatize(cohort, torch.Generator().manual_seed(0))
    )
    told = {
        "source_patients": cohort.patient_names[cohort.patient].tolist(),
        "source_labels": cohort.diseased.tolist(),
        "data_hash": cohort.hash(),
    }
    write_release(
        replace(release, parameters=told), cohort, tmp_path / "release", np.random.default_rng(0)
    )
    assert attack(tmp_path) == 0
    report = json.loads((tmp_path / "attacked" / "report.json").read_text())
    assert any("half of each patient's released images" in note for note in report["notes"])
    assert report["images"] == 24
    assert "contributors linked" in {one["attack"] for one in report["findings"]}


@pytest.mark.parametrize(("split", "again"), [("test", True), ("all", False)])
def test_a_release_form_is_attacked_with_its_copies(tmp_path, split, again):
    """The attackers group the other images themselves, where there are any; nobody hides among
    fewer than K."""
    named_cohort().save(tmp_path / "toy.npz")
    assert (
        main(
            [
                "privatize",
                str(tmp_path / "toy.npz"),
                "--method",
                "k-same-select",
                "--k",
                "3",
                "--form",
                "release",
                "--split",
                split,
                "--out",
                str(tmp_path / "release"),
            ]
        )
        == 0
    )
    assert attack(tmp_path) == 0
    report = json.loads((tmp_path / "attacked" / "report.json").read_text())
    assert (
        any("half of each patient's released images" in note for note in report["notes"]) != again
    )
    assert report["groups"]["smallest"] >= 3
    assert not any("hide among fewer" in warning for warning in report["groups"]["warnings"])


def test_too_few_other_patients_for_a_group_do_not_end_the_attack(tmp_path):
    """All images of two of four healthy patients are released: of the others only two are left, and
    k = 3."""
    cohort = named_cohort()
    replace(cohort, split=np.where(cohort.patient > 5, "test", cohort.split)).save(
        tmp_path / "toy.npz"
    )
    assert (
        main(
            [
                "privatize",
                str(tmp_path / "toy.npz"),
                "--method",
                "k-same-select",
                "--k",
                "3",
                "--form",
                "release",
                "--out",
                str(tmp_path / "release"),
            ]
        )
        == 0
    )
    assert attack(tmp_path) == 0
    report = (tmp_path / "attacked" / "report.json").read_text()
    assert "only 2 patients have a healthy image" in report
    assert "Name-" not in report


def test_sources_are_found_in_the_split_they_came_from(released):
    release, _ = read_release(released / "release")
    cohort = named_cohort()
    rows = source_rows(release, cohort, "x")
    np.testing.assert_array_equal(rows, np.flatnonzero(cohort.split == "test"))
    other = replace(release, parameters=release.parameters | {"source_patients": ["Name-0"] * 8})
    with pytest.raises(ValueError, match="name the cohort file"):
        source_rows(other, cohort, "x")
    with pytest.raises(ValueError, match="the linkage key lacks"):
        source_rows(replace(release, parameters={}), cohort, "x")


@pytest.mark.skipif(
    not IMAGES, reason="MEDPRIV_TEST_IMAGES names no folder with the NIH effusion images"
)
def test_real_radiographs_from_the_folder_to_the_report(tmp_path):
    file = str(tmp_path / "toy.npz")
    assert (
        main(
            [
                "prepare",
                IMAGES,
                "--kind",
                "manifest",
                "--no-localize",
                "--size",
                "32",
                "--out",
                file,
            ]
        )
        == 0
    )
    assert (
        main(
            [
                "privatize",
                file,
                "--method",
                "k-same-select",
                "--k",
                "6",
                "--out",
                str(tmp_path / "release"),
            ]
        )
        == 0
    )
    assert attack(tmp_path) == 0
    report = json.loads((tmp_path / "attacked" / "report.json").read_text())
    assert (report["images"], report["patients"]) == (25, 24)
    assert any("hide among fewer patients" in warning for warning in report["groups"]["warnings"])


def test_what_cannot_be_attacked_is_said_in_one_line(released, capsys):
    assert main(["attack", str(released / "nothing"), "--out", str(released / "attacked")]) == 2
    assert "medpriv privatize" in capsys.readouterr().err
    assert (
        main(["attack", str(released / "release"), "--out", str(released / "attacked")]) == 2
    )  # another cohort
    assert "--cohort" in capsys.readouterr().err
    assert (
        main(
            [
                "attack",
                str(released / "release"),
                "--cohort",
                str(released / "toy.npz"),
                "--out",
                str(released / "release" / "share" / "x"),
            ]
        )
        == 2
    )
    assert "does not belong into the release" in capsys.readouterr().err
    (released / "full").mkdir()
    (released / "full" / "mine.txt").write_text("x")
    assert (
        main(
            [
                "attack",
                str(released / "release"),
                "--cohort",
                str(released / "toy.npz"),
                "--out",
                str(released / "full"),
            ]
        )
        == 2
    )
    assert "holds something else" in capsys.readouterr().err
