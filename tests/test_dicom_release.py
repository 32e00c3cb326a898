"""A release as DICOM: a second reader reads it, and nothing of any input is in its bytes."""

import os
import sys

import gdcm
import numpy as np
import pydicom
import pytest
from dicom_files import SECRETS, folder

from medpriv_lib.cli import main
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.exposure import Exposed
from medpriv_lib.core.release import Release
from medpriv_lib.core.secondary_capture import TABLE, fresh_uid, write_capture
from medpriv_lib.core.sharing import read_release, write_release
from medpriv_lib.pipeline.privatize import refuse_text

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def by_gdcm(path):
    """Read pixels and all attributes by the second reader."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    image = reader.GetImage()
    data = image.GetBuffer().encode("utf-8", "surrogateescape")
    size = (image.GetDimension(1), image.GetDimension(0))
    colours = image.GetPixelFormat().GetSamplesPerPixel()
    pixels = np.frombuffer(data, np.uint8)[: np.prod(size) * colours]
    names = gdcm.StringFilter()
    names.SetFile(reader.GetFile())
    dataset = reader.GetFile().GetDataSet()
    told = {}
    for keyword in TABLE:
        tag = pydicom.datadict.tag_for_keyword(keyword)
        tag = gdcm.Tag(tag >> 16, tag & 0xFFFF)
        if dataset.FindDataElement(tag):
            told[keyword] = names.ToString(tag).strip("\0 ")
    return pixels.reshape(size if colours == 1 else (*size, 3)), told


def made(colour=False, n=12):
    rng = np.random.default_rng(0)
    shape = (n, 9, 7, 3) if colour else (n, 9, 7)  # an odd number of bytes
    cohort = Cohort(
        images=rng.integers(0, 256, shape, dtype=np.uint8),
        patient=np.arange(n) // 3,
        eye=np.full(n, "L"),
        diseased=np.arange(n) % 2 == 0,
        split=np.full(n, "test"),
        patient_names=np.array([f"KOWALSKI-{i}" for i in range(n)]),
        name="KOWALSKI",
    )
    release = Release(
        255 - cohort.images, np.arange(n), cohort.patient[:, None], "blur", {"note": "KOWALSKI"}
    )
    return release, cohort


@pytest.mark.parametrize("colour", [False, True])
def test_a_second_reader_reads_what_was_written(tmp_path, colour):
    release, cohort = made(colour)
    write_release(release, cohort, tmp_path / "out", form="dicom")
    back, order = read_release(tmp_path / "out")
    shared = sorted((tmp_path / "out" / "share").iterdir())
    assert [path.name for path in shared] == [f"{i:04d}.dcm" for i in range(1, 13)]
    uids = set()
    for number, path in enumerate(shared):
        pixels, told = by_gdcm(path)
        np.testing.assert_array_equal(pixels, release.images[order[number]])
        assert told["SOPClassUID"] == CAPTURE
        assert told["PatientID"] == f"released-{number + 1:04d}"
        assert told["PatientName"] == told["PatientBirthDate"] == told["StudyDate"] == ""
        assert told["PatientIdentityRemoved"] == "YES"
        assert told["BurnedInAnnotation"] == "NO"
        assert told["DeidentificationMethod"].startswith("medpriv, blur\\")
        assert set(told) == set(TABLE) - ({"PlanarConfiguration"} if not colour else set())
        uids |= {told[key] for key in told if key.endswith("InstanceUID")}
        assert path.stat().st_mtime == 946_684_800
        assert b"KOWALSKI" not in path.read_bytes()
    assert len(uids) == 3 * 12  # study, series and object are each image's own
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
    assert {path.name for path in (tmp_path / "out" / "keep").iterdir()} == {
        "README.txt", "order.csv", "release.npz"
    }  # fmt: skip


def test_all_attributes_are_those_of_the_table(tmp_path):
    release, cohort = made()
    write_release(release, cohort, tmp_path / "out", form="dicom")
    for path in (tmp_path / "out" / "share").iterdir():
        ds = pydicom.dcmread(path)
        assert {element.keyword for element in ds} <= set(TABLE)
        assert {element.tag.group for element in ds.file_meta} == {2}
        assert ds.preamble == bytes(128)
        for element in ds:  # values that the standard allows
            pydicom.dataelem.DataElement(
                element.tag, element.VR, element.value, validation_mode=pydicom.config.RAISE
            )


def test_uids_come_from_the_operating_system(monkeypatch):
    uids = {fresh_uid() for _ in range(200)}
    assert len(uids) == 200
    np.random.seed(0)
    assert fresh_uid() not in uids
    asked = []
    monkeypatch.setattr(os, "urandom", lambda n: asked.append(n) or bytes(n))
    fresh_uid()
    assert asked == [16]


def test_order_and_exposure_are_those_of_pngs(tmp_path):
    release, cohort = made()
    write_release(release, cohort, tmp_path / "png")
    write_release(release, cohort, tmp_path / "png", form="dicom")  # replaces it as a whole
    assert not list((tmp_path / "png" / "share").glob("*.png"))
    bare = Release(cohort.images, release.source, release.contributors, "blur")
    with pytest.raises(Exposed):
        write_release(bare, cohort, tmp_path / "bare", form="dicom")
    assert not (tmp_path / "bare").exists()
    with pytest.raises(ValueError, match="unknown form"):
        write_release(release, cohort, tmp_path / "bare", form="gif")


@pytest.mark.parametrize("change", ["pixels", "attribute", "damage"])
def test_what_was_changed_is_not_evaluated(tmp_path, change):
    release, cohort = made()
    write_release(release, cohort, tmp_path / "out", form="dicom")
    path = tmp_path / "out" / "share" / "0003.dcm"
    if change == "damage":
        path.write_bytes(path.read_bytes()[:150])
    else:
        ds = pydicom.dcmread(path)
        if change == "pixels":
            ds.PixelData = bytes(len(ds.PixelData))
        else:
            ds.InstitutionName = "elsewhere"
        ds.save_as(path)
    said = {
        "pixels": "differs",
        "attribute": r"holds the attribute \(0008,0080\)",
        "damage": "not a",
    }
    with pytest.raises(ValueError, match=said[change]):
        read_release(tmp_path / "out")


def test_text_in_a_release_is_refused_as_dicom():
    import cv2

    release, _ = made()
    images = np.full((3, 120, 160), 90, dtype=np.uint8)
    refuse_text(Release(images, np.arange(3), np.empty((3, 0), np.int64), "blur"))
    cv2.putText(images[1], "KOWALSKI", (4, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 1)
    with pytest.raises(ValueError, match="1 of 3 released images"):
        refuse_text(Release(images, np.arange(3), np.empty((3, 0), np.int64), "blur"))


def test_from_a_folder_to_a_release_by_the_command(tmp_path, capsys):
    """No name, date, number or UID of the inputs is in any byte that is given away."""
    table = folder(tmp_path / "scans", patients=6, each=4)
    uids = set()
    for path in (tmp_path / "scans").glob("*.dcm"):
        ds = pydicom.dcmread(path)
        uids |= {ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID}
    mine = tmp_path / "mine.npz"
    prepare = ["prepare", str(tmp_path / "scans"), "--kind", "dicom", "--labels", str(table)]
    prepare += ["--no-localize", "--size", "32", "--out", str(mine)]
    assert main(prepare) == 0
    said = capsys.readouterr().out
    assert "24 of 24 images of 6 patients" in said
    assert "source labels by: PatientID" in said
    salt = tmp_path / "mine.keep" / "salt.txt"
    assert salt.stat().st_mode & 0o777 == 0o600
    assert salt.parent.stat().st_mode & 0o777 == 0o700
    first = Cohort.load(mine)
    assert main([*prepare, "--force"]) == 0  # the kept salt gives the same names
    assert Cohort.load(mine).patient_names.tolist() == first.patient_names.tolist()
    assert first.name == "dicom"
    out = tmp_path / "out"
    method = ["--method", "k-same-select", "--k", "3", "--split", "all", "--as", "dicom"]
    assert main(["privatize", str(mine), *method, "--out", str(out)]) == 0
    shared = sorted((out / "share").iterdir())
    assert len(shared) == 24
    everything = b"".join(path.read_bytes() for path in shared) + mine.read_bytes()
    for secret in (*SECRETS, "MRN-0047", "20240229", salt.read_text()[:16], *uids):
        assert secret.encode() not in everything
        assert secret.encode("utf-16-le") not in everything
    assert len(read_release(out)[0]) == 24
    capsys.readouterr()


def test_another_salt_is_not_overwritten(tmp_path, capsys):
    table = folder(tmp_path / "scans", patients=2)
    (tmp_path / "mine.keep").mkdir()
    (tmp_path / "mine.keep" / "salt.txt").write_text("something else")
    arguments = ["prepare", str(tmp_path / "scans"), "--kind", "dicom", "--labels", str(table)]
    assert main([*arguments, "--no-localize", "--out", str(tmp_path / "mine.npz")]) == 2
    assert "no salt" in capsys.readouterr().err
    assert not (tmp_path / "mine.npz").exists()


def test_options_of_another_kind_are_refused(tmp_path, capsys):
    for more in (["--labels", "x.csv"], ["--allow-burned-in"], ["--keep", "k"]):
        out = ["--out", str(tmp_path / "a.npz")]
        assert main(["prepare", str(tmp_path), "--kind", "manifest", *more, *out]) == 2
        assert "dicom" in capsys.readouterr().err
    assert (
        main(["prepare", str(tmp_path), "--kind", "dicom", "--out", str(tmp_path / "a.npz")]) == 2
    )
    assert "--labels" in capsys.readouterr().err


def test_without_the_extra_nothing_is_begun(tmp_path, monkeypatch, capsys):
    release, cohort = made()
    cohort.save(tmp_path / "c.npz")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    arguments = ["privatize", str(tmp_path / "c.npz"), "--method", "blur", "--as", "dicom"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'medpriv[dicom]'" in capsys.readouterr().err
    with pytest.raises(ImportError, match="medpriv"):
        write_capture(release.images[0], tmp_path / "a.dcm", "0001", "blur")
