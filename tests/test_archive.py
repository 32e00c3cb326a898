"""Archives: the bytes of the cohort in memory whatever the chunks, and runs that go on."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from small_cohorts import people

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.workplace import Busy
from medpriv_lib.data.account import cautions
from medpriv_lib.data.archive import alike
from medpriv_lib.data.archive import prepare as driver
from medpriv_lib.data.archive.archive import Archive, is_archive
from medpriv_lib.data.archive.plan import Plan, usual_chunk
from medpriv_lib.data.archive.prepare import prepare_archive
from medpriv_lib.data.choices import Care, Cut
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.people import DoubledPeople
from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.synthetic.cohort import write_synthetic
from medpriv_lib.data.warsaw import read_warsaw

SMALL = Cut(16, False)
PARTS = ("images", "patient", "eye", "diseased", "split", "patient_names")


def written(folder, count=60, size=20, spoilt=(), doubled=()):
    """Write PNGs of noise and their table; return the listing."""
    folder.mkdir()
    cohort, lines = people(20, images=count // 20, size=size), ["file,patient,label"]
    for row in range(len(cohort)):
        image = cohort.images[doubled.get(row, row) if doubled else row]
        cv2.imwrite(str(folder / f"{row:04d}.png"), image)
        lines.append(f"{row:04d}.png,p{cohort.patient[row]:02d},{int(cohort.diseased[row])}")
    for row in spoilt:
        (folder / f"{row:04d}.png").write_bytes(b"no picture")
    (folder / "table.csv").write_text("\n".join(lines))
    return replace(read_manifest(folder), strict=bool(spoilt))


def same(archive: Archive, cohort: Cohort) -> None:
    whole = archive.take(np.arange(len(archive)))
    for key in (*PARTS, "evidence", "twin", "visit"):
        one, other = getattr(whole, key), getattr(cohort, key)
        assert (one is None) == (other is None), key
        if one is not None:
            assert one.dtype == other.dtype, key
            np.testing.assert_array_equal(one, other, err_msg=key)
    assert archive.hash() == cohort.hash() == whole.hash()


@pytest.mark.parametrize("each", [3, 60])
def test_an_archive_holds_the_bytes_of_the_cohort(tmp_path, each):
    listing = written(tmp_path / "in", spoilt=(0, 33, 34, 35))
    cohort, told = prepare(listing, SMALL)
    archive, report = prepare_archive(listing, tmp_path / "a", SMALL, each=each, workers=1)
    assert archive.chunks == -(-60 // each)
    same(archive, cohort)
    same(Archive.open(tmp_path / "a"), cohort)
    assert list(report["per_image"]) == json.loads(json.dumps(told["per_image"]))
    for key in set(told) - {"per_image", "seconds"}:
        assert report[key] == told[key], key
    left = {path.name for path in (tmp_path / "a" / "chunks" / "00000").iterdir()}
    assert left == {"images.npy", "table.npz", "records.json"}
    rows = np.array([50, 3, 17, 3])
    np.testing.assert_array_equal(archive.take(rows).images, cohort.images[rows])
    np.testing.assert_array_equal(archive.chunk(0).row, np.arange(archive.starts[1]))
    assert isinstance(archive.images(0), np.memmap)


def test_colours_and_processes(tmp_path):
    listing = written(tmp_path / "in", 40)
    cohort, _ = prepare(listing, Cut(16, False, colour=True))
    archive, _ = prepare_archive(
        listing, tmp_path / "a", Cut(16, False, colour=True), each=15, workers=2
    )
    assert archive.shape == (16, 16, 3)
    same(archive, cohort)


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    listing = read_warsaw(write_synthetic(tmp_path_factory.mktemp("eyes") / "in", 3, 12, seed=5))
    for file in listing.files[2:5]:  # eyes that are hard to find
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        soft = cv2.GaussianBlur(image, (0, 0), 14)
        cv2.imwrite(str(file), cv2.circle(soft, (200, 140), 60, 30, -1))
    return listing


def test_eyes_that_are_looked_at_again_and_their_truth(tmp_path, eyes):
    """Whose eye is looked at again depends on the person's other images, in other chunks."""
    care = Care(0.1, keep_single=True)
    cohort, told = prepare(eyes, Cut(32), care=care)
    archive, report = prepare_archive(eyes, tmp_path / "a", Cut(32), care=care, each=5, workers=1)
    same(archive, cohort)
    for key in ("left_out", "odd_size", "common_marks", "error_px", "found_rate"):
        assert report[key] == told[key], key


def test_two_patients_with_one_picture_in_two_chunks_are_refused(tmp_path):
    listing = written(tmp_path / "in", doubled={50: 4})
    with pytest.raises(DoubledPeople, match="one picture under two patients"):
        prepare_archive(listing, tmp_path / "a", SMALL, each=9, workers=1)
    _, report = prepare_archive(
        listing, tmp_path / "a", SMALL, care=Care(doubles="report"), each=9, workers=1
    )
    assert report["shared_pictures"] == [("0004.png", "0050.png")]


def test_nearly_one_picture_in_two_chunks_is_reported(tmp_path, monkeypatch):
    """As in memory; a large archive says that nobody looked."""
    listing = written(tmp_path / "in", size=32)
    image = cv2.imread(str(listing.files[4]), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(listing.files[50]), np.rint(0.8 * image + 20).astype(np.uint8))
    cv2.imwrite(str(listing.files[33]), np.rint(0.7 * image[:, ::-1] + 30).astype(np.uint8))
    _, told = prepare(listing, Cut(32, False))
    _, report = prepare_archive(listing, tmp_path / "a", Cut(32, False), each=9, workers=1)
    assert report["alike_pictures"] == told["alike_pictures"]
    assert [later for _, later in report["alike_pictures"]] == ["0033.png", "0050.png"]
    assert not report["shared_pictures"]
    monkeypatch.setattr(alike, "MOST", 59)
    _, report = prepare_archive(listing, tmp_path / "b", Cut(32, False), each=9, workers=1)
    assert report["alike_pictures"] is None
    assert any("not looked for" in line for line in cautions(report))


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_killed_run_goes_on_and_does_nothing_twice(tmp_path, monkeypatch):
    listing = written(tmp_path / "in")
    real = driver.cut_chunk

    def dying(piece):
        if piece.folder.name == "00003":
            raise Killed
        real(piece)

    with monkeypatch.context() as patch:
        patch.setattr(driver, "cut_chunk", dying)
        with pytest.raises(Killed):
            prepare_archive(listing, tmp_path / "a", SMALL, each=10, workers=1)
    assert not is_archive(tmp_path / "a")
    first = tmp_path / "a" / "chunks" / "00000" / "cut.npy"
    before = first.stat().st_ino
    others = replace(listing, diseased=~listing.diseased)
    with pytest.raises(ValueError, match="other files or settings was begun"):
        prepare_archive(others, tmp_path / "a", SMALL, each=10, workers=1)
    with monkeypatch.context() as patch:
        patch.setattr(Plan, "clear", lambda plan: None)
        archive, _ = prepare_archive(listing, tmp_path / "a", SMALL, each=10, workers=1)
    assert first.stat().st_ino == before
    same(archive, prepare(listing, SMALL)[0])
    with pytest.raises(ValueError, match="holds an archive already"):
        prepare_archive(listing, tmp_path / "a", SMALL, each=10, workers=1)


def test_a_changed_chunk_is_noticed(tmp_path):
    listing = written(tmp_path / "in")
    archive, _ = prepare_archive(listing, tmp_path / "a", SMALL, each=30, workers=1)
    path = tmp_path / "a" / "chunks" / "00001" / "images.npy"
    np.save(path, np.zeros((2, 16, 16), np.uint8))
    with pytest.raises(ValueError, match="the archive says"):
        archive.chunk(1)
    path.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        archive.hash()
    with pytest.raises(FileNotFoundError, match="prepare --archive"):
        Archive.open(tmp_path / "in")
    with pytest.raises(ValueError, match="something else"):
        prepare_archive(listing, tmp_path / "in", SMALL)


def test_splits_and_chunks_that_nobody_asked_for(tmp_path):
    assert usual_chunk(Cut(64)) == 1000
    assert usual_chunk(Cut(256)) == 1000
    assert usual_chunk(Cut(512, colour=True)) == 250
    archive, _ = prepare_archive(written(tmp_path / "in"), tmp_path / "a", SMALL, workers=1)
    assert len(archive.rows_of("all")) == 60
    assert (archive.split[archive.rows_of("val")] == "val").all()
    with pytest.raises(ValueError, match="unknown split"):
        archive.rows_of("tests")


PROGRAM = """
import sys, time
from pathlib import Path
from medpriv_lib.data.archive import prepare as driver
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.manifest import read_manifest
real = driver.cut_chunk
def slow(piece):
    real(piece)
    print(piece.folder.name, flush=True)
    time.sleep(0.5)
driver.cut_chunk = slow
driver.prepare_archive(read_manifest(Path(sys.argv[1])), sys.argv[2], Cut(16, False), each=10, workers=1)
"""


def test_a_process_that_is_killed_leaves_what_it_had(tmp_path):
    """As above, by a real SIGKILL: no handler runs, and the lock of the dead process is opened."""
    listing = written(tmp_path / "in")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "in"), str(tmp_path / "a")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ))
    assert process.stdout.readline() == b"00000\n"
    with pytest.raises(Busy):
        prepare_archive(listing, tmp_path / "a", SMALL, each=10, workers=1)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    archive, _ = prepare_archive(listing, tmp_path / "a", SMALL, each=10, workers=1)
    same(archive, prepare(listing, SMALL)[0])
    assert {path.name for path in tmp_path.iterdir()} == {"in", "a"}
