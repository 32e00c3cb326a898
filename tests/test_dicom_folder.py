"""A folder of DICOM files: whose images they are, and one clear line for each file that is not one."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_files import SECRETS, compressed, dicom, folder, picture

from medpriv_lib.core.rectangle import Rectangle
from medpriv_lib.data.choices import Care, Cut
from medpriv_lib.data.dicom.folder import list_dicom
from medpriv_lib.data.dicom.names import neutral_name
from medpriv_lib.data.left_out import TooManyLost
from medpriv_lib.data.manifest import BadManifest
from medpriv_lib.data.people import DoubledPeople
from medpriv_lib.data.source import Source
from medpriv_lib.pipeline.prepare import prepare

SALT = bytes(range(32))
WHOLE = Cut(localize=False)


def reasons(root, table, **more):
    """The reasons, by file, why files were left out, and whether that is a loss."""
    listing = list_dicom(root, table, SALT, **more)
    return {item.file: (item.reason, item.lost) for item in listing.left_out}


def test_a_folder_becomes_a_cohort_without_a_name_of_the_input(tmp_path):
    table = folder(tmp_path / "KOWALSKI")
    cohort, report = prepare(Source(tmp_path / "KOWALSKI", "dicom", table, SALT), WHOLE)
    assert len(cohort) == 12
    assert cohort.patients == 4
    cohort.save(tmp_path / "mine.npz")
    whole = "".join(
        str(np.load(tmp_path / "mine.npz")[key]) for key in np.load(tmp_path / "mine.npz")
    )
    said = str({key: value for key, value in report.items()})
    for secret in (*SECRETS, "MRN-0047"):
        assert secret not in whole
        assert secret not in said
    names = [neutral_name(f"MRN-00471{i}", "", SALT) for i in range(4)]
    assert sorted(names) == cohort.patient_names.tolist()
    sick = {str(n) for n in cohort.patient_names[np.unique(cohort.patient[cohort.diseased])]}
    assert sick == {names[1], names[3]}
    assert report["counts"]["labels by"] == "PatientID"
    assert report["counts"]["files with private attributes, none of which is kept"] == 12


def test_names_need_the_salt():
    """The twin is HMAC written out by its definition (RFC 2104)."""
    import hashlib

    name = neutral_name("17", "ward", SALT)
    block = SALT + bytes(32)
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + b"ward\x0017").digest()
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest()[:16]
    assert name == "patient-" + "".join("abcdefghijklmnop"[int(c, 16)] for c in outer)
    assert len({neutral_name("17", "ward", SALT), neutral_name("17", "", SALT), name}) == 2
    assert neutral_name("17", "ward", bytes(32)) != name
    with pytest.raises(ValueError, match="32 bytes"):
        neutral_name("17", "ward", b"short")


@pytest.mark.parametrize("by", ["file", "SOPInstanceUID"])
def test_labels_by_file_or_by_object(tmp_path, by):
    (tmp_path / "scans").mkdir()
    rows = [f"{by},label,eye"]
    for i in range(4):
        ds = dicom(tmp_path / "scans" / f"{i}.dcm", picture(i), Laterality="L" if i == 1 else "")
        key = f"{i}.dcm" if by == "file" else ds.SOPInstanceUID
        rows.append(f"{key},{i % 2},{'' if i < 2 else 'R'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    listing = list_dicom(tmp_path / "scans", tmp_path / "labels.csv", SALT)
    assert listing.counts["labels by"] == by
    assert listing.diseased.tolist() == [False, True, False, True]
    assert listing.eye.tolist() == ["", "L", "R", "R"]


SIMPLE = {  # what is written, and what must be said
    "10,000 frames": ({"NumberOfFrames": 10000}, "10000 frames of 64x48 declared and data for 1 "),
    "a huge size": ({"Rows": 65535, "Columns": 65535}, "declares 65535x65535 pixels"),
    "missing PatientID": ({"patient": None}, "no PatientID"),
    "empty PatientID": ({"patient": "n/a"}, "no PatientID"),
    "no label": ({"patient": "somebody else"}, "no label: its PatientID is not in the table"),
    "burned in": ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation says YES"),
    "another kind of pixel": ({"PhotometricInterpretation": "HSV"}, "pixels of kind HSV"),
    "one bit": ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "1 of 1 bits a pixel"),
    "a high bit": ({"HighBit": 5}, "do not end at the lowest bit"),
}
SYNTAXES = {
    "unknown transfer syntax": ("1.2.3.4", "unknown transfer syntax 1.2.3.4"),
    "a film": ("1.2.840.10008.1.2.4.102", "unknown transfer syntax 1.2.840.10008.1.2.4.102"),
    "deflated": ("1.2.840.10008.1.2.1.99", "deflated"),
}
WITHOUT = {  # attributes that are taken away
    "no pixel data": (("PixelData",), "no pixel data; export"),
    "a report": (
        ("PixelData", "Rows", "Columns"),
        "no pixel data: an object of kind Basic Text SR",
    ),
}
CUT = {  # compressed by, bytes that are left
    "truncated": ("", slice(-100), "truncated: 1 frame of 64x48 declared and data for 0"),
    "truncated header": ("", slice(200), "truncated"),
    "truncated in compressed data": ("1.2.840.10008.1.2.4.90", slice(-200), "truncated"),
    "zero bytes": ("", slice(0), "zero-byte file"),
}
KINDS = (*SIMPLE, *SYNTAXES, *WITHOUT, *CUT, "floating point", "not DICOM")
NO_LOSS = {"notes.txt", f"bad-{KINDS.index('a report'):02d}.dcm"}


def bad_pixels(path, kind):
    """Write one bad file; return what must be said of it."""
    if kind == "not DICOM":
        path.write_text("PatientID,label")
        return "not a DICOM file"
    more, said = SIMPLE.get(kind, ({}, ""))
    report = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"} if kind == "a report" else {}
    ds = dicom(path, picture(), **more, **report)
    if kind in SYNTAXES:
        ds.file_meta.TransferSyntaxUID, said = SYNTAXES[kind]
        if kind == "a film":
            ds.PixelData = pydicom.encaps.encapsulate([b"1234"])
    elif kind in WITHOUT:
        names, said = WITHOUT[kind]
        for name in names:
            delattr(ds, name)
    elif kind == "floating point":
        ds.FloatPixelData, said = ds.PixelData, "floating point"
        del ds.PixelData
    ds.save_as(path)
    if kind in CUT:
        syntax, left, said = CUT[kind]
        if syntax:
            compressed(path, syntax)
        path.write_bytes(path.read_bytes()[left])
    return said


def test_every_bad_file_gets_one_line_and_the_others_are_kept(tmp_path):
    root = tmp_path / "scans"
    table = folder(root, patients=2)
    wanted = {
        f"bad-{i:02d}.dcm": bad_pixels(root / f"bad-{i:02d}.dcm", kind)
        for i, kind in enumerate(KINDS)
    }
    (root / "notes.txt").write_text("not an image")
    listing = list_dicom(root, table, SALT)
    said = {item.file: item for item in listing.left_out}
    assert len(listing) == 6
    assert set(said) == {*wanted, "notes.txt"}
    for name, reason in wanted.items():
        assert reason in said[name].reason, (name, said[name].reason)
        assert "\n" not in said[name].reason
        assert not any(secret in said[name].reason for secret in SECRETS)
    assert {name for name, item in said.items() if not item.lost} == NO_LOSS
    with pytest.raises(TooManyLost, match=f"{len(KINDS) - 1} of {len(KINDS) + 5} images were lost"):
        prepare(Source(root, "dicom", table), WHOLE)
    cohort, report = prepare(Source(root, "dicom", table), WHOLE, care=Care(0.2))
    assert len(cohort) == 6
    assert len(report["left_out"]) == len(KINDS) + 1


def test_nothing_usable_says_why(tmp_path):
    (tmp_path / "scans").mkdir()
    bad_pixels(tmp_path / "scans" / "a.dcm", "truncated")
    (tmp_path / "labels.csv").write_text("PatientID,label\n1,1")
    with pytest.raises(TooManyLost, match=r"none of its 1 files.*a\.dcm, truncated"):
        list_dicom(tmp_path / "scans", tmp_path / "labels.csv", SALT)


def test_memory_is_not_spent_on_what_is_declared(tmp_path):
    """A size, a number of frames and a claimed codestream of gigabytes are refused from headers."""
    import tracemalloc

    table = folder(tmp_path / "scans", patients=2)
    for i, kind in enumerate(("a huge size", "10,000 frames", "deflated")):
        bad_pixels(tmp_path / "scans" / f"bad{i}.dcm", kind)
    tracemalloc.start()
    list_dicom(tmp_path / "scans", table, SALT)
    assert tracemalloc.get_traced_memory()[1] < 8e6
    tracemalloc.stop()


def test_two_patients_in_one_series_and_one_object_twice(tmp_path):
    root = tmp_path / "scans"
    table = folder(root, patients=3)
    first = pydicom.dcmread(root / "00.dcm")
    other = pydicom.dcmread(root / "03.dcm")  # of the second patient
    other.SeriesInstanceUID = first.SeriesInstanceUID
    other.save_as(root / "03.dcm")
    (root / "again.dcm").write_bytes((root / "08.dcm").read_bytes())
    found = reasons(root, table)
    assert set(found) == {"00.dcm", "03.dcm", "again.dcm"}
    assert "its series holds 2 patients" in found["03.dcm"][0]
    assert found["again.dcm"] == ("the same object as 08.dcm", False)


def test_two_spellings_of_a_patient_are_refused(tmp_path):
    root = tmp_path / "scans"
    table = folder(root, patients=2)
    dicom(root / "x.dcm", picture(9, 48, 48), "mrn-4710")
    dicom(root / "y.dcm", picture(8, 48, 48), "mrn-4710")
    table.write_text(table.read_text() + "\nmrn-4710,0")
    table.write_text(table.read_text().replace("MRN-004710", "MRN-0004710"))
    for i in range(3):
        ds = pydicom.dcmread(root / f"0{i}.dcm")
        ds.PatientID = "MRN-0004710"
        ds.save_as(root / f"0{i}.dcm")
    with pytest.raises(DoubledPeople) as error:
        prepare(Source(root, "dicom", table), WHOLE)
    assert "00.dcm" in str(error.value)
    assert "4710" not in str(error.value)


def test_one_number_of_two_issuers_is_refused(tmp_path):
    root = tmp_path / "scans"
    table = folder(root, patients=2)
    dicom(root / "x.dcm", picture(9), "MRN-004710", IssuerOfPatientID="elsewhere")
    with pytest.raises(ValueError, match=r"00\.dcm and x\.dcm have one PatientID"):
        list_dicom(root, table, SALT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PatientID\n1", "wrong columns"),
        ("PatientID,label\n1,perhaps", "row 2: label is 'perhaps'"),
        ("PatientID,label\n1,1\n1,0", "row 3: the same PatientID stands in row 2"),
        ("PatientID,label\n,1", "PatientID is empty"),
        ("PatientID,label\n1,1,1", "3 cells"),
        ("PatientID,label", "no row"),
    ],
)
def test_bad_tables(tmp_path, text, said):
    (tmp_path / "labels.csv").write_text(text)
    (tmp_path / "scans").mkdir()
    with pytest.raises(BadManifest, match=said):
        list_dicom(tmp_path / "scans", tmp_path / "labels.csv", SALT)


def write_on(path, text="KOWALSKI JADWIGA", row=20):
    import cv2

    ds = pydicom.dcmread(path)
    image = np.array(ds.pixel_array)
    image[: row + 6] //= 2
    cv2.putText(image, text, (4, row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    ds.PixelData = image.tobytes()
    ds.save_as(path)


def test_burned_in_text_is_left_out_unless_covered_or_accepted(tmp_path):
    root = tmp_path / "scans"
    table = folder(root, patients=4, size=200)
    write_on(root / "05.dcm")
    ds = pydicom.dcmread(root / "07.dcm")
    ds.BurnedInAnnotation = "YES"
    ds.save_as(root / "07.dcm")
    plain = Source(root, "dicom", table, SALT)
    how = {"cut": Cut(200, False), "care": Care(0.5)}
    cohort, report = prepare(plain, **how)
    said = {item.file: item.reason for item in report["left_out"]}
    assert set(said) == {"05.dcm", "07.dcm"}
    assert "looks as if text were burned in" in said["05.dcm"]
    cohort, report = prepare(replace(plain, masks=(Rectangle(0, 0, 200, 30),)), **how)
    assert len(cohort) == 12
    assert (cohort.images[:, :30] == 0).all()
    assert cohort.images[:, 31:].any()
    assert report["common_marks"] == []  # the edge of the cover is no mark
    cohort, report = prepare(replace(plain, allow_burned_in=True), **how)
    assert len(cohort) == 12


def test_masks_that_would_cover_other_places_are_refused(tmp_path):
    root = tmp_path / "scans"
    table = folder(root, patients=2)
    with pytest.raises(ValueError, match="reaches beyond the images of 48x48"):
        list_dicom(root, table, SALT, masks=[Rectangle(0, 0, 49, 3)])
    dicom(root / "large.dcm", picture(3, 60, 60), "MRN-004710")
    assert list_dicom(root, table, SALT).counts["sizes"] == "6 of 48x48, 1 of 60x60"
    with pytest.raises(ValueError, match=r"large\.dcm: another size than 48x48"):
        list_dicom(root, table, SALT, masks=[Rectangle(0, 0, 9, 3)])


def test_right_images_are_mirrored(tmp_path):
    root = tmp_path / "scans"
    table = folder(root, patients=2)
    plain, _ = prepare(Source(root, "dicom", table, SALT), Cut(48, False))
    for path in root.glob("*.dcm"):
        ds = pydicom.dcmread(path)
        ds.ImageLaterality = "R"
        ds.save_as(path)
    turned, _ = prepare(Source(root, "dicom", table, SALT), Cut(48, False))
    assert set(turned.eye.tolist()) == {"R"}
    np.testing.assert_array_equal(turned.images, plain.images[:, :, ::-1])


def test_without_the_extra_the_remedy_is_said(tmp_path, monkeypatch):
    import sys

    table = folder(tmp_path / "scans", patients=2)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImportError, match=r"pip install 'medpriv\[dicom\]'"):
        list_dicom(tmp_path / "scans", table, SALT)


def test_a_header_of_nested_sequences_is_one_line(tmp_path):
    """Nesting is followed by recursion; 3,000 levels end it."""
    dicom(tmp_path / "a.dcm", picture(), "MRN-004710")
    begin = b"\x10\x00\x02\x10SQ\x00\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00" + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    item = 3000 * begin + 3000 * end
    raw = (tmp_path / "a.dcm").read_bytes()
    at = raw.index(b"\x10\x00\x30\x00DA")
    root = tmp_path / "scans"
    table = folder(root, patients=2)
    (root / "deep.dcm").write_bytes(raw[:at] + item + raw[at:])
    found = reasons(root, table)
    assert "nested" in found["deep.dcm"][0]
