"""Bad input, one test per kind: a clear error with the remedy, exit status 2, and a folder left as
it was.

All go through the command, so that what a user sees is what is tested.
"""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from forked import run_code
from PIL import Image
from small_cohorts import noise_cohort, parted

from medpriv_lib.cli import main
from medpriv_lib.core.budgets import TOY
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.workplace import reserved
from medpriv_lib.pipeline.weights import fit_weights

ROOT = Path(__file__).parents[1]


def tree(folder):
    """Return the hash of every file below a folder, and its empty folders."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in sorted(folder.rglob("*"))
    }


def write_manifest(folder, lines, header="file,patient,label"):
    (folder / "images.csv").write_text("\n".join([header, *lines]) + "\n")


@pytest.fixture
def source(tmp_path):
    """A folder with twelve 20x20 images of four patients, their manifest, and a result of earlier
    work."""
    folder = tmp_path / "source"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8)).save(folder / f"{i:02}.png")
        lines.append(f"{i:02}.png,p{i % 4},{int(i % 4 < 2)}")
    write_manifest(folder, lines)
    noise_patients().save(tmp_path / "cohort.npz")  # the result of earlier work
    return folder


def noise_patients(patients=6, each=6, **columns):
    """Return noise images of `patients`, the first half of them diseased."""
    patient = np.repeat(np.arange(patients), each)
    diseased = patient < patients // 2
    return noise_cohort(patient, diseased, split=parted(patients, each), **columns)


@pytest.fixture
def refuses(tmp_path, capsys):
    """Run the command, expect status 2, these words in one line of error, and an unchanged
    folder."""

    def run(*arguments, words):
        before = tree(tmp_path)
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as exit_:
            status = exit_.code
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert status == 2, error
        assert error.startswith("medpriv: error: ")
        for word in words:
            assert word in error, f"{word!r} is not in: {error}"
        assert tree(tmp_path) == before

    return run


def prepare(source, kind="manifest"):
    """Return the command that may overwrite an earlier result: what fails must leave even that as
    it was."""
    return (
        "prepare",
        source,
        "--kind",
        kind,
        "--no-localize",
        "--size",
        16,
        "--force",
        "--out",
        source.parent / "cohort.npz",
    )


def test_the_source_is_good_before_it_is_spoilt(source, capsys):
    assert main([str(a) for a in prepare(source)]) == 0
    assert len(Cohort.load(source.parent / "cohort.npz")) == 12


def test_corrupt_image(source, refuses):
    (source / "03.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(200)))
    refuses(*prepare(source), words=["03.png", "corrupt", "remove it from the list"])


def test_truncated_image(source, refuses):
    whole = (source / "03.png").read_bytes()
    (source / "03.png").write_bytes(whole[: len(whole) // 2])
    refuses(*prepare(source), words=["03.png", "truncated", "copy it again"])


def test_zero_byte_file(source, refuses):
    (source / "03.png").write_bytes(b"")
    refuses(*prepare(source), words=["03.png", "zero-byte file", "copy it again"])


def test_cmyk_image(source, refuses):
    Image.new("CMYK", (20, 20)).save(source / "c.jpg")
    write_manifest(source, ["c.jpg,p0,1", "00.png,p0,1"])
    refuses(*prepare(source), words=["c.jpg", "CMYK", "convert it"])


def test_animated_image(source, refuses):
    frames = [Image.new("L", (20, 20), level) for level in (0, 99)]
    frames[0].save(source / "a.png", save_all=True, append_images=frames[1:])
    write_manifest(source, ["a.png,p0,1", "00.png,p0,1"])
    refuses(*prepare(source), words=["a.png", "animated", "save the wanted frame"])


def test_16_bit_image(source, refuses):
    """The full range is read; twelve bits in sixteen would come out almost black and are
    refused."""
    ramp = np.linspace(0, 65535, 400).reshape(20, 20).astype(np.uint16)
    Image.fromarray(ramp).save(source / "03.png")
    assert main([str(a) for a in prepare(source)]) == 0
    noise_patients().save(source.parent / "cohort.npz")
    Image.fromarray(ramp // 16).save(source / "03.png")
    refuses(*prepare(source), words=["03.png", "16-bit", "rescale"])


def test_wrong_column(source, refuses):
    write_manifest(source, ["00.png,p0,1"], header="file,person,label")
    refuses(
        *prepare(source),
        words=["images.csv", "wrong column", "'patient' is missing", "file,patient,label"],
    )


def test_unknown_patient(source, refuses):
    write_manifest(source, ["00.png,p0,1", "01.png,,1"])
    refuses(
        *prepare(source),
        words=["images.csv, row 3", "unknown patient", "name the patient of 01.png"],
    )


def test_duplicate_rows(source, refuses):
    write_manifest(source, ["00.png,p0,1", "01.png,p1,1", "./00.png,p2,0"])
    refuses(*prepare(source), words=["images.csv, row 4", "duplicate row", "row 2", "remove one"])


@pytest.mark.parametrize("name", ["../cohort.npz", "/etc/hostname", "sub/../../cohort.npz"])
def test_path_that_escapes_the_folder(source, refuses, name):
    write_manifest(source, ["00.png,p0,1", f"{name},p1,1"])
    refuses(
        *prepare(source),
        words=["images.csv, row 3", name, "escapes the folder", "below the folder"],
    )


@pytest.mark.parametrize("kind", ["manifest", "warsaw", "synthetic"])
def test_empty_folder(source, refuses, kind):
    empty = source.parent / "nothing"
    empty.mkdir()
    refuses(*prepare(empty, kind), words=[str(empty)])


def test_empty_folder_to_privatize(source, refuses):
    empty = source.parent / "nothing"
    empty.mkdir()
    refuses(
        "privatize",
        empty,
        "--method",
        "blur",
        "--out",
        source.parent / "new",
        words=[str(empty), "empty folder"],
    )


def test_patient_with_one_image(source, refuses):
    write_manifest(source, ["00.png,p0,1", "01.png,p0,1", "02.png,lonely,0"])
    refuses(*prepare(source), words=["02.png", "patient with one image", "lonely", "--keep-single"])
    refuses(*prepare(source), words=["correct the name where it is another spelling"])


def test_class_smaller_than_k(tmp_path, refuses):
    noise_patients().save(tmp_path / "c.npz")
    refuses(
        "privatize",
        tmp_path / "c.npz",
        "--method",
        "k-same-select",
        "--k",
        4,
        "--out",
        tmp_path / "new",
        words=["k = 4", "only 3", "choose a smaller k"],
    )


@pytest.mark.parametrize("k", [1, 0, -3])
def test_k_below_2(tmp_path, refuses, k):
    noise_patients().save(tmp_path / "c.npz")
    refuses(
        "privatize",
        tmp_path / "c.npz",
        "--method",
        "k-same-select",
        "--k",
        k,
        "--out",
        tmp_path / "new",
        words=["--k", "at least 2", str(k)],
    )


@pytest.mark.parametrize("kernel", [4, 1, 0, -3, 99_999_999_999])
def test_even_kernel(tmp_path, refuses, kernel):
    noise_patients().save(tmp_path / "c.npz")
    refuses(
        "privatize",
        tmp_path / "c.npz",
        "--method",
        "blur",
        "--kernel",
        kernel,
        "--out",
        tmp_path / "new",
        words=["--kernel", "odd", str(kernel)],
    )


def test_nan_pixel(source, refuses):
    pixels = np.full((20, 20), np.nan, dtype=np.float32)
    Image.fromarray(pixels).save(source / "n.tif")
    write_manifest(source, ["n.tif,p0,1", "00.png,p0,1"])
    refuses(*prepare(source), words=["n.tif", "8- or 16-bit"])


def test_nan_label(source, refuses):
    write_manifest(source, ["00.png,p0,1", "01.png,p0,NaN"])
    refuses(*prepare(source), words=["images.csv, row 3", "'NaN'", "0/1"])


def test_cohort_file_of_another_version(tmp_path, refuses):
    noise_patients().save(tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz") as file:
        arrays = dict(file) | {"version": np.int64(99)}
    np.savez(tmp_path / "c.npz", **arrays)
    refuses(
        "privatize",
        tmp_path / "c.npz",
        "--method",
        "blur",
        "--out",
        tmp_path / "new",
        words=["c.npz", "version 99", "`medpriv prepare`"],
    )


def test_cohort_file_with_a_pickle_is_never_opened(tmp_path, refuses):
    np.savez(tmp_path / "c.npz", kind=np.array([{"a": 1}], dtype=object), version=np.int64(1))
    refuses(
        "privatize",
        tmp_path / "c.npz",
        "--method",
        "blur",
        "--out",
        tmp_path / "new",
        words=["c.npz", "not a readable cohort file", "`medpriv prepare`"],
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of the toy cohort, trained for a moment."""
    folder = tmp_path_factory.mktemp("weights") / "w"
    fit_weights(noise_patients(), folder, 0, TOY, "cpu", False)
    return folder


def copied(weights, folder):
    return Path(shutil.copytree(weights, folder / "weights"))


@pytest.mark.parametrize("command", ["study", "privatize"])
def test_wrong_weights(tmp_path, refuses, weights, command):
    copied(weights, tmp_path)
    noise_patients(seed=1).save(tmp_path / "other.npz")
    arguments = {
        "study": ("study", "--cohort", tmp_path / "other.npz"),
        "privatize": (
            "privatize",
            tmp_path / "other.npz",
            "--method",
            "pprl-vgan",
            "--out",
            tmp_path / "new",
        ),
    }
    refuses(
        *arguments[command],
        "--weights",
        tmp_path / "weights",
        words=["weights", "another cohort", "medpriv fit"],
    )


def test_tampered_weights(tmp_path, refuses, weights):
    folder = copied(weights, tmp_path)
    noise_patients().save(tmp_path / "c.npz")
    for file in folder.rglob("*.safetensors"):
        spoilt = bytearray(file.read_bytes())
        spoilt[-1] ^= 1
        file.write_bytes(bytes(spoilt))
    refuses(
        "study",
        "--cohort",
        tmp_path / "c.npz",
        "--weights",
        folder,
        words=["judges.safetensors", "tampered", "medpriv fit"],
    )


def test_missing_weights(tmp_path, refuses):
    noise_patients().save(tmp_path / "c.npz")
    refuses(
        "study",
        "--cohort",
        tmp_path / "c.npz",
        "--weights",
        tmp_path / "none",
        words=["none", "medpriv fit"],
    )


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("prepare", "--size", 100_000),
        ("prepare", "--size", 7),
        ("prepare", "--seed", -1),
        ("privatize", "--size", 100_000),
        ("fit", "--seed", -1),
        ("fit", "--seed", 10**30),
        ("fit", "--rounds", 0),
        ("fit", "--epochs", 10**12),
        ("study", "--draws", 0),
        ("study", "--seeds", -4),
        ("study", "--attackers", 0),
        ("study", "--others", 10**9),
        ("study", "--seed", "one"),
        ("attack", "--seed", -1),
        ("explain", "--cases", 99),
    ],
)
def test_option_out_of_range(tmp_path, refuses, command, option, value):
    """The message names the option and the range, and nothing has been read before."""
    given = {
        "prepare": ("nowhere", "--kind", "manifest", "--out", tmp_path / "c.npz"),
        "privatize": ("nowhere", "--method", "blur", "--out", tmp_path / "new"),
        "fit": ("--cohort", "nowhere", "--out", tmp_path / "w"),
        "study": (),
        "attack": ("nowhere",),
        "explain": ("nowhere", "--method", "blur"),
    }[command]
    words = [f"argument {option}: must be a whole number from", str(value)]
    refuses(command, *given, option, value, words=words)


@pytest.mark.parametrize("method", ["k-same-select", "averaged"])
def test_k_that_nobody_has(tmp_path, refuses, method, weights):
    noise_patients().save(tmp_path / "c.npz")
    known = () if method == "k-same-select" else ("--weights", weights)
    command = ("privatize", tmp_path / "c.npz", "--method", method, "--out", tmp_path / "new")
    refuses(*command, *known, "--k", 10**9, words=[str(10**9), "k"])


@pytest.mark.parametrize("device", ["banana", "cuda:7", "meta", "gpu"])
def test_a_device_that_is_not_here(tmp_path, refuses, device):
    noise_patients().save(tmp_path / "c.npz")
    command = ("fit", "--cohort", tmp_path / "c.npz", "--out", tmp_path / "w", "--scale", "toy")
    refuses(*command, "--device", device, words=[f"--device {device}:", "use --device cpu"])


def smooth_cohort():
    """Eyes so smooth that a narrow blur changes next to nothing."""
    ramp = np.linspace(40, 200, 16)[None, :] + np.arange(36)[:, None]
    images = np.repeat(ramp[:, None, :], 16, axis=1).astype(np.uint8)
    return replace(noise_patients(), images=images)


def test_a_release_that_shows_the_originals(tmp_path, refuses):
    smooth_cohort().save(tmp_path / "c.npz")
    command = ("privatize", tmp_path / "c.npz", "--method", "blur", "--kernel", 3)
    words = ["6 of 6 released pictures equal an original", "choose a setting that changes more"]
    refuses(*command, "--out", tmp_path / "new", words=words)


def test_a_page_that_shows_the_originals(tmp_path, refuses, weights):
    cohort = smooth_cohort()
    cohort.save(tmp_path / "c.npz")
    folder = tmp_path / "w"
    fit_weights(cohort, folder, 0, TOY, "cpu", False)
    Image.fromarray(cohort.images[0]).save(tmp_path / "case.png")
    command = ("explain", tmp_path / "case.png", "--no-localize", "--cohort", tmp_path / "c.npz")
    given = ("--weights", folder, "--method", "blur", "--kernel", 3, "--cases", 1)
    out = ("--out", tmp_path / "why.html")
    refuses(*command, *given, *out, words=["1 of 1 cases equal an original"])


@pytest.fixture
def released(tmp_path):
    """A cohort and a blurred release of its test images."""
    noise_patients().save(tmp_path / "c.npz")
    out = tmp_path / "release"
    command = ["privatize", tmp_path / "c.npz", "--method", "blur", "--kernel", 3, "--out", out]
    assert main([str(a) for a in command]) == 0
    return out


def spoil_key(release):
    key = release / "keep" / "release.npz"
    key.write_bytes(key.read_bytes()[: key.stat().st_size // 2])


def rewrite_key(release, **changes):
    key = release / "keep" / "release.npz"
    with np.load(key) as file:
        np.savez_compressed(key, **(dict(file) | changes))


SPOILT = {
    "no key": (lambda r: (r / "keep" / "release.npz").unlink(), "keep/release.npz is missing"),
    "half a key": (spoil_key, "not a readable release file"),
    "another kind": (lambda r: rewrite_key(r, kind="cohort"), "this is no release file"),
    "another version": (lambda r: rewrite_key(r, version=np.int64(1)), "this library reads 2"),
    "no parameters": (lambda r: rewrite_key(r, parameters="[1]"), "the parameters are no table"),
    "an order of nothing": (
        lambda r: (r / "keep" / "order.csv").write_bytes(b"\xff\x00"), "not a readable order",
    ),
    "share is a file": (
        lambda r: (shutil.rmtree(r / "share"), (r / "share").write_text("x")), "0001.png: missing",
    ),
    "a picture too many": (
        lambda r: shutil.copy(r / "share" / "0001.png", r / "share" / "x.png"), "not of this release",
    ),
    "a picture changed": (
        lambda r: Image.new("L", (16, 16)).save(r / "share" / "0002.png"), "0002.png: differs",
    ),
    "a picture of another kind": (
        lambda r: Image.new("RGB", (9, 9)).save(r / "share" / "0003.png"), "0003.png: differs",
    ),
    "a picture that is none": (
        lambda r: (r / "share" / "0004.png").write_bytes(b"GIF89a"), "0004.png: not a readable image",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", SPOILT)
@pytest.mark.parametrize("command", ["evaluate", "attack"])
def test_broken_release(released, refuses, command, way):
    spoil, words = SPOILT[way]
    spoil(released)
    out = () if command == "evaluate" else ("--out", released.parent / "attacked")
    refuses(command, released, "--cohort", released.parent / "c.npz", *out, words=[words])


def test_links_and_hidden_files_of_a_folder_are_not_read(source, tmp_path, capsys):
    """Without a CSV every image of a folder is taken, but nothing that lies elsewhere or hides."""
    (source / "images.csv").unlink()
    secret = tmp_path / "secret"
    secret.mkdir()
    Image.new("L", (20, 20), 99).save(secret / "s.png")
    (source / "link.png").symlink_to(secret / "s.png")
    (source / "folder").symlink_to(secret, target_is_directory=True)
    (source / "again.png").symlink_to(source / "00.png")  # by a second name no second patient
    shutil.copy(source / "00.png", source / "copy.png")
    shutil.copy(secret / "s.png", source / ".hidden.png")
    (source / "scan.dcm").write_bytes(b"x")
    command = ["privatize", source, "--method", "blur", "--no-localize", "--size", 16]
    command += ["--least-kept", 0.7, "--out", tmp_path / "new"]
    assert main([str(a) for a in command]) == 0
    said = capsys.readouterr().out
    assert "files were left out" in said
    assert "00.png and copy.png are one picture, and count as two patients" in said
    with open(tmp_path / "new" / "keep" / "left_out.csv", newline="") as file:
        left_out = {row["file"]: row for row in csv.DictReader(file)}
    assert {"link.png", "again.png", ".hidden.png", "scan.dcm"} <= set(left_out)
    words = {"link.png": "leads out", "again.png": "its own name", ".hidden.png": "hidden"}
    for name, word in words.items():
        assert word in str(left_out[name])
    assert len(list((tmp_path / "new" / "share").iterdir())) == 13
    assert not any("s.png" in path.name for path in (tmp_path / "new").rglob("*"))


def test_too_many_lost_files_are_refused_and_listed(source, tmp_path, capsys):
    """Two of twelve images cannot be read: too many, unless that is accepted; never quietly."""
    (source / "images.csv").unlink()
    for name in ("00", "01"):
        (source / f"{name}.png").rename(source / f"={name}.dcm")
    command = ["privatize", source, "--method", "blur", "--no-localize", "--size", 16]
    command = [str(a) for a in [*command, "--out", tmp_path / "new"]]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "2 of 12 images were lost" in error
    assert "--least-kept" in error
    assert not (tmp_path / "new").exists()
    assert main([*command, "--least-kept", ".8"]) == 0
    lines = (tmp_path / "new" / "keep" / "left_out.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["file", "'=00.dcm", "'=01.dcm"]


@pytest.mark.parametrize("command", ["prepare", "privatize"])
def test_one_person_under_two_spellings_is_refused(source, tmp_path, refuses, command):
    write_manifest(source, ["00.png,P001,1", "01.png,P001,1", "02.png,p1,0", "03.png,p1,0"])
    given = {
        "prepare": prepare(source),
        "privatize": (
            "privatize",
            source,
            "--method",
            "blur",
            "--no-localize",
            "--out",
            tmp_path / "n",
        ),
    }[command]
    refuses(*given, words=["two spellings", "'P001'", "'p1'", "--doubles report"])
    assert main([str(a) for a in (*given, "--doubles", "report")]) == 0


def test_control_characters_of_a_file_do_not_reach_the_terminal(source, capsys):
    write_manifest(source, ["00.png,p0,1", "01.png,p1,\x1b[2J\x1b]0;owned\x07"])
    assert main([str(a) for a in prepare(source)]) == 2
    said = capsys.readouterr()
    assert "row 3" in said.err
    assert not set(said.out + said.err) & {"\x1b", "\x07", "\r"}


def test_the_second_run_into_a_folder_says_so_at_once(source, refuses):
    with reserved(source.parent / "new"):
        out = ("--out", source.parent / "new")
        refuses("privatize", "nowhere", "--method", "blur", *out, words=["another run (process"])


MAIN = "import sys; from medpriv_lib.cli import main; sys.exit(main(sys.argv[1:]))"
# every write past 1,500 bytes fails, as on a full disk (the error number differs, the path is the
# same)
SMALL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))\n" + MAIN


def test_full_disk(source):
    before = tree(source.parent)
    done = run_code(SMALL_DISK, *prepare(source))
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("medpriv: error: the disk is full")
    assert "free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(source.parent) == before


def test_full_disk_while_privatizing(tmp_path):
    noise_patients(size=64).save(tmp_path / "c.npz")
    before = tree(tmp_path)
    done = run_code(
        SMALL_DISK,
        "privatize",
        tmp_path / "c.npz",
        "--method",
        "blur",
        "--kernel",
        3,
        "--out",
        tmp_path / "new",
    )
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert tree(tmp_path) == before


def test_full_disk_while_training(tmp_path):
    noise_patients().save(tmp_path / "c.npz")
    before = tree(tmp_path)
    done = run_code(
        SMALL_DISK,
        "fit",
        "--cohort",
        tmp_path / "c.npz",
        "--out",
        tmp_path / "w",
        "--scale",
        "toy",
        "--device",
        "cpu",
    )
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert {
        name: content for name, content in tree(tmp_path).items() if not name.startswith("w")
    } == before


SIGNALLED = """
import os, sys, threading, time
number, after, begun = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
def end():
    while not os.path.exists(begun): time.sleep(.01)
    time.sleep(after)
    os.kill(os.getpid(), number)
threading.Thread(target=end, daemon=True).start()
from medpriv_lib.cli import main
sys.exit(main(sys.argv[4:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", [0, 2])
def test_stopped_in_mid_work(tmp_path, number, after):
    """Ctrl-C and SIGTERM end in one line, and leave nothing: as soon as the work has begun, and
    later."""
    big = noise_patients(patients=30, each=40, size=96)
    big.save(tmp_path / "c.npz")
    before = tree(tmp_path)
    command = ("privatize", tmp_path / "c.npz", "--method", "k-same-select", "--k", 3)
    rest = ("--form", "release", "--split", "all", "--out", tmp_path / "new")
    begun = tmp_path / ".new-medpriv"
    done = run_code(SIGNALLED, int(number), after, begun, *command, *rest)
    if done.returncode == 0:  # faster than the signal
        assert (tmp_path / "new" / "keep" / "release.npz").is_file()
        return
    assert done.returncode == 128 + number, done.stderr
    assert done.stderr.strip() == "medpriv: stopped; nothing was written"
    assert tree(tmp_path) == before


def test_stopped_training_goes_on(tmp_path):
    noise_patients().save(tmp_path / "c.npz")
    command = ("fit", "--cohort", tmp_path / "c.npz", "--out", tmp_path / "w", "--device", "cpu")
    rest = ("--scale", "small")
    done = run_code(SIGNALLED, int(signal.SIGTERM), 2, tmp_path / "w", *command, *rest)
    assert done.returncode == 143, done.stderr
    assert "Traceback" not in done.stderr
    assert "medpriv: stopped; what was finished is kept" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


KILLED = """
import os, signal, sys
import medpriv_lib.core.files
def die(*arguments): os.kill(os.getpid(), signal.SIGKILL)
medpriv_lib.core.files.os.replace = die
from medpriv_lib.cli import main
main(sys.argv[1:])
"""


def test_killed_in_mid_write(source):
    before = tree(source.parent)
    done = run_code(KILLED, *prepare(source))
    assert done.returncode == -signal.SIGKILL
    after = tree(source.parent)
    assert {name: after[name] for name in before} == before
    left = after.keys() - before.keys()
    ours = (".cohort-", ".cohort.npz-medpriv")
    assert all(any(part.startswith(ours) for part in Path(name).parts) for name in left)
    assert main([str(part) for part in prepare(source)]) == 0  # and takes the dead run's place
    assert not list(source.parent.glob(".cohort.npz-medpriv*"))
    assert run_code(MAIN, *prepare(source)).returncode == 0  # and the same command then succeeds
    assert len(Cohort.load(source.parent / "cohort.npz")) == 12


def test_killed_in_mid_write_of_a_release(tmp_path):
    noise_patients().save(tmp_path / "c.npz")
    before = tree(tmp_path)
    arguments = ("privatize", tmp_path / "c.npz", "--method", "blur", "--out", tmp_path / "new")
    done = run_code(KILLED, *arguments)
    assert done.returncode == -signal.SIGKILL
    after = tree(tmp_path)
    assert {name: after[name] for name in before} == before
    assert (
        "new/keep/release.npz" not in after
    )  # never a share folder that looks complete with a key that is not
    assert run_code(MAIN, *arguments[:-1], tmp_path / "again").returncode == 0


def test_no_traceback_and_json_stays_whole_when_stdout_closes(tmp_path):
    """A reader that goes away, as `| head` does, is no error worth a traceback."""
    noise_patients().save(tmp_path / "c.npz")
    command = [
        sys.executable,
        "-c",
        MAIN,
        "privatize",
        str(tmp_path / "c.npz"),
        "--method",
        "blur",
        "--out",
        str(tmp_path / "new"),
    ]
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            command,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    assert "Traceback" not in done.stderr
    assert json.dumps(done.returncode) in ("0", "1")
