"""An attack on a release of an archive: on whole patients and whole groups of a sample."""

import csv
import json

import numpy as np
import pytest
from small_cohorts import people
from test_archive_release import archived, parts_of
from test_attack_command import SMALL

from medpriv_lib.cli import attack as command
from medpriv_lib.cli import build_parser
from medpriv_lib.core.sharing import read_image, read_release, refuse_inside
from medpriv_lib.pipeline.archive.privatize import privatize_archive
from medpriv_lib.pipeline.archive.sample import sample_release
from medpriv_lib.privatizers.blur import Blur

PATIENTS, EACH = 24, 3


@pytest.fixture(scope="module")
def cohort():
    return people(PATIENTS, images=EACH, size=16)


@pytest.fixture(scope="module")
def blurred(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blurred")
    archive = archived(cohort, folder / "a", each=20)
    privatize_archive(archive, "blur", folder / "out", split="all", workers=1, kernel=5)
    return archive, folder / "out"


@pytest.fixture(scope="module")
def grouped(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grouped")
    archive = archived(cohort, folder / "a", each=20)
    settings = {"k": 2, "form": "release", "block": 4}
    privatize_archive(archive, "k-same-select", folder / "out", split="all", workers=1, **settings)
    return archive, folder / "out"


def lines_of(out):
    with open(out / "keep" / "order.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_sample_of_all_is_the_release_in_memory(cohort, blurred):
    archive, out = blurred
    found = sample_release(archive, out, patients=1000)
    assert found.cohort.hash() == cohort.hash()
    whole = Blur(5).privatize(cohort)
    np.testing.assert_array_equal(found.release.images, whole.images)
    np.testing.assert_array_equal(found.release.rows_in(found.cohort), whole.source)
    shown = [line["file"] for line in lines_of(out)]
    for name, row in zip(shown, found.order, strict=True):
        np.testing.assert_array_equal(read_image(out / "share" / name), whole.images[row])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sample_has_all_images_of_so_many_patients(blurred, seed):
    archive, out = blurred
    found = sample_release(archive, out, patients=7, seed=seed)
    assert found.cohort.patients == 7
    assert len(found.cohort) == len(found.release) == 7 * EACH
    whose = found.cohort.patient_names[found.cohort.patient[found.release.rows_in(found.cohort)]]
    mine = [line["patient"] for line in lines_of(out) if line["patient"] in set(whose)]
    assert mine == [str(whose[row]) for row in found.order]
    assert "7 of the 24 patients" in found.note
    assert f"{7 * EACH} released images" in found.note


def test_samples_of_other_seeds_have_other_patients(blurred):
    archive, out = blurred
    chosen = {
        tuple(sample_release(archive, out, patients=7, seed=seed).cohort.patient_names)
        for seed in range(3)
    }
    assert len(chosen) == 3


@pytest.mark.parametrize("patients", [3, 9, 1000])
def test_groups_are_whole_and_name_the_patients_of_the_sample(grouped, patients):
    archive, out = grouped
    assert len(parts_of(out)) > 1
    found = sample_release(archive, out, patients)
    release, sample = found.release, found.cohort
    assert min(patients, PATIENTS) <= sample.patients <= patients + 2
    assert release.contributors.min() >= 0
    everything = {
        (archive.patient_names[group].tobytes(), part.images[row].tobytes())
        for part in parts_of(out)
        for row, group in enumerate(part.contributors)
    }
    for row, group in enumerate(release.contributors):
        assert (sample.patient_names[group].tobytes(), release.images[row].tobytes()) in everything
        assert sample.patient[release.rows_in(sample)[row]] in group
    if patients == 1000:
        assert len(release) == PATIENTS * EACH


def test_another_archive_is_refused(cohort, blurred, tmp_path):
    other = archived(people(PATIENTS, images=EACH, size=16, seed=5), tmp_path / "other", each=20)
    with pytest.raises(ValueError, match="not made from images of the archive .*other"):
        sample_release(other, blurred[1])


def test_what_was_changed_after_the_release_is_noticed(cohort, tmp_path):
    archive = archived(cohort, tmp_path / "a", each=20)
    privatize_archive(archive, "blur", tmp_path / "out", split="all", workers=1)
    first, second = sorted((tmp_path / "out" / "share" / "0000").iterdir())[:2]
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(ValueError, match="is not what the key says"):
        sample_release(archive, tmp_path / "out", 1000)
    first.write_bytes(kept)
    table = tmp_path / "out" / "keep" / "order.csv"
    whole = table.read_text()
    table.write_text(whole.rsplit("\n", 2)[0] + "\n")
    with pytest.raises(ValueError, match="does not list each released image once"):
        sample_release(archive, tmp_path / "out", 1000)


def test_a_method_that_drew_on_a_gallery_is_refused(cohort, tmp_path):
    archive = archived(cohort, tmp_path / "a", each=20)
    cohort.save(tmp_path / "gallery.npz")
    privatize_archive(
        archive, "k-same-select", tmp_path / "out", split="all", workers=1, k=2,
        gallery=tmp_path / "gallery.npz",
    )  # fmt: skip
    with pytest.raises(ValueError, match="drew on the patients of a gallery"):
        sample_release(archive, tmp_path / "out")


def run(release, out, *more):
    words = ["attack", str(release), "--out", str(out), *map(str, more)]
    command.run(build_parser("attack").parse_args(words), SMALL)


def test_the_command_attacks_a_sample_and_says_so(grouped, tmp_path, capsys):
    archive, out = grouped
    run(out, tmp_path / "attacked", "--cohort", archive.folder, "--patients", 12)
    said = capsys.readouterr().out
    assert "A sample was attacked: 12 of the 24 patients" in said
    assert "best naming attack" in said
    report = json.loads((tmp_path / "attacked" / "report.json").read_text())
    assert any("A sample was attacked" in note for note in report["notes"])
    assert report["patients"] == 12
    tried = {one["attack"]: one["measures"] for one in report["findings"]}
    assert tried["the tool's own order"]


def test_the_command_needs_the_archive_and_refuses_a_meaningless_number(cohort, blurred, tmp_path):
    cohort.save(tmp_path / "c.npz")
    with pytest.raises(ValueError, match="name the folder of the archive"):
        run(blurred[1], tmp_path / "attacked", "--cohort", tmp_path / "c.npz")
    with pytest.raises(ValueError, match="for the release of an archive only"):
        run(tmp_path / "none", tmp_path / "attacked", "--patients", 5)
    with pytest.raises(FileNotFoundError, match="no release of an archive"):
        run(tmp_path / "none", tmp_path / "attacked", "--cohort", blurred[0].folder)
    with pytest.raises(FileNotFoundError, match="attacks a sample of it"):
        read_release(blurred[1])


def test_nothing_is_written_into_the_release_of_an_archive(blurred):
    with pytest.raises(ValueError, match="does not belong into a release"):
        refuse_inside(blurred[1] / "share" / "attackers", "what the attackers learned")
