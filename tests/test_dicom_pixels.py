"""Every kind of DICOM pixel becomes the levels that its header says; a second implementation agrees."""

import numpy as np
import pydicom
import pytest
from dicom_files import compressed, dicom, picture
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_windowing

from medpriv_lib.data.dicom.codestream import claimed_size
from medpriv_lib.data.dicom.pixels import read_dicom
from medpriv_lib.data.dicom.tones import windowed
from medpriv_lib.data.images import BadImage


def table(first, levels, bits):
    item = Dataset()
    item.LUTDescriptor = [len(levels), first, bits]
    item.LUTData = np.array(levels, dtype="<u2").tobytes()
    return [item]


def test_eight_bits_stay_as_they_are(tmp_path):
    values = picture()
    dicom(tmp_path / "a.dcm", values)
    image, note = read_dicom(tmp_path / "a.dcm")
    assert image.dtype == np.uint8
    assert note == ""
    np.testing.assert_array_equal(image, values)


def test_monochrome1_is_inverted_and_padding_is_black(tmp_path):
    values = picture(low=5)
    values[:4] = 3
    dicom(tmp_path / "a.dcm", values, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=3)
    image, _ = read_dicom(tmp_path / "a.dcm")
    np.testing.assert_array_equal(image[4:], 255 - values[4:])
    assert (image[:4] == 0).all()


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept", "signed"), [(1, 0, False), (2, -1024, True)])
def test_windows_are_those_of_the_standard(tmp_path, function, slope, intercept, signed):
    """The twin is pydicom's own windowing, scaled from its range to 0..255."""
    values = picture(low=-700 if signed else 100, high=1800)
    ds = dicom(
        tmp_path / "a.dcm", values, bits=16, stored=12, signed=signed, RescaleSlope=slope,
        RescaleIntercept=intercept, WindowCenter=[400, 9], WindowWidth=[900, 9],
        VOILUTFunction=function,
    )  # fmt: skip
    twin = apply_windowing(apply_modality_lut(ds.pixel_array, ds), ds)
    low = (-2048 if signed else 0) * slope + intercept
    twin = (twin - low) / ((2**12 - 1) * slope) * 255
    image, note = read_dicom(tmp_path / "a.dcm")
    assert "window 400 of width 900" in note
    assert np.abs(image - twin).max() <= 1
    assert np.ptp(image) > 150


def test_linear_window_by_hand():
    """PS3.3, C.11.2.1.2: c = 2048, w = 4096 is the identity on 12 bits."""
    x = np.array([[0.0, 2047.5, 4095.0]])
    np.testing.assert_allclose(windowed(x, 2048, 4096), [[0, 0.5, 1]])
    np.testing.assert_array_equal(windowed(x, 100, 1), [[0, 1, 1]])
    with pytest.raises(ValueError, match="width 0"):
        windowed(x, 100, 0)


def test_lookup_tables_for_modality_and_voi(tmp_path):
    """Values 10..17 become 0, 32, .. by the first table, and those are reversed by the second."""
    values = picture(low=10, high=17)
    ds = dicom(tmp_path / "a.dcm", values, bits=16, stored=12)
    ds.ModalityLUTSequence = table(10, [32 * i for i in range(8)], 16)
    ds.ModalityLUTSequence[0].ModalityLUTType = "US"
    ds.VOILUTSequence = table(0, list(range(255, -1, -1)), 8)
    ds.WindowCenter, ds.WindowWidth = 1, 2  # the table comes first
    ds.save_as(tmp_path / "a.dcm")
    image, note = read_dicom(tmp_path / "a.dcm")
    assert note == "VOI LUT"
    np.testing.assert_array_equal(image, 255 - 32 * (values - 10))


@pytest.mark.parametrize(("stored", "signed"), [(12, False), (16, False), (12, True), (16, True)])
def test_without_a_window_the_declared_range_is_kept(tmp_path, stored, signed):
    low, high = (-(2 ** (stored - 1)) if signed else 0), 2 ** (stored - 1) - 1
    values = picture(low=low, high=high)
    dicom(tmp_path / "a.dcm", values, bits=16, stored=stored, signed=signed)
    image, note = read_dicom(tmp_path / "a.dcm")
    assert note == ""
    twin = np.rint((values - low) / (2**stored - 1) * 255)
    np.testing.assert_array_equal(image, twin)


def test_a_narrow_range_is_stretched_and_said(tmp_path):
    dicom(tmp_path / "a.dcm", picture(low=1000, high=1400), bits=16, stored=12)
    image, note = read_dicom(tmp_path / "a.dcm")
    assert "stretched" in note
    assert image.min() == 0
    assert image.max() == 255


def test_what_stands_in_unused_bits_is_no_picture(tmp_path):
    """Old scanners keep an overlay, which may be text, in the bits above the stored ones."""
    values = picture(low=0, high=4095)
    marked = values | (np.arange(64) % 2 << 13)
    dicom(tmp_path / "a.dcm", marked, bits=16, stored=12)
    twin = np.rint(values / 4095 * 255)
    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm")[0], twin)


def test_colours_are_kept_or_become_grey_by_luma(tmp_path):
    rgb = np.stack([picture(i) for i in range(3)], axis=2)
    dicom(tmp_path / "a.dcm", rgb)
    colour, _ = read_dicom(tmp_path / "a.dcm", colour=True)
    np.testing.assert_array_equal(colour, rgb)
    grey, note = read_dicom(tmp_path / "a.dcm")
    assert np.abs(grey - rgb @ (0.299, 0.587, 0.114)).max() <= 1
    assert "luma" in note
    dicom(tmp_path / "b.dcm", picture())
    three, _ = read_dicom(tmp_path / "b.dcm", colour=True)
    np.testing.assert_array_equal(three, np.repeat(picture()[..., None], 3, axis=2))


@pytest.mark.parametrize("depth", [8, 16])
def test_palettes(tmp_path, depth):
    values = picture(low=0, high=3)
    ds = dicom(tmp_path / "a.dcm", values, PhotometricInterpretation="PALETTE COLOR")
    reds, scale = [250, 10, 20, 30], 1 if depth == 8 else 257
    for i, name in enumerate(("Red", "Green", "Blue")):
        entries = np.roll(reds, i) * scale
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [4, 0, depth])
        kind = "u1" if depth == 8 else "<u2"
        setattr(ds, f"{name}PaletteColorLookupTableData", entries.astype(kind).tobytes())
    ds.save_as(tmp_path / "a.dcm")
    colour, note = read_dicom(tmp_path / "a.dcm", colour=True)
    assert note == "palette"
    twin = np.stack([np.roll(reds, i)[values] for i in range(3)], axis=2)
    np.testing.assert_array_equal(colour, twin)


def test_one_of_several_frames_by_a_rule_that_is_said(tmp_path):
    frames = np.stack([np.full((8, 8), 10 * i) for i in range(1, 7)])
    dicom(tmp_path / "a.dcm", frames)
    image, note = read_dicom(tmp_path / "a.dcm")
    assert (image == 30).all()  # the third of six: the earlier of the two in the middle
    assert note == "frame 3 of 6"
    dicom(tmp_path / "b.dcm", frames, RepresentativeFrameNumber=6)
    assert (read_dicom(tmp_path / "b.dcm")[0] == 60).all()


def test_a_frame_has_its_own_window_and_laterality(tmp_path):
    from medpriv_lib.data.dicom.header import read_header

    ds = dicom(tmp_path / "a.dcm", np.full((3, 8, 8), 100), WindowCenter=1000, WindowWidth=10)
    groups = []
    for centre in (300, 100.5, 0):
        item, window = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 201
        item.FrameVOILUTSequence = [window]
        groups.append(item)
    ds.PerFrameFunctionalGroupsSequence = groups
    shared, anatomy = Dataset(), Dataset()
    anatomy.FrameLaterality = "R"
    shared.FrameAnatomySequence = [anatomy]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.save_as(tmp_path / "a.dcm")
    assert set(np.unique(read_dicom(tmp_path / "a.dcm")[0])) == {128}
    assert read_header(tmp_path / "a.dcm").eye == "R"


LOSSLESS = {
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "RLE": "1.2.840.10008.1.2.5",
}


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize(("bits", "stored"), [(8, 8), (16, 12), (16, 16)])
def test_lossless_compressions_change_nothing(tmp_path, kind, bits, stored):
    dicom(tmp_path / "a.dcm", picture(high=2**stored - 1), bits=bits, stored=stored)
    plain = read_dicom(tmp_path / "a.dcm")
    compressed(tmp_path / "a.dcm", LOSSLESS[kind])
    packed = read_dicom(tmp_path / "a.dcm")
    np.testing.assert_array_equal(plain[0], packed[0])
    assert plain[1] == packed[1]


@pytest.mark.parametrize("kind", LOSSLESS)
def test_colour_in_lossless_compressions(tmp_path, kind):
    rgb = np.stack([picture(i) for i in range(3)], axis=2)
    dicom(tmp_path / "a.dcm", rgb)
    compressed(tmp_path / "a.dcm", LOSSLESS[kind])
    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm", colour=True)[0], rgb)


def test_jpeg_baseline_changes_little(tmp_path):
    dicom(tmp_path / "a.dcm", picture())
    compressed(tmp_path / "a.dcm", "1.2.840.10008.1.2.4.50")
    assert np.abs(read_dicom(tmp_path / "a.dcm")[0] - picture()).mean() < 3


@pytest.mark.parametrize("kind", [kind for kind in LOSSLESS if kind != "RLE"])
def test_a_frame_that_claims_another_size_is_not_decoded(tmp_path, kind):
    """A decoder takes memory by the size in the codestream: 200 bytes can claim 4 gigapixels."""
    dicom(tmp_path / "a.dcm", picture())
    compressed(tmp_path / "a.dcm", LOSSLESS[kind])
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    frame = pydicom.encaps.get_frame(ds.PixelData, 0, number_of_frames=1)
    assert claimed_size(frame) == (48, 64, 1)
    narrow, wide = (b"\x00\x30\x00\x40", b"\xff\xff\xff\xff")
    if kind == "JPEG 2000":
        narrow, wide = (b"\0\0\0\x40\0\0\0\x30", b"\0\1\0\0\0\1\0\0")
    assert ds.PixelData.count(narrow) >= 1
    ds.PixelData = ds.PixelData.replace(narrow, wide, 1)
    ds.save_as(tmp_path / "a.dcm")
    with pytest.raises(BadImage, match="says 64x48 and its compressed pixels 655"):
        read_dicom(tmp_path / "a.dcm")


def test_what_is_no_codestream_claims_nothing():
    for frame in (b"", b"abc", b"\xff\xd8", b"\xff\xd8\xff\xc0\x00", b"\xff\x4f\xff\x51\x00"):
        assert claimed_size(frame) is None
