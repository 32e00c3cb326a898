"""Releases of archives: the bytes of a release in memory, groups within blocks, folders of a
thousand files, and runs that go on."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from small_cohorts import people, toy_cohort

from medpriv_lib.core import shards
from medpriv_lib.core.exposure import Exposed
from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.release import Release
from medpriv_lib.core.shards import part_file
from medpriv_lib.core.workplace import reserved
from medpriv_lib.data.archive.archive import Archive, chunk_folder
from medpriv_lib.pipeline.archive import privatize as driver
from medpriv_lib.pipeline.archive.privatize import privatize_archive
from medpriv_lib.pipeline.privatize import made_again
from medpriv_lib.privatizers.blocks import blocks, directions_of
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.privatizers.strangers import Strangers


def archived(cohort, folder, each=25):
    """Write a cohort as an archive with chunks of so many images."""
    for number, start in enumerate(range(0, len(cohort), each)):
        chunk = chunk_folder(folder, number)
        chunk.mkdir(parents=True)
        np.save(chunk / "images.npy", cohort.images[start : start + each])
    starts = np.append(np.arange(0, len(cohort), each), len(cohort)).astype(np.int64)
    columns = ("patient", "eye", "diseased", "split", "patient_names")
    parts = {key: getattr(cohort, key) for key in columns}
    archive = Archive(folder, cohort.name, cohort.images.shape[1:], starts, **parts)
    archive.save()
    return Archive.open(folder)


def parts_of(out):
    files = sorted((out / "keep" / "parts").glob("*.npz"))
    return [Release.load(path) for path in files]


def table_of(out):
    with open(out / "keep" / "order.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_blurred_archive_holds_the_bytes_of_the_release_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "EACH", 40)
    cohort = people(40, images=3, size=16)
    archive = archived(cohort, tmp_path / "a", each=33)
    count = privatize_archive(archive, "blur", tmp_path / "out", split="all", workers=1, kernel=5)
    assert count == 120
    whole = Blur(5).privatize(cohort)
    parts = parts_of(tmp_path / "out")
    np.testing.assert_array_equal(np.concatenate([one.images for one in parts]), whole.images)
    table = table_of(tmp_path / "out")
    files = sorted((tmp_path / "out" / "share").rglob("*.png"))
    shown = [path.relative_to(tmp_path / "out" / "share").as_posix() for path in files]
    assert [line["file"] for line in table] == shown
    assert [len(list(f.iterdir())) for f in sorted((tmp_path / "out" / "share").iterdir())] == [
        40
    ] * 3
    order = [int(line["released_row"]) for line in table]
    assert sorted(order) == list(range(120))
    assert order != sorted(order)
    for path, line in zip(files, table, strict=True):
        np.testing.assert_array_equal(
            np.asarray(Image.open(path)), whole.images[int(line["released_row"])]
        )
        assert path.stat().st_mtime == 946_684_800
        assert line["patient"] == f"p{cohort.patient[int(line['source_row'])]}"
    assert (tmp_path / "out" / "keep").stat().st_mode & 0o777 == 0o700
    assert not list((tmp_path / "out" / "keep" / "parts").glob("*.npy"))


def test_two_releases_have_two_orders(tmp_path):
    archive = archived(people(30, size=16), tmp_path / "a")
    for name in ("one", "two"):
        privatize_archive(archive, "blur", tmp_path / name, split="all", workers=1)
    assert table_of(tmp_path / "one") != table_of(tmp_path / "two")


def test_colours_in_two_processes(tmp_path):
    cohort = people(30, size=16)
    cohort = replace(cohort, images=np.stack([cohort.images] * 3, axis=-1))
    archive = archived(cohort, tmp_path / "a", each=10)
    privatize_archive(archive, "blur", tmp_path / "out", split="all", workers=2)
    found = np.concatenate([one.images for one in parts_of(tmp_path / "out")])
    np.testing.assert_array_equal(found, Blur(9).privatize(cohort).images)


def test_a_small_set_is_grouped_as_in_memory(tmp_path):
    cohort = people(40, images=3, size=8)
    archive = archived(cohort, tmp_path / "a")
    settings = {"k": 3, "form": "release"}
    privatize_archive(
        archive, "k-same-select", tmp_path / "out", split="all", workers=1, **settings
    )
    (part,) = parts_of(tmp_path / "out")
    whole = KSameSelect(**settings).privatize(cohort)
    for key in ("images", "source", "contributors"):
        np.testing.assert_array_equal(getattr(part, key), getattr(whole, key))


def test_blocks_hide_every_patient_among_k_and_release_every_image(tmp_path):
    cohort = people(200, images=2, size=8)
    archive = archived(cohort, tmp_path / "a", each=60)
    privatize_archive(
        archive, "k-same-select", tmp_path / "out", split="all", block=20, workers=1, k=4,
        form="release",
    )  # fmt: skip
    parts = parts_of(tmp_path / "out")
    assert len(parts) > 5
    rows = [one.given.row[one.source] for one in parts]
    assert set(np.concatenate(rows)) == set(range(400))
    people_of = [set(cohort.patient[some]) for some in rows]
    assert sum(map(len, people_of)) == 200, "a patient is in one block"
    for one, some in zip(parts, rows, strict=True):
        for row, who in zip(some, one.contributors, strict=True):
            who = who[who >= 0]
            assert 4 <= len(who) <= 7
            assert cohort.patient[row] in who
            assert set(who) <= set(cohort.patient[cohort.diseased == cohort.diseased[row]])


def test_nobody_is_shown_twice_in_an_archive(tmp_path):
    """Parts would not know of each other: such a release is one part, or it is refused."""
    cohort = people(20, images=2, size=16)
    archive = archived(cohort, tmp_path / "a", each=9)
    faces = np.random.default_rng(1).integers(0, 256, (80, 16, 16), dtype=np.uint8)
    (tmp_path / "weights").mkdir()
    bank = Strangers(faces, np.tile(np.float32([0.3, 0.5]), 40))
    bank.save(tmp_path / "weights" / "strangers.npz")
    more = {"split": "all", "workers": 1, "weights": tmp_path / "weights"}
    assert privatize_archive(archive, "stranger", tmp_path / "out", **more) == 40
    (only,) = parts_of(tmp_path / "out")
    assert len({image.tobytes() for image in only.images}) == 40
    fewer = Strangers(faces[:78], np.tile(np.float32([0.3, 0.5]), 39))
    fewer.save(tmp_path / "weights" / "strangers.npz")
    with pytest.raises(NotApplicable, match="39 images at most in one set, and 40 were asked"):
        privatize_archive(archive, "stranger", tmp_path / "other", **more)
    assert not (tmp_path / "other").exists()


def test_too_few_patients_of_a_label_are_said(tmp_path):
    cohort = people(30, size=8, diseased=np.arange(30) < 2)
    archive = archived(cohort, tmp_path / "a")
    with pytest.raises(NotApplicable, match="only 2 patients"):
        privatize_archive(
            archive, "k-same-select", tmp_path / "out", split="all", block=8, workers=1, k=3,
            form="release",
        )  # fmt: skip


def test_a_picture_as_good_as_its_original_does_not_leave(tmp_path):
    cohort = people(12, size=16)
    flat = np.full((12, 16, 16), 90, np.uint8) + np.arange(12, dtype=np.uint8)[:, None, None]
    archive = archived(replace(cohort, images=flat), tmp_path / "a")
    with pytest.raises(Exposed):
        privatize_archive(archive, "blur", tmp_path / "out", split="all", workers=1)
    assert not (tmp_path / "out" / "share").exists()


def test_the_query_form_draws_from_the_training_images_of_the_archive(tmp_path):
    cohort = toy_cohort()
    archive = archived(cohort, tmp_path / "a", each=20)
    privatize_archive(
        archive, "k-same-select", tmp_path / "out", gallery=tmp_path / "a", workers=1, k=2
    )
    found = np.concatenate([one.images for one in parts_of(tmp_path / "out")])
    expected = KSameSelect(2).fit(cohort.of("train")).privatize(cohort.of("test"))
    np.testing.assert_array_equal(found, expected.images)


def test_a_release_that_was_stopped_goes_on_with_its_order(tmp_path, monkeypatch):
    archive = archived(people(40, size=16), tmp_path / "a", each=10)
    real, out = driver.release_part, tmp_path / "out"

    def dying(work):
        if work.number == 2:
            raise KeyboardInterrupt
        return real(work)

    with monkeypatch.context() as patch:
        patch.setattr(driver, "release_part", dying)
        with pytest.raises(KeyboardInterrupt):
            privatize_archive(archive, "blur", out, split="all", workers=1)
    begun = [part_file(out / "keep", number).stat().st_ino for number in (0, 1)]
    with pytest.raises(ValueError, match="other images or settings"):
        privatize_archive(archive, "blur", out, split="all", workers=1, kernel=5)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "_write_order", lambda *some: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            privatize_archive(archive, "blur", out, split="all", workers=1)
    order = np.load(out / "keep" / "order.npy")
    assert not (out / "share").exists()
    assert privatize_archive(archive, "blur", out, split="all", workers=1) == 40
    assert [part_file(out / "keep", number).stat().st_ino for number in (0, 1)] == begun
    np.testing.assert_array_equal(np.load(out / "keep" / "order.npy"), order)
    with pytest.raises(ValueError, match="holds something already"):
        privatize_archive(archive, "blur", out, split="all", workers=1)


@pytest.mark.slow
def test_decoded_parts_are_made_again_from_their_keys(tmp_path, toy_weights):
    cohort = toy_cohort()
    cohort.save(tmp_path / "c.npz")
    archive = archived(cohort, tmp_path / "a", each=20)
    privatize_archive(
        archive, "pprl-vgan", tmp_path / "out", split="all", workers=1,
        gallery=tmp_path / "c.npz", weights=toy_weights,
    )  # fmt: skip
    parts = parts_of(tmp_path / "out")
    assert len({one.parameters["start"] for one in parts}) == len(parts) == 3
    for one in parts:
        again = made_again(one, cohort, gallery=cohort, weights=toy_weights)
        np.testing.assert_array_equal(again.images, one.images)


def test_directions_are_the_principal_components():
    rng = np.random.default_rng(3)
    for n, side in ((60, 5), (20, 9)):  # more images than pixels, and fewer
        images = rng.integers(0, 256, (n, side, side), dtype=np.uint8)
        directions = directions_of(images, 4)
        flat = images.reshape(n, -1).astype(np.float64)
        _, _, axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
        found = directions.places(images)
        expected = (flat - flat.mean(axis=0)) @ axes[:4].T
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=0.05)


def test_blocks_hold_every_row_once_near_ones_together():
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 100, (12, 6))
    where = np.repeat(np.arange(12), 40)
    places = centres[where] + rng.normal(0, 1, (480, 6))
    counts = np.stack([np.ones(480, int), np.zeros(480, int)], axis=1)
    found = blocks(places, counts, 3, size=40)
    assert sorted(np.concatenate(found)) == list(range(480))
    for rows in found:
        assert len(rows) <= 60
    spread = np.mean([places[rows].var(axis=0).sum() for rows in found])
    assert spread < 0.3 * places.var(axis=0).sum()
    assert [r.tolist() for r in blocks(places, counts, 3, size=40)] == [r.tolist() for r in found]


def test_blocks_with_too_few_of_a_label_are_joined_with_the_nearest():
    places = np.repeat(np.array([0.0, 1.0, 50.0, 51.0]), 30)[:, None]
    counts = np.tile([1, 0], (120, 1))
    counts[[0, 1, 30], 1] = 1  # two of label 1 in the first block, one in the second
    found = blocks(places, counts, 3, size=30)
    assert {0, 1, 30} <= set(next(rows for rows in found if 0 in rows))
    for rows in found:
        some = (counts[rows] > 0).sum(axis=0)
        assert ((some == 0) | (some >= 3)).all()
    assert blocks(np.zeros((200, 2)), np.ones((200, 2), int), 3, size=20)[0].size >= 3


def test_a_folder_that_another_run_writes_is_left_alone(tmp_path):
    archive = archived(people(12, size=16), tmp_path / "a")
    with reserved(tmp_path / "out"), pytest.raises(ValueError, match="another run"):
        privatize_archive(archive, "blur", tmp_path / "out", split="all", workers=1)


def test_an_order_of_other_images_is_refused(tmp_path):
    keep = tmp_path / "keep"
    keep.mkdir()
    with atomic_write(keep / "order.npy") as temporary:
        np.save(temporary, np.arange(3))
    with pytest.raises(ValueError, match="not an order of 4 images"):
        shards._order(keep, 4)
