"""Array files: what was written comes back; broken, foreign and hostile ones cost one clear line."""

import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from small_cohorts import noise_cohort

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.npz import read_npz, write_npz

TOY = noise_cohort(np.arange(6) % 3, size=8, eye="L", evidence=np.zeros((6, 8, 8), dtype=bool))


def npy(array, header=None):
    """Return the bytes of a .npy file; `header` replaces the text that describes it."""
    stream = io.BytesIO()
    np.save(stream, array)
    data = stream.getvalue()
    if header is None:
        return data
    body = data[10 + int.from_bytes(data[8:10], "little") :]
    text = header.encode("latin-1").ljust(117) + b"\n"
    return data[:8] + len(text).to_bytes(2, "little") + text + body


def repacked(path, change):
    """Write the file's members again after `change(members)`, by name without .npy."""
    with zipfile.ZipFile(path) as archive:
        members = {name[:-4]: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def _cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def _flipped(path):
    data = bytearray(path.read_bytes())
    for place in range(200, 260):
        data[place] ^= 0xFF
    path.write_bytes(bytes(data))


def _patched(path, offset, value):
    """Change two bytes of the first member's two headers: flags lie at 6 and 8, methods at 8 and 10."""
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[offset : offset + 2] = value
    data[central + offset + 2 : central + offset + 4] = value
    path.write_bytes(bytes(data))


def _with_object(path):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"eye": np.array([{"a": 1}] * 6, dtype=object)}))


WIDE = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000, 1000), }"
BROKEN = {
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("file,patient,label\n"),
    "one array, no archive": lambda p: p.write_bytes(npy(np.zeros(3))),
    "first half": lambda p: _cut(p, 0.5),
    "last bytes missing": lambda p: _cut(p, 0.99),
    "changed bytes": _flipped,
    "Python objects": _with_object,
    "encrypted": lambda p: _patched(p, 6, b"\x01\x00"),
    "unknown compression": lambda p: _patched(p, 8, b"\x63\x00"),
    "more announced than there is": lambda p: repacked(
        p, lambda m: m.update(images=npy(np.zeros(4, np.uint8), WIDE))
    ),
    "negative shape": lambda p: repacked(
        p, lambda m: m.update(images=npy(np.zeros(4, np.uint8), WIDE.replace("(1000000", "(-5")))
    ),
    "header that is code": lambda p: repacked(
        p, lambda m: m.update(images=npy(np.zeros(4, np.uint8), "__import__('os').abort()"))
    ),
    "header without an end": lambda p: repacked(
        p, lambda m: m.update(images=b"\x93NUMPY\x01\x00\xff")
    ),
    "unknown format version": lambda p: repacked(
        p, lambda m: m.update(images=b"\x93NUMPY\x09\x00" + bytes(40))
    ),
    "member that is no array": lambda p: repacked(p, lambda m: m.update(images=b"hello")),
    "no images": lambda p: repacked(p, lambda m: m.pop("images")),
    "an array too many": lambda p: repacked(p, lambda m: m.update(extra=npy(np.zeros(3)))),
    "arrays that do not fit": lambda p: repacked(
        p, lambda m: m.update(patient=npy(np.zeros(2, np.int64)))
    ),
    "floating point images": lambda p: repacked(
        p, lambda m: m.update(images=npy(np.zeros((6, 8, 8))))
    ),
    "too little evidence": lambda p: repacked(
        p, lambda m: m.update(evidence=npy(np.zeros(3, np.uint8)))
    ),
    "another kind": lambda p: repacked(p, lambda m: m.update(kind=npy(np.array("release")))),
    "no kind": lambda p: repacked(p, lambda m: m.pop("kind")),
    "another version": lambda p: repacked(p, lambda m: m.update(version=npy(np.int64(99)))),
    "a version in words": lambda p: repacked(p, lambda m: m.update(version=npy(np.array("one")))),
}


@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_file_is_one_clear_error(tmp_path, way):
    path = tmp_path / "cohort.npz"
    TOY.save(path)
    BROKEN[way](path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"cohort\.npz: .*`medpriv prepare`") as error:
        Cohort.load(path)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", range(0, 100, 7))
def test_a_file_cut_anywhere_is_refused(tmp_path, share):
    path = tmp_path / "cohort.npz"
    TOY.save(path)
    _cut(path, share / 100)
    with pytest.raises(ValueError, match=r"cohort\.npz"):
        Cohort.load(path)


def test_changed_bytes_never_give_another_cohort(tmp_path):
    """Every single changed byte is an error or changes nothing: the archive's checksums see it."""
    path = tmp_path / "cohort.npz"
    TOY.save(path)
    whole, right = path.read_bytes(), TOY.hash()
    rng = np.random.default_rng(1)
    for place in rng.choice(len(whole), 150, replace=False):
        data = bytearray(whole)
        data[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(data))
        said, found = "", None
        try:
            found = Cohort.load(path)
        except ValueError as error:
            said = str(error)
        assert "cohort.npz" in said or found.hash() == right


def test_a_folder_and_a_missing_file_say_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="is a folder, not a cohort file"):
        Cohort.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Cohort.load(tmp_path / "none.npz")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path):
    path = tmp_path / "cohort.npz"
    TOY.save(path)
    path.chmod(0)
    with pytest.raises(PermissionError, match=r"may not be read.*cohort\.npz"):
        Cohort.load(path)


def test_what_was_written_comes_back(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.array(["x", "yz"]), "c": np.float32(1.5)}
    write_npz(tmp_path / "a.npz", "toy", 3, arrays)
    back = read_npz(tmp_path / "a.npz", "toy", 3, "the test")
    assert set(back) == set(arrays)
    for key, value in arrays.items():
        np.testing.assert_array_equal(back[key], value)
        assert back[key].dtype == np.asarray(value).dtype


def _bomb(path, size):
    """Write a cohort file whose images are `size` zeros, without holding them."""
    header = WIDE.replace("(1000000, 1000, 1000)", f"({size // 2**20}, 1024, 1024)")
    zeros = bytes(2**24)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("kind.npy", npy(np.array("cohort")))
        archive.writestr("version.npy", npy(np.int64(1)))
        with archive.open("images.npy", "w", force_zip64=True) as member:
            member.write(npy(np.zeros(0, np.uint8), header))
            for _ in range(size // len(zeros)):
                member.write(zeros)


LOADED = """
import resource, sys
from medpriv_lib.core.cohort import Cohort
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    Cohort.load(sys.argv[1])
except ValueError as error:
    print(error, file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_bomb_costs_no_memory(tmp_path):
    """Three MB that unpack to 700: refused by its sizes; the peak grows by under 32 MiB."""
    path = tmp_path / "bomb.npz"
    _bomb(path, 700 * 2**20)
    assert path.stat().st_size < 2**22
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "bomb.npz: " in done.stderr
    assert "would unpack to" in done.stderr
    assert int(done.stdout) < 32 * 1024  # KiB on Linux
