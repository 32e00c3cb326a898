"""Cohort and Release: what they refuse, and that a round trip through a file loses nothing."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cohorts import cohort_of

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.pixels import to_tensor, to_uint8
from medpriv_lib.core.release import Release


def make(n=12, patients=4, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    evidence = rng.random((n, 8, 8)) < 0.1
    return cohort_of(
        images,
        np.arange(n) % patients,
        np.arange(n) % 3 == 0,
        eye=np.array(["L", "R"])[np.arange(n) % 2],
        split=np.array(["train", "train", "val", "test"])[np.arange(n) % 4],
        evidence=evidence,
        twin=np.where(evidence, 255 - images, images),
    )


def test_round_trip_keeps_every_field(tmp_path):
    cohort = make()
    cohort.save(tmp_path / "c.npz")
    back = Cohort.load(tmp_path / "c.npz")
    for f in dataclasses.fields(cohort):
        np.testing.assert_array_equal(getattr(back, f.name), getattr(cohort, f.name))
    assert back.hash() == cohort.hash()


def test_visits_are_kept_and_count(tmp_path):
    """Without visits a cohort has the digits and the file it had before there were any."""
    cohort = make()
    assert cohort.visit is None
    cohort.save(tmp_path / "old.npz")
    with np.load(tmp_path / "old.npz") as arrays:
        assert "visit" not in arrays
    assert Cohort.load(tmp_path / "old.npz").visit is None
    visit = np.arange(12, dtype=np.int64) // 3 + 1
    seen = dataclasses.replace(cohort, visit=visit)
    assert seen.hash() != cohort.hash()
    assert dataclasses.replace(seen, visit=visit[::-1].copy()).hash() != seen.hash()
    seen.save(tmp_path / "new.npz")
    back = Cohort.load(tmp_path / "new.npz")
    np.testing.assert_array_equal(back.visit, visit)
    assert back.hash() == seen.hash()
    np.testing.assert_array_equal(seen.of("test").visit, visit[seen.split == "test"])
    np.testing.assert_array_equal(seen.take(visit == 2).visit, [2, 2, 2])
    for wrong in (visit[:3], visit.astype(float)):
        with pytest.raises(ValueError, match="visit"):
            dataclasses.replace(cohort, visit=wrong)


@pytest.mark.parametrize("key", ["images", "patient", "diseased", "eye", "split"])
def test_hash_changes_with_every_field(key):
    cohort = make()
    value = getattr(cohort, key).copy()
    value[:2] = value[1::-1]
    if np.array_equal(value, getattr(cohort, key)):
        value = np.roll(getattr(cohort, key), 1, axis=0)
    assert dataclasses.replace(cohort, **{key: value}).hash() != cohort.hash()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((12, 8, 8))}, "uint8"),
        ({"patient": np.full(12, 9)}, "unknown patient"),
        ({"patient": np.zeros(3, int)}, "one entry per image"),
        ({"split": np.full(12, "holdout")}, "allowed"),
        ({"eye": np.full(12, "X")}, "eye"),
        ({"evidence": np.zeros((12, 4, 4), bool)}, "evidence"),
    ],
)
def test_broken_cohorts_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(make(), **change)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "c.npz"
    with pytest.raises(FileNotFoundError, match="medpriv prepare"):
        Cohort.load(path)
    make().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a readable cohort"):
        Cohort.load(path)
    Release(np.zeros((1, 8, 8), np.uint8), np.zeros(1, int), np.zeros((1, 0), int), "blur").save(
        path
    )
    with pytest.raises(ValueError, match="no cohort file"):
        Cohort.load(path)


def test_release_round_trip(tmp_path):
    release = Release(make().images, np.arange(12), np.full((12, 2), -1), "k-same", {"k": 2})
    release.save(tmp_path / "r.npz")
    back = Release.load(tmp_path / "r.npz")
    np.testing.assert_array_equal(back.images, release.images)
    assert (back.method, back.parameters) == ("k-same", {"k": 2})


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_tensor_round_trip_is_exact(seed):
    images = np.random.default_rng(seed).integers(0, 256, (3, 5, 7), dtype=np.uint8)
    tensor = to_tensor(images)
    assert tensor.shape == (3, 1, 5, 7)
    assert tensor.min() >= -1
    assert tensor.max() <= 1
    assert torch.isfinite(tensor).all()
    np.testing.assert_array_equal(to_uint8(tensor), images)


def test_only_the_owner_can_read_a_cohort(tmp_path):
    make().save(tmp_path / "c.npz")
    assert (tmp_path / "c.npz").stat().st_mode & 0o777 == 0o600


def test_a_name_twice_is_refused():
    cohort = make()
    with pytest.raises(ValueError, match="a name twice"):
        dataclasses.replace(
            cohort, patient_names=np.repeat(cohort.patient_names[:1], cohort.patients)
        )


def test_a_part_that_is_missing_is_named(tmp_path):
    make().save(tmp_path / "c.npz")
    parts = dict(np.load(tmp_path / "c.npz"))
    del parts["split"]
    np.savez(tmp_path / "c.npz", **parts)
    with pytest.raises(ValueError, match=r"do not fit together \(`split` is missing\)"):
        Cohort.load(tmp_path / "c.npz")
