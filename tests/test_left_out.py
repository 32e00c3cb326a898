"""Nothing is left out quietly: lists of what was lost, the least share that must be kept, folders."""

import csv
import os
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from medpriv_lib.data.choices import STRICT, Care, Cut, Split
from medpriv_lib.data.folder import list_folder
from medpriv_lib.data.left_out import LeftOut, TooManyLost, write_left_out
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.prepare import prepare


def _eye(seed):
    """A crude eye of 120x160 with a little noise."""
    image = np.full((120, 160), 180, np.float32)
    cv2.circle(image, (80, 60), 30, 100, -1, cv2.LINE_AA)
    cv2.circle(image, (80, 60), 12, 20, -1, cv2.LINE_AA)
    image += np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 1), 0, 255).astype(np.uint8)


def _write(folder, patients, blank=()):
    lines = ["file,patient,label"]
    for i, patient in enumerate(patients):
        image = np.full((120, 160), 90, np.uint8) if i in blank else _eye(i)
        Image.fromarray(image).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{patient},{i % 2}")
    (folder / "list.csv").write_text("\n".join(lines))
    return read_manifest(folder)


def test_every_lost_file_is_listed_with_its_reason(tmp_path):
    listing = _write(tmp_path, ["a"] * 6 + ["b"] * 6, blank=(3,))
    cohort, report = prepare(listing, Cut(16))
    assert len(cohort) == report["kept"] == 11
    assert (report["lost"], report["kept_rate"]) == (1, 11 / 12)
    (item,) = report["left_out"]
    assert (item.file, item.patient, item.lost) == ("3.png", "a", True)
    assert "no eye was found" in item.reason
    assert report["not_found"] == ["3.png"]
    assert report["patients_lost"] == []
    assert write_left_out(tmp_path / "left-out.csv", report["left_out"]) == 1
    with open(tmp_path / "left-out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["file"], r["patient"], r["lost"]) for r in rows] == [("3.png", "a", "yes")]


def test_too_many_lost_raise_with_the_count_and_the_list(tmp_path):
    listing = _write(tmp_path, ["a"] * 6 + ["b"] * 6, blank=(3, 5, 8))
    with pytest.raises(
        TooManyLost, match=r"3 of 12 images were lost.*75\.0 %.*90 %.*3\.png"
    ) as error:
        prepare(listing, Cut(16))
    assert [item.file for item in error.value.left_out] == ["3.png", "5.png", "8.png"]
    assert "--no-localize" in str(error.value)
    assert len(prepare(listing, Cut(16), care=Care(0.75))[0]) == 9
    with pytest.raises(ValueError, match=r"least_kept is 90; use a share from 0 to 1"):
        Care(90)


def test_a_patient_left_with_one_image_is_refused_by_the_rule_for_one_image(tmp_path):
    patients = ["a"] * 8 + ["b"] * 2 + ["c"] * 8
    listing = _write(tmp_path, patients, blank=(8,))
    cohort, report = prepare(listing, Cut(16))
    assert report["patients_with_one_image"] == report["of_these_by_losses"] == ["b"]
    with pytest.raises(ValueError, match=r"9\.png: 'b' is a patient with one image, left of 2"):
        prepare(listing, Cut(16), care=STRICT)
    assert prepare(listing, Cut(16), Split("patient"), STRICT)[0].patients == 3
    alone = _write(tmp_path, ["a", "a", "b"])
    with pytest.raises(ValueError, match=r"2\.png: 'b' is a patient with one image, which cannot"):
        prepare(alone, Cut(16), care=STRICT)


def test_a_lost_patient_is_named(tmp_path):
    listing = _write(tmp_path, ["a"] * 9 + ["b"], blank=(9,))
    _, report = prepare(listing, Cut(16))
    assert report["patients_lost"] == ["b"]


def test_a_folder_lists_what_it_cannot_read(tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("1.png", "01.png", "sub/2.TIF", ".hidden.png"):
        Image.fromarray(_eye(len(name))).save(folder / name, format="PNG")
    for name in ("scan.dcm", "IM0001", "notes.txt"):
        (folder / name).write_bytes(b"x")
    Image.fromarray(_eye(9)).save(tmp_path / "outside.png")
    os.symlink(tmp_path / "outside.png", folder / "link.png")
    os.symlink(folder / "1.png", folder / "second.png")
    listing = list_folder(folder)
    assert [listing.name_of(i) for i in range(len(listing))] == ["01.png", "1.png", "sub/2.TIF"]
    assert not listing.named
    found = {item.file: item.lost for item in listing.left_out}
    assert found == {
        ".hidden.png": False,
        "IM0001": True,
        "link.png": True,
        "notes.txt": False,
        "scan.dcm": True,
        "second.png": False,  # its image is listed by its own name
    }
    with pytest.raises(TooManyLost, match=r"3 of 6 images were lost, so 50\.0 %"):
        prepare(listing, Cut(16))
    cohort, report = prepare(
        listing, Cut(16), care=Care(0.5, keep_single=True)
    )  # 01 and 1 are two files, no people
    assert (len(cohort), report["lost"]) == (3, 3)


def test_a_folder_without_a_readable_image_says_what_it_has(tmp_path):
    with pytest.raises(ValueError, match="empty folder"):
        list_folder(tmp_path)
    (tmp_path / "a.dcm").touch()
    with pytest.raises(ValueError, match=r"none of its 1 files.*a\.dcm, of a format"):
        list_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        list_folder(tmp_path / "none")


def test_the_list_holds_no_formula_and_no_control_character(tmp_path):
    items = [LeftOut("=cmd|' /C calc'!A0.png", "@x", "bad\x1b[31m\nname")]
    write_left_out(tmp_path / "l.csv", items)
    text = (tmp_path / "l.csv").read_text()
    assert "\x1b" not in text
    assert text.count("\n") == 2
    assert "'=cmd" in text
    assert "'@x" in text


def test_an_image_too_small_for_an_eye_is_named(tmp_path):
    listing = _write(tmp_path, ["a", "a", "b", "b"])
    Image.fromarray(_eye(2)[56:64, 76:84]).save(tmp_path / "2.png")
    with pytest.raises(ValueError, match=r"2\.png: 8x8 pixels.*32x32"):
        prepare(listing, Cut(16))
    assert len(prepare(listing, Cut(16, False))[0]) == 4


def test_what_cannot_fit_is_refused_before_any_image_is_read(tmp_path):
    listing = _write(tmp_path, ["a", "a", "b", "b"])
    for file in listing.files:
        file.unlink()
    with pytest.raises(ValueError, match=r"size is 100000; use 4096 or fewer"):
        prepare(listing, Cut(100000))


def test_an_interruption_reads_no_file_that_is_still_waiting(tmp_path, monkeypatch):
    """Two threads have begun when the first result is an interruption; the others are forgotten."""
    from medpriv_lib.data.cut_out import CutOut

    for number in range(40):
        Image.fromarray(_eye(number)).save(tmp_path / f"{number:02d}.png")
    begun = []

    def cut(self, row, *_):
        begun.append(row)
        if row == 0:
            raise KeyboardInterrupt
        time.sleep(0.2)
        raise AssertionError("nobody waits for this")

    monkeypatch.setattr(CutOut, "cut", cut)
    with pytest.raises(KeyboardInterrupt):
        prepare(list_folder(tmp_path), Cut(16, False), workers=2)
    assert len(begun) < 10


def test_a_pipe_and_a_link_to_nowhere_are_listed_and_not_waited_for(tmp_path):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "eye.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "note.txt").symlink_to("nowhere.txt")
    (tmp_path / "folder").mkdir()
    listing = list_folder(tmp_path)
    assert [file.name for file in listing.files] == ["eye.png"]
    found = {item.file: (item.lost, item.reason.partition(";")[0]) for item in listing.left_out}
    assert found == {
        "gone.jpg": (True, "a link that leads nowhere"),
        "note.txt": (False, "a link that leads nowhere"),
        "pipe.png": (True, "a pipe or a device, no file"),
    }
