"""Images that were read and show less than they seem to, and where a release may lie."""

import shutil

import numpy as np
import pytest
from PIL import Image

import medpriv_lib as mp
from medpriv_lib.cli import main
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.account import cautions
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.folder import list_folder
from medpriv_lib.data.images import BadImage, read_grey
from medpriv_lib.data.manifest import BadManifest, read_manifest
from medpriv_lib.data.prepare import prepare


def write(folder, odd=None, label=lambda i: i % 2, patient=lambda i: f"p{i % 3}"):
    """Write twelve pictures of 24x24, the fifth of them `odd`, and their table."""
    rng = np.random.default_rng(0)
    lines = ["file,patient,label"]
    for i in range(12):
        image = Image.fromarray(rng.integers(0, 256, (24, 24), dtype=np.uint8))
        (odd if odd is not None and i == 4 else image).save(folder / f"{i:02}.png")
        lines.append(f"{i:02}.png,{patient(i)},{label(i)}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def said(folder, size=16):
    return cautions(prepare(read_manifest(folder), Cut(size, False))[1])


def test_a_good_folder_has_no_caution(tmp_path):
    assert said(write(tmp_path)) == []


@pytest.mark.parametrize(
    "odd", [Image.new("L", (1, 1)), Image.new("L", (2000, 1), 7), Image.new("RGB", (24, 24), 3)]
)
def test_a_picture_of_one_level_is_refused(tmp_path, odd):
    with pytest.raises(BadImage, match=r"04\.png: it has one grey level only.*remove it"):
        said(write(tmp_path, odd))


RAMP = np.tile(np.arange(200, dtype=np.uint8), (24, 1))


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (Image.fromarray(RAMP[:, :170]), "04.png is more than 4 times as long as wide"),
        (Image.fromarray(RAMP[:9, :9]), "04.png is smaller than the 16 pixels"),
        (Image.fromarray(RAMP[:, :24] > 11), "04.png uses 2 grey levels only"),
    ],
)
def test_what_shows_less_than_it_seems_is_warned_about(tmp_path, odd, words):
    if "times" in words:  # the square in the middle is a ramp, too
        assert odd.size == (170, 24)
    found = said(write(tmp_path, odd))
    assert len(found) == 1
    assert words in found[0]


def test_one_label_and_one_patient_are_warned_about(tmp_path):
    assert "label 0" in said(write(tmp_path, label=lambda i: 0))[0]
    assert "label 1" in said(write(tmp_path, label=lambda i: 1))[0]
    assert "one patient" in said(write(tmp_path, patient=lambda i: "p"))[0]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_anywhere_is_refused(tmp_path, mode):
    path, clear = tmp_path / "a.png", RAMP.copy()
    clear[:] = 255
    for hidden in (False, True):
        clear[0, 0] = 0 if hidden else 255
        image = Image.merge("LA", (Image.fromarray(RAMP), Image.fromarray(clear)))
        if mode == "P":
            image = Image.fromarray(RAMP, "P")
            image.putpalette(bytes(range(256)) * 3)
            image.save(path, **({"transparency": 5} if hidden else {}))
        else:
            image.convert(mode).save(path)
        if hidden:
            with pytest.raises(BadImage, match=r"a\.png: .* transparent.*flatten"):
                read_grey(path)
        else:
            assert read_grey(path).shape == RAMP.shape


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\u202eb", "x" * 201])
def test_a_name_that_a_terminal_would_obey_is_refused(tmp_path, name):
    write(tmp_path, patient=lambda i: name)
    with pytest.raises(BadManifest, match="row 2: the patient") as error:
        read_manifest(tmp_path)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("encoding", "words"), [("utf-16", "UTF-16.*CSV UTF-8"), ("latin-1", "row 2: .*CSV UTF-8")]
)
def test_a_table_in_another_encoding(tmp_path, encoding, words):
    write(tmp_path, patient=lambda i: "Jos\u00e9")
    table = tmp_path / "list.csv"
    table.write_bytes(table.read_text(encoding="utf-8").encode(encoding))
    with pytest.raises(BadManifest, match=words):
        read_manifest(table)


def test_a_folder_by_the_name_of_an_image(tmp_path):
    write(tmp_path)
    (tmp_path / "03.png").unlink()
    (tmp_path / "03.png").mkdir()
    with pytest.raises(BadManifest, match=r"row 5: '03.png' is a folder"):
        read_manifest(tmp_path)
    with pytest.raises(BadImage, match="a folder, no image file"):
        read_grey(tmp_path / "03.png")


def command(*words):
    return main([str(word) for word in words])


def test_a_release_among_the_originals(tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder)
    (folder / "list.csv").unlink()
    blur = ("--method", "blur", "--no-localize", "--size", 16)
    assert command("privatize", folder, *blur, "--out", folder / "out") == 2
    assert "inside" in capsys.readouterr().err
    assert not (folder / "out").exists()
    assert command("privatize", folder, *blur, "--out", tmp_path / "out") == 0
    shutil.move(tmp_path / "out", folder / "out")
    listing = list_folder(folder)
    assert len(listing) == 12
    assert [item.file for item in listing.left_out] == ["out"]
    with pytest.raises(ValueError, match="a release.*no originals"):
        list_folder(folder / "out")


def test_equal_pictures_of_a_cohort_file_are_warned_about(tmp_path, capsys):
    cohort, _ = prepare(read_manifest(write(tmp_path)), Cut(16, False))
    cohort.images[1] = cohort.images[0]
    cohort.save(tmp_path / "c.npz")
    out = ("--out", tmp_path / "out")
    assert command("privatize", tmp_path / "c.npz", "--method", "blur", *out) == 0
    assert "image 0 of the cohort and image 1 are one picture" in capsys.readouterr().out


def test_a_foreign_file_in_the_place_of_the_cohort(tmp_path, capsys):
    write(tmp_path)
    (tmp_path / "c.npz").write_text("mine")
    prepared = ("prepare", tmp_path, "--kind", "manifest", "--no-localize", "--out")
    assert command(*prepared, tmp_path / "c.npz") == 2
    error = capsys.readouterr().err
    assert "no cohort file" in error
    assert "--force" not in error
    assert command(*prepared, tmp_path / "list.csv" / "c.npz") == 2
    assert "list.csv is a file, no folder" in capsys.readouterr().err


def test_a_cohort_is_written_though_printing_fails(tmp_path, monkeypatch, capsys):
    write(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medpriv_lib.cli.prepare._print", full)
    out = tmp_path / "c.npz"
    assert command("prepare", tmp_path, "--kind", "manifest", "--no-localize", "--out", out) == 2
    assert "c.npz was written and is complete" in capsys.readouterr().err
    assert len(Cohort.load(out)) == 12


def test_a_gain_that_is_no_number_is_refused_first(tmp_path, capsys):
    cohort = mp.default_cohort()
    cohort.take(np.arange(4)).save(tmp_path / "c.npz")
    words = ("--method", "sign-transfer", "--gain", "nan", "--out", tmp_path / "out")
    assert command("privatize", tmp_path / "c.npz", *words) == 2
    assert "finite number" in capsys.readouterr().err
