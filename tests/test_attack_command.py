"""`medpriv attack` from a release on disk to its report."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_cohorts import toy_cohort

import medpriv_lib as mp
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.registry import attacks
from medpriv_lib.attacks.towers import Schedule
from medpriv_lib.cli import attack as command
from medpriv_lib.cli import build_parser, main
from medpriv_lib.core.release import Given
from medpriv_lib.core.sharing import read_release, write_release
from medpriv_lib.pipeline.attack import OtherCohort
from medpriv_lib.pipeline.patients import neutral_numbers, write_numbers

IMAGES = os.environ.get("MEDPRIV_TEST_IMAGES", "")
SHORT = Schedule(steps=2, rate=1e-3, batch=16)
SMALL = Budget(
    originals=SHORT, released=SHORT, scratch=SHORT, restorer_epochs=1, restorer_pairs=16,
    gallery_runs=2, generators=2, generator_rounds=2, orders=20, code_decodes=64,
    code_errors=16, several=3,
)  # fmt: skip


def named_cohort():
    """The toy cohort with names that no file has by chance."""
    return replace(toy_cohort(), patient_names=np.array([f"Name-{i}" for i in range(8)]))


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


def arguments(folder: Path, *more: str) -> list[str]:
    known = ["--cohort", str(folder / "toy.npz"), "--out", str(folder / "attacked")]
    return ["attack", str(folder / "release"), *known, *more]


def attack(folder: Path, *more: str) -> int:
    """Run the command with the budget of a test."""
    command.run(build_parser("attack").parse_args(arguments(folder, *more)), SMALL)
    return 0


def test_the_report_says_what_was_tried_known_and_found(released, capsys):
    assert attack(released) == 0
    out = capsys.readouterr().out
    assert "best naming attack" in out
    report = json.loads((released / "attacked" / "report.json").read_text())
    tried = {one["attack"]: one for one in report["findings"]}
    assert {"reverse", "parrot", "naive linkage", "retrained linkage", "parrot linkage"} <= set(
        tried
    )
    assert tried["naive"]["measures"] == {}  # no recogniser of these patients
    assert "no recogniser" in tried["naive"]["note"]
    assert set(tried) == {one.name for one in attacks()}  # what was not possible says so
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


def test_patients_numbers_follow_from_no_seed(tmp_path):
    """Reports of the same release and seed number the patients differently, and a report that is
    made again keeps its numbers."""
    cohort = toy_cohort(patients=20)
    drawn = []
    for name in "ab":
        torch.manual_seed(0)
        keep = tmp_path / name
        drawn.append(neutral_numbers(cohort))
        write_numbers(keep, cohort, drawn[-1])
        np.testing.assert_array_equal(neutral_numbers(cohort, keep), drawn[-1])
        assert sorted(drawn[-1]) == list(range(1, 21))
    assert not np.array_equal(*drawn)
    # the attack on earlier reports: all seeds that anybody would try, of 20! orders
    for seed in range(2000):
        assert not np.array_equal(np.random.default_rng(seed).permutation(20) + 1, drawn[0])
    (tmp_path / "a" / "patients.csv").write_text("number,patient\n1,p0\n1,p1\n")
    assert sorted(neutral_numbers(cohort, tmp_path / "a")) == list(range(1, 21))


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
    shutil.move(released / "release", released / "first")
    shutil.move(released / "other", released / "release")
    second = str(released / "second")
    assert attack(released, "--out", second, "--attackers", str(shared)) == 0
    assert len(list(shared.glob("*.safetensors"))) == 9
    assert (released / "second" / "report.html").is_file()


def elsewhere(cohort):
    """A release by a method that nobody knows here, which mixes two patients."""
    other = np.roll(np.arange(len(cohort)), 6)
    mixed = (cohort.images.astype(int) + cohort.images[other]) // 2
    whose = np.stack([cohort.patient, cohort.patient[other]], axis=1)
    return mp.Release(
        mixed.astype(np.uint8), np.arange(len(cohort)), whose, "elsewhere", given=Given.of(cohort)
    )


def test_a_method_that_cannot_be_run_again_is_attacked_from_half_of_its_images(tmp_path):
    cohort = named_cohort()
    cohort.save(tmp_path / "toy.npz")
    write_release(elsewhere(cohort), cohort, tmp_path / "release")
    assert attack(tmp_path) == 0
    report = json.loads((tmp_path / "attacked" / "report.json").read_text())
    assert any("half of each patient's released images" in note for note in report["notes"])
    assert any("'elsewhere' is not known here" in note for note in report["notes"])
    assert report["images"] == 24
    assert "contributors linked" in {one["attack"] for one in report["findings"]}


@pytest.mark.parametrize("form", ["memory", "folder"])
def test_five_lines_attack_a_release_in_memory_or_one_read_back(tmp_path, form):
    """What `write_release` writes is what an attack takes, and the same attackers find the same."""
    cohort = named_cohort()
    release = mp.Blur(3).privatize(cohort.of("test"))
    order = None
    if form == "folder":
        mp.write_release(release, cohort, tmp_path / "release")
        release, order = mp.read_release(tmp_path / "release")
    report = mp.attack(release, cohort, order=order, budget=SMALL)
    assert "The best naming attack" in report.verdict()
    found = {one.attack: one for one in report.findings}
    assert bool(found["the tool's own order"].measures) == (form == "folder" and len(release) > 9)
    assert found["reverse"].measures["rank1"] >= 0
    assert report.images == 8
    assert list(tmp_path.iterdir()) == ([] if form == "memory" else [tmp_path / "release"])


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


def test_sources_are_found_in_the_cohort_they_came_from(released):
    release, _ = read_release(released / "release")
    cohort = named_cohort()
    np.testing.assert_array_equal(release.rows_in(cohort), np.flatnonzero(cohort.split == "test"))
    other = replace(cohort, patient_names=np.roll(cohort.patient_names, 1))
    for stranger in (other, cohort.of("train"), replace(cohort, images=255 - cohort.images)):
        with pytest.raises(OtherCohort, match="name the cohort file"):
            mp.attack(release, stranger, budget=SMALL)
    with pytest.raises(OtherCohort, match="does not say which images"):
        mp.attack(replace(release, given=None), cohort, budget=SMALL)


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


@pytest.mark.parametrize("place", ["release/share/x", "release/x", "release", "other/share/x"])
@pytest.mark.parametrize("option", ["--out", "--attackers"])
def test_nothing_is_written_into_a_release(released, capsys, place, option):
    main(
        [
            "privatize",
            str(released / "toy.npz"),
            "--method",
            "blur",
            "--out",
            str(released / "other"),
        ]
    )
    before = sorted(released.rglob("*"))
    assert main(arguments(released, option, str(released / place))) == 2
    assert "does not belong into a release" in capsys.readouterr().err
    assert sorted(released.rglob("*")) == before


def test_what_cannot_be_attacked_is_said_in_one_line(released, capsys):
    assert main(["attack", str(released / "nothing"), "--out", str(released / "attacked")]) == 2
    assert "medpriv privatize" in capsys.readouterr().err
    assert (
        main(["attack", str(released / "release"), "--out", str(released / "attacked")]) == 2
    )  # another cohort
    assert "--cohort" in capsys.readouterr().err
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
