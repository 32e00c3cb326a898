"""Sharing: what is given away says nothing but its pixels, and nothing that was there is ever
lost."""

import dataclasses
import os
import stat
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from medpriv_lib import sharing
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.core.sharing import read_release, write_release


def make(n=30, seed=0):
    rng = np.random.default_rng(seed)
    cohort = Cohort(
        images=rng.integers(0, 256, (n, 8, 8), dtype=np.uint8),
        patient=np.arange(n) // 3,
        eye=np.full(n, "L"),
        diseased=np.arange(n) % 2 == 0,
        split=np.full(n, "test"),
        patient_names=np.array([f"Kowalski-{i}" for i in range(n)]),
    )
    release = Release(
        images=255 - cohort.images,
        source=np.arange(n),
        contributors=cohort.patient[:, None],
        method="blur",
        parameters={"kernel": 9, "note": "Kowalski"},
    )
    return release, cohort


def rng(seed=0):
    return np.random.default_rng(seed)


def snapshot(folder):
    """Every path below a folder with its content: equal snapshots mean that nothing was lost or
    added."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_round_trip(tmp_path):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out", rng())
    back, order = read_release(tmp_path / "out")
    for field in dataclasses.fields(release):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(release, field.name))
    for number, row in enumerate(order, start=1):
        with Image.open(tmp_path / "out" / "share" / f"{number:04d}.png") as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), release.images[row])
    lines = (tmp_path / "out" / "keep" / "order.csv").read_text().splitlines()
    assert lines[0] == "file,released_row,source_row,patient"
    assert lines[1] == f"0001.png,{order[0]},{order[0]},Kowalski-{order[0] // 3}"


def test_share_holds_neutral_names_and_nothing_else(tmp_path):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out", rng())
    names = sorted(path.name for path in (tmp_path / "out").rglob("*"))
    assert names == sorted(
        [
            "share",
            "keep",
            "README.txt",
            "order.csv",
            "release.npz",
            *(f"{i:04d}.png" for i in range(1, 31)),
        ]
    )
    assert "Never share it" in (tmp_path / "out" / "keep" / "README.txt").read_text()


def test_pngs_carry_no_metadata_and_no_name(tmp_path):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out", rng())
    for path in (tmp_path / "out" / "share").iterdir():
        data = path.read_bytes()
        assert b"Kowalski" not in data
        chunks, at = [], 8
        while at < len(data):
            length = struct.unpack(">I", data[at : at + 4])[0]
            chunks.append(data[at + 4 : at + 8])
            at += 12 + length
        assert set(chunks) == {
            b"IHDR",
            b"IDAT",
            b"IEND",
        }  # no text, no time, no physical size, nothing after the end
        assert at == len(data)


def test_files_are_equal_for_equal_pixels_and_in_their_times(tmp_path):
    release, cohort = make()
    release = dataclasses.replace(release, images=np.repeat(release.images[:1], 30, axis=0))
    write_release(release, cohort, tmp_path / "out", rng())
    paths = [*(tmp_path / "out" / "share").iterdir(), tmp_path / "out" / "share"]
    assert {path.stat().st_mtime_ns for path in paths} == {sharing.ONE_TIME * 10**9}
    assert len({path.read_bytes() for path in paths[:-1]}) == 1


def test_order_is_drawn_from_the_generator_and_every_order_is_possible(tmp_path):
    release, cohort = make()
    orders = []
    for seed in (1, 1, 2):
        write_release(release, cohort, tmp_path / "out", rng(seed))
        orders.append(read_release(tmp_path / "out")[1].tolist())
    assert orders[0] == orders[1] != orders[2]
    # "row order links": shuffled, a place is right by chance alone. 20 shuffles of 30 have 20
    # expected fixed places, Poisson; more than 45 happen once in a million
    fixed = sum(int((rng(seed).permutation(30) == np.arange(30)).sum()) for seed in range(20))
    assert fixed <= 45
    assert orders[0] == rng(1).permutation(30).tolist()


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_key_is_closed_to_everyone_but_its_owner(tmp_path):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out", rng())
    keep = tmp_path / "out" / "keep"
    assert stat.S_IMODE(keep.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in keep.iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "out" / "share" / "0001.png").stat().st_mode) & 0o400


def test_more_than_9999_images_sort_in_order():
    names = sharing._names(12000)
    assert names == sorted(names)
    assert names[0] == "00001.png"
    assert all(sharing.IMAGE_NAME.fullmatch(name) for name in names)


def test_former_release_is_replaced_as_a_whole(tmp_path):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out", rng())
    few = Release(release.images[:4], release.source[:4], release.contributors[:4], "blur")
    write_release(few, cohort, tmp_path / "out", rng())
    assert len(list((tmp_path / "out" / "share").iterdir())) == 4
    assert len(read_release(tmp_path / "out")[0]) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_empty_folder_is_accepted(tmp_path):
    release, cohort = make()
    (tmp_path / "out").mkdir()
    write_release(release, cohort, tmp_path / "out", rng())
    assert len(read_release(tmp_path / "out")[0]) == 30


@pytest.mark.parametrize(
    "stranger", ["holiday.jpg", "share/0001.jpg", "share/notes/0001.png", "keep/my-notes.txt"]
)
def test_folder_with_anything_else_is_refused_and_unchanged(tmp_path, stranger):
    release, cohort = make()
    out = tmp_path / "out"
    write_release(release, cohort, out, rng())
    (out / stranger).parent.mkdir(exist_ok=True, parents=True)
    (out / stranger).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="not part of a release; nothing was written"):
        write_release(release, cohort, out, rng(1))
    assert snapshot(tmp_path) == before


def test_folder_of_numbered_pngs_without_a_key_is_refused_and_unchanged(tmp_path):
    release, cohort = make()
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "0001.png").write_bytes(b"the only copy")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="no complete release"):
        write_release(release, cohort, tmp_path, rng())
    assert snapshot(tmp_path) == before


def test_file_or_link_in_the_place_of_the_folder_is_refused(tmp_path):
    release, cohort = make()
    (tmp_path / "out").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    before = snapshot(tmp_path)
    for name in ("out", "link"):
        with pytest.raises(ValueError, match="not a folder"):
            write_release(release, cohort, tmp_path / name, rng())
    assert snapshot(tmp_path) == before


def test_missing_parent_is_refused(tmp_path):
    release, cohort = make()
    with pytest.raises(FileNotFoundError, match="create it first"):
        write_release(release, cohort, tmp_path / "a" / "b", rng())


def test_release_of_another_cohort_is_refused(tmp_path):
    release, cohort = make()
    with pytest.raises(ValueError, match="pass the cohort that was privatised"):
        write_release(release, cohort.take(np.arange(10)), tmp_path / "out", rng())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("former", [False, True])
def test_full_disk_leaves_what_was_there(tmp_path, monkeypatch, former):
    release, cohort = make()
    if former:
        write_release(release, cohort, tmp_path / "out", rng())
    before = snapshot(tmp_path)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sharing, "_write_keep", full)  # after all images
    with pytest.raises(OSError, match="No space left"):
        write_release(release, cohort, tmp_path / "out", rng(1))
    assert snapshot(tmp_path) == before


def test_failing_last_rename_puts_the_former_release_back(tmp_path, monkeypatch):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out", rng())
    before = snapshot(tmp_path)
    rename = os.rename

    def failing(source, target):
        if "former" not in f"{source}{target}":
            raise OSError("the disk is gone")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        write_release(release, cohort, tmp_path / "out", rng(1))
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("at", ["share", "keep", "first rename", "second rename"])
def test_killed_in_mid_write_loses_nothing(tmp_path, at):
    """Kill a process without warning at each step; the former or the new release is there
    afterwards, complete."""
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out", rng())
    former = snapshot(tmp_path / "out")
    cohort.save(tmp_path / "cohort.npz")
    release.save(tmp_path / "release.npz")
    program = f"""
import os, sys
import numpy as np
from medpriv_lib import sharing
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
write_share, write_keep, rename, count = sharing._write_share, sharing._write_keep, os.rename, 0
def die(*arguments): os._exit(9)
def after(*arguments):
    global count
    rename(*arguments)
    count += 1
    if count == {2 if at == "second rename" else 1}: os._exit(9)
at = {at!r}
if at == "share": sharing._write_keep = die
if at == "keep": os.rename = die
if "rename" in at: os.rename = after
folder = {str(tmp_path)!r}
sharing.write_release(Release.load(folder + "/release.npz"), Cohort.load(folder + "/cohort.npz"), folder + "/out",
                      np.random.default_rng(5))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    back, order = read_release(tmp_path / "out")
    assert len(back) == 30
    if at == "second rename":
        assert order.tolist() == rng(5).permutation(30).tolist()
    else:
        assert snapshot(tmp_path / "out") == former
    write_release(
        release, cohort, tmp_path / "out", rng(7)
    )  # and the next write is not held up by the remains
    assert read_release(tmp_path / "out")[1].tolist() == rng(7).permutation(30).tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cohort.npz", "out", "release.npz"]


def test_reading_notices_what_is_missing_added_or_changed(tmp_path):
    release, cohort = make()
    out = tmp_path / "out"
    share = out / "share"
    with pytest.raises(FileNotFoundError, match="medpriv privatize"):
        read_release(out)
    write_release(release, cohort, out, rng())
    original = (share / "0007.png").read_bytes()
    Image.fromarray(release.images[0] // 2).save(share / "0007.png")
    with pytest.raises(ValueError, match=r"0007.png: differs"):
        read_release(out)
    (share / "0007.png").write_bytes(original[:40])
    with pytest.raises(ValueError, match=r"0007.png: not a readable image"):
        read_release(out)
    (share / "0007.png").unlink()
    with pytest.raises(ValueError, match=r"0007.png: missing"):
        read_release(out)
    (share / "0007.png").write_bytes(original)
    (share / "9999.png").write_bytes(original)
    with pytest.raises(ValueError, match=r"9999.png: not of this release"):
        read_release(out)
    (share / "9999.png").unlink()
    order = out / "keep" / "order.csv"
    order.write_text(order.read_text().replace("0001.png,", "0001.png,9"))
    with pytest.raises(ValueError, match=r"order.csv: does not list each"):
        read_release(out)
    order.write_text("nothing here\n1\n")
    with pytest.raises(ValueError, match=r"order.csv: not a readable order"):
        read_release(out)
    (out / "keep" / "release.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"release.npz: not a readable release"):
        read_release(out)
