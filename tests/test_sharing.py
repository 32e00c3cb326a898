"""Sharing: what is given away says nothing but its pixels, and nothing that was there is ever
lost."""

import dataclasses
import json
import os
import random
import shutil
import stat
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from forked import run_code
from PIL import Image
from small_cohorts import noise_cohort, strangers

from medpriv_lib.core import sharing, workplace
from medpriv_lib.core.exposure import AS_GOOD_AS_EQUAL, Exposed, exposed
from medpriv_lib.core.release import Release
from medpriv_lib.core.sharing import read_release, write_release
from medpriv_lib.core.workplace import Busy, reserved
from medpriv_lib.privatizers.k_same import KSameSelect


def make(n=30, seed=0):
    cohort = noise_cohort(
        np.arange(n) // 3,
        np.arange(n) % 2 == 0,
        size=8,
        eye="L",
        split="test",
        names=[f"Kowalski-{i}" for i in range(n)],
        seed=seed,
    )
    release = Release(
        images=255 - cohort.images,
        source=np.arange(n),
        contributors=cohort.patient[:, None],
        method="blur",
        parameters={"kernel": 9, "note": "Kowalski"},
    )
    return release, cohort


def snapshot(folder):
    """Every path below a folder with its content: equal snapshots mean that nothing was lost or
    added."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_round_trip(tmp_path):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out")
    back, order = read_release(tmp_path / "out")
    for field in dataclasses.fields(release):
        if field.name != "given":
            np.testing.assert_array_equal(getattr(back, field.name), getattr(release, field.name))
    np.testing.assert_array_equal(back.rows_in(cohort), release.source)
    for number, row in enumerate(order, start=1):
        with Image.open(tmp_path / "out" / "share" / f"{number:04d}.png") as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), release.images[row])
    lines = (tmp_path / "out" / "keep" / "order.csv").read_text().splitlines()
    assert lines[0] == "file,released_row,source_row,patient"
    assert lines[1] == f"0001.png,{order[0]},{order[0]},Kowalski-{order[0] // 3}"


def test_share_holds_neutral_names_and_nothing_else(tmp_path):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out")
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
    write_release(release, cohort, tmp_path / "out")
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
    write_release(release, cohort, tmp_path / "out")
    paths = [*(tmp_path / "out" / "share").iterdir(), tmp_path / "out" / "share"]
    assert {path.stat().st_mtime_ns for path in paths} == {sharing.ONE_TIME * 10**9}
    assert len({path.read_bytes() for path in paths[:-1]}) == 1


def test_the_order_comes_from_no_seed_and_every_order_is_possible(tmp_path):
    """Whatever state the generators of a process are in, two writes give two orders, and no place
    is kept."""
    release, cohort = make()
    orders = []
    for _ in range(20):
        np.random.seed(0)  # noqa: NPY002 - the order must not come from here either
        random.seed(0)
        torch.manual_seed(0)
        write_release(release, cohort, tmp_path / "out")
        orders.append(read_release(tmp_path / "out")[1].tolist())
    assert len({tuple(order) for order in orders}) == 20
    # "row order links": shuffled, a place is right by chance alone. 20 shuffles of 30 have 20
    # expected fixed places, Poisson; more than 45 happen once in a million
    assert sum(int((np.array(order) == np.arange(30)).sum()) for order in orders) <= 45


def rate_of_places(order, guess):
    """The share of files whose released row a guess of the whole order names."""
    return float((np.asarray(order) == np.asarray(guess)).mean())


def test_the_tool_s_own_order_names_nobody(tmp_path):
    """The attack that undid earlier releases: a roster in cohort order, K-Same-Select's release
    form with K = 3, and the tool's code with every small seed. A third is promised; whoever knows
    all of share/ and the code gets no more than that, and no more than guessing."""
    cohort = strangers(patients=30, each=1)
    release = KSameSelect(3, form="release").privatize(cohort)
    trials, named = 40, []
    for _ in range(trials):
        write_release(release, cohort, tmp_path / "out")
        order = read_release(tmp_path / "out")[1]
        # undo the shuffle of seed 0 and read the roster: file i is the patient in this row
        named.append(rate_of_places(order, np.random.default_rng(0).permutation(len(order))))
        # try seeds: even the best of 200 is right in as few places as the best of 200 shuffles
        tried = [
            rate_of_places(order, np.random.default_rng(seed).permutation(len(order)))
            for seed in range(200)
        ]
        # 200 Poisson(1) counts: more than 10 places happen once in 500,000 (40 trials: 1 in 12,000)
        assert max(tried) <= 10 / len(order)
    # one file in 30 is named by chance; five standard errors of 40 trials leave no doubt
    assert np.mean(named) <= 1 / 30 + 5 * np.sqrt(1 / 30 / len(release) / trials) < 1 / 3


@pytest.mark.parametrize("size", [16, 50])
@pytest.mark.parametrize("colour", [(), (3,)])
def test_what_equals_an_original_is_found_as_by_comparing_all(size, colour):
    rng = np.random.default_rng(3)
    originals = rng.integers(0, 256, (40, size, size, *colour), dtype=np.uint8)
    images = np.repeat(originals[:20], 2, axis=0).astype(np.int64)
    images += rng.integers(-1, 2, images.shape) * np.arange(40).reshape(
        -1, *[1] * (images.ndim - 1)
    )
    images = images.clip(0, 255).astype(np.uint8)
    slow = [
        any(np.abs(a.astype(float) - b).mean() < AS_GOOD_AS_EQUAL for b in originals)
        for a in images
    ]
    assert exposed(images, originals).tolist() == slow
    assert 0 < sum(slow) < 10
    assert not exposed(images, originals[:, :8, :8]).any()


@pytest.mark.parametrize("change", [0, 1])
def test_a_release_that_shows_an_original_is_refused_with_the_count(tmp_path, change):
    release, cohort = make()
    images = release.images.copy()
    images[:3] = cohort.images[20:23]  # anybody's original, the own patient's or not
    images[0, 0, :4] ^= change  # not to the last bit
    with pytest.raises(Exposed, match="3 of 30 released pictures equal an original"):
        write_release(dataclasses.replace(release, images=images), cohort, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_was_left_out_is_kept_with_the_reason(tmp_path):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out", left_out={"a\udcff.gif": "no image file"})
    text = (tmp_path / "out" / "keep" / "left_out.csv").read_text()
    assert text.splitlines() == ["file,why", "a\\udcff.gif,no image file"]
    write_release(release, cohort, tmp_path / "out")  # it is part of a release, which is replaced
    assert not (tmp_path / "out" / "keep" / "left_out.csv").exists()


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_key_is_closed_to_everyone_but_its_owner(tmp_path):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out")
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
    write_release(release, cohort, tmp_path / "out")
    few = Release(release.images[:4], release.source[:4], release.contributors[:4], "blur")
    write_release(few, cohort, tmp_path / "out")
    assert len(list((tmp_path / "out" / "share").iterdir())) == 4
    assert len(read_release(tmp_path / "out")[0]) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_empty_folder_is_accepted(tmp_path):
    release, cohort = make()
    (tmp_path / "out").mkdir()
    write_release(release, cohort, tmp_path / "out")
    assert len(read_release(tmp_path / "out")[0]) == 30


@pytest.mark.parametrize(
    "stranger", ["holiday.jpg", "share/0001.jpg", "share/notes/0001.png", "keep/my-notes.txt"]
)
def test_folder_with_anything_else_is_refused_and_unchanged(tmp_path, stranger):
    release, cohort = make()
    out = tmp_path / "out"
    write_release(release, cohort, out)
    (out / stranger).parent.mkdir(exist_ok=True, parents=True)
    (out / stranger).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="not part of a release; nothing was written"):
        write_release(release, cohort, out)
    assert snapshot(tmp_path) == before


def test_folder_of_numbered_pngs_without_a_key_is_refused_and_unchanged(tmp_path):
    release, cohort = make()
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "0001.png").write_bytes(b"the only copy")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="no complete release"):
        write_release(release, cohort, tmp_path)
    assert snapshot(tmp_path) == before


def test_file_or_link_in_the_place_of_the_folder_is_refused(tmp_path):
    release, cohort = make()
    (tmp_path / "out").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    before = snapshot(tmp_path)
    for name in ("out", "link"):
        with pytest.raises(ValueError, match="not a folder"):
            write_release(release, cohort, tmp_path / name)
    assert snapshot(tmp_path) == before


def test_missing_parent_is_refused(tmp_path):
    release, cohort = make()
    with pytest.raises(FileNotFoundError, match="create it first"):
        write_release(release, cohort, tmp_path / "a" / "b")


def test_release_of_another_cohort_is_refused(tmp_path):
    release, cohort = make()
    with pytest.raises(ValueError, match="pass the cohort that was privatised"):
        write_release(release, cohort.take(np.arange(10)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("former", [False, True])
def test_full_disk_leaves_what_was_there(tmp_path, monkeypatch, former):
    release, cohort = make()
    if former:
        write_release(release, cohort, tmp_path / "out")
    before = snapshot(tmp_path)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sharing, "_write_keep", full)  # after all images
    with pytest.raises(OSError, match="No space left"):
        write_release(release, cohort, tmp_path / "out")
    assert snapshot(tmp_path) == before


def test_failing_last_rename_puts_the_former_release_back(tmp_path, monkeypatch):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out")
    before = snapshot(tmp_path)
    rename = os.rename

    def failing(source, target):
        if f"{source}".endswith("new"):
            raise OSError("the disk is gone")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        write_release(release, cohort, tmp_path / "out")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("at", ["claim", "share", "keep", "first rename", "second rename"])
def test_killed_in_mid_write_loses_nothing(tmp_path, at):
    """Kill a process without warning at each step; the former or the new release is there
    afterwards, complete."""
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out")
    former = snapshot(tmp_path / "out")
    cohort.save(tmp_path / "cohort.npz")
    release.save(tmp_path / "release.npz")
    program = f"""
import os, sys
import numpy as np
from medpriv_lib.core import sharing
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
rename, count = os.rename, 0
def die(*arguments): os._exit(9)
def after(*arguments):
    global count
    rename(*arguments)
    count += 1
    if count == {dict(claim=1, first=2, second=3).get(at.split()[0], 0)}: os._exit(9)
at = {at!r}
if at == "share": sharing._write_keep = die
elif at == "keep": sharing.publish = die
else: os.rename = after
folder = {str(tmp_path)!r}
sharing.write_release(Release.load(folder + "/release.npz"), Cohort.load(folder + "/cohort.npz"), folder + "/out")
"""
    assert run_code(program).returncode == 9
    back, order = read_release(tmp_path / "out")
    assert len(back) == 30
    assert (snapshot(tmp_path / "out") == former) == (at != "second rename")
    write_release(release, cohort, tmp_path / "out")  # the next write is not held up by the remains
    assert len(read_release(tmp_path / "out")[0]) == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cohort.npz", "out", "release.npz"]


def test_folders_that_merely_look_alike_are_never_touched(tmp_path):
    release, cohort = make()
    mine = [".out-new-thesis", ".out-former", ".out-medpriv-old", ".outing", ".out-medpriv-x"]
    for name in mine:
        (tmp_path / name).mkdir()
        (tmp_path / name / "work.txt").write_text("the only copy")
    # a marker that is no marker, and the marker of a process that lives
    (tmp_path / mine[2] / workplace.MARKER).write_text("{}")
    (tmp_path / mine[4] / workplace.MARKER).write_text(json.dumps(workplace._process(os.getppid())))
    before = snapshot(tmp_path)
    for _ in range(2):
        write_release(release, cohort, tmp_path / "out")
        read_release(tmp_path / "out")
    after = snapshot(tmp_path)
    assert {name: after[name] for name in before} == before


def test_something_else_by_the_name_of_the_workplace_is_left_alone(tmp_path):
    release, cohort = make()
    (tmp_path / ".out-medpriv").mkdir()
    with pytest.raises(ValueError, match=r"\.out-medpriv is in the way"):
        write_release(release, cohort, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == [".out-medpriv"]


def test_the_second_of_two_runs_says_so_at_once(tmp_path):
    release, cohort = make()
    with reserved(tmp_path / "out"):
        before = snapshot(tmp_path)
        with pytest.raises(Busy, match=rf"another run \(process {os.getpid()}\) is writing"):
            write_release(release, cohort, tmp_path / "out")
        assert snapshot(tmp_path) == before
        write_release(release, cohort, tmp_path / "other")  # another folder is free
    write_release(release, cohort, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


@pytest.mark.parametrize("number", ["given to another process", "of another machine"])
def test_a_stale_workplace_is_taken_over_only_where_its_process_is_dead(tmp_path, number):
    release, cohort = make()
    place = tmp_path / ".out-medpriv"
    place.mkdir()
    holder = workplace._process(os.getpid())  # alive, but it began at another time
    holder |= {"began": "1"} if number == "given to another process" else {"host": "elsewhere"}
    (place / workplace.MARKER).write_text(json.dumps(holder))
    if number == "of another machine":
        with pytest.raises(Busy, match=r"on elsewhere.*if that run is dead, remove"):
            write_release(release, cohort, tmp_path / "out")
    else:
        write_release(release, cohort, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_former_release_is_kept_where_somebody_made_the_folder_anew(tmp_path):
    """A kill between the two renames, and then a new folder by hand: both stay."""
    release, cohort = make()
    place = tmp_path / ".out-medpriv"
    (place / "new").mkdir(parents=True)
    (place / "former").mkdir()
    (place / "former" / "release").write_text("the only copy")
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], check=True, capture_output=True
    )
    (place / workplace.MARKER).write_text(
        json.dumps({"pid": int(done.stdout), "host": workplace._host(), "began": None})
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    workplace.recover(tmp_path / "out")
    assert (place / "former" / "release").read_text() == "the only copy"
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_reading_notices_what_is_missing_added_or_changed(tmp_path):
    release, cohort = make()
    out = tmp_path / "out"
    share = out / "share"
    with pytest.raises(FileNotFoundError, match="medpriv privatize"):
        read_release(out)
    write_release(release, cohort, out)
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


def swap_files(lines):
    """Swap the names of the files of the first two rows."""
    a, b = lines[1].split(",", 1), lines[2].split(",", 1)
    return [lines[0], f"{b[0]},{a[1]}", f"{a[0]},{b[1]}", *lines[3:]]


def swap_rows(lines):
    """Give the first two files to one another's images: all but the file's name is exchanged."""
    a, b = lines[1].split(",", 1), lines[2].split(",", 1)
    return [lines[0], f"{a[0]},{b[1]}", f"{b[0]},{a[1]}", *lines[3:]]


def rename_patient(lines):
    return [lines[0], lines[1].rpartition(",")[0] + ",FAKE", *lines[2:]]


def other_source(lines):
    file, row, source, patient = lines[1].split(",")
    return [lines[0], f"{file},{row},{int(source) + 1},{patient}", *lines[2:]]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (swap_files, "row 2: file"),
        (swap_rows, "differs"),
        (rename_patient, "row 2: patient is 'FAKE'"),
        (other_source, "row 2: source_row"),
    ],
)
def test_a_table_of_the_key_that_was_changed_is_noticed(tmp_path, change, column):
    release, cohort = make()
    write_release(release, cohort, tmp_path / "out")
    table = tmp_path / "out" / "keep" / "order.csv"
    read_release(tmp_path / "out")
    table.write_text("\n".join(change(table.read_text().splitlines())) + "\n")
    with pytest.raises(ValueError, match=column):
        read_release(tmp_path / "out")


def test_equal_pictures_do_not_hide_a_change_of_the_table(tmp_path):
    release, cohort = make()
    alike = dataclasses.replace(release, images=np.repeat(release.images[:1], len(release), axis=0))
    write_release(alike, cohort, tmp_path / "out")
    table = tmp_path / "out" / "keep" / "order.csv"
    table.write_text("\n".join(swap_files(table.read_text().splitlines())) + "\n")
    with pytest.raises(ValueError, match="row 2: file"):
        read_release(tmp_path / "out")


def test_names_that_a_table_quotes_are_read_as_they_were_written(tmp_path):
    release, cohort = make()
    odd = np.array([f'{name}, "x"\n=1é ' for name in cohort.patient_names])
    write_release(release, dataclasses.replace(cohort, patient_names=odd), tmp_path / "out")
    read_release(tmp_path / "out")


def test_the_key_of_another_release_is_called_so(tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        release, cohort = make(seed=seed)
        write_release(release, cohort, tmp_path / name)
    shutil.rmtree(tmp_path / "one" / "keep")
    shutil.copytree(tmp_path / "two" / "keep", tmp_path / "one" / "keep")
    with pytest.raises(ValueError, match=r"share: none of its 30 pictures .* another release"):
        read_release(tmp_path / "one")
