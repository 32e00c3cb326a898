"""The image reader: which levels it gives, and what each refusal says."""

import os
import re
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from medpriv_lib.data.images import BadImage, read_grey, read_noted


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".jpg"])
def test_grey_and_colour_formats_read_alike(tmp_path, suffix):
    smooth = np.add.outer(np.arange(48), np.arange(40)).astype(np.uint8)
    for mode in ("L", "RGB"):
        path = tmp_path / f"{mode}{suffix}"
        Image.fromarray(smooth).convert(mode).save(path)
        assert np.abs(read_grey(path).astype(int) - smooth).max() <= (4 if suffix == ".jpg" else 0)


def test_sixteen_bit_image_is_divided_by_257(tmp_path):
    values = (np.arange(48 * 40).reshape(48, 40) * 34).astype(np.uint16)
    for suffix in (".png", ".tif"):
        path = tmp_path / f"deep{suffix}"
        Image.fromarray(values).save(path)
        assert np.array_equal(read_grey(path), np.rint(values / 257).astype(np.uint8))
    Image.fromarray(values // 32).save(tmp_path / "twelve.png")
    with pytest.raises(BadImage, match=r"twelve.png: 16-bit image.*rescale"):
        read_grey(tmp_path / "twelve.png")


def test_exif_orientation_turns_the_image_upright(tmp_path):
    image = Image.fromarray(np.add.outer(np.arange(48), np.zeros(40)).astype(np.uint8) * 5)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    image.save(tmp_path / "turned.jpg", exif=exif, quality=100)
    upright = read_grey(tmp_path / "turned.jpg")
    assert upright.shape == (40, 48)
    assert upright[:, 0].mean() > upright[:, -1].mean() + 200


def _truncated(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])


def _animated(path):
    frames = [Image.fromarray(np.full((9, 9), v, np.uint8)) for v in (0, 255)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("zero.png", lambda p: p.touch(), "zero-byte file"),
        (
            "corrupt.png",
            lambda p: p.write_bytes(b"no image at all"),
            "not a readable PNG, JPEG, BMP or TIFF",
        ),
        ("truncated.png", _truncated, "corrupt or truncated"),
        ("truncated.bmp", _truncated, "corrupt or truncated"),
        ("cmyk.jpg", lambda p: Image.new("CMYK", (9, 9)).save(p), "CMYK image"),
        ("cmyk.tif", lambda p: Image.new("CMYK", (9, 9)).save(p), "CMYK image"),
        ("animated.png", _animated, "animated image"),
        ("pages.tif", _animated, "several pages"),
        ("float.tif", lambda p: Image.new("F", (9, 9)).save(p), "pixels of kind 'F'"),
        ("gif.png", lambda p: Image.new("L", (9, 9)).save(p, format="GIF"), "not a readable"),
        ("bomb.png", lambda p: Image.new("1", (9000, 9000)).save(p), "million pixels"),
    ],
)
def test_bad_image_names_file_and_remedy(tmp_path, name, make, words):
    path = tmp_path / name
    make(path)
    before = path.read_bytes()
    with pytest.raises(BadImage, match=words) as error:
        read_grey(path)
    assert str(path) in str(error.value)
    assert ";" in str(error.value) or ":" in str(error.value)[len(str(path)) + 1 :]
    assert path.read_bytes() == before


# ---- sixteen bits whose scale is not that of the file ------------------------------------------

RAMP = np.tile(np.linspace(0, 1, 320), (60, 1))  # every level is in more than a thousandth


def _written(path, values, writer):
    """Write 16-bit values with Pillow or OpenCV."""
    if writer == "pillow":
        Image.fromarray(values).save(path)
    else:
        assert cv2.imwrite(str(path), values)
    return path


@pytest.mark.parametrize("writer", ["pillow", "opencv"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(
    ("top", "base"),
    [(8191, 0), (16383, 0), (4095, 30000), (4095, 61000), (600, 2**15)],
    ids=["13 bits", "14 bits", "12 with an offset", "12 at the top", "few with an offset"],
)
def test_levels_that_are_not_the_files_scale_use_the_whole_grey_scale(
    tmp_path, writer, suffix, top, base
):
    path = _written(tmp_path / f"a{suffix}", (RAMP * top + base).astype(np.uint16), writer)
    grey, note = read_noted(path)
    assert len(np.unique(grey)) > 200
    assert np.abs(grey - 255 * RAMP).max() <= 1
    assert note.startswith("levels ")
    assert note.endswith("stretched to 0..255")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "signed.tif", "wide.tif"])
def test_negative_levels_stay_below_the_others(tmp_path, name):
    """A CT from -1000 to 2000: without its sign, with it, and in 32 bits."""
    values = np.round(RAMP * 3000 - 1000).astype(np.int16)
    if name.startswith("a."):
        _written(tmp_path / name, values.view(np.uint16), "opencv")
    elif name == "signed.tif":
        _written(tmp_path / name, values, "opencv")
    else:
        _written(tmp_path / name, values.astype(np.int32), "pillow")
    grey, note = read_noted(tmp_path / name)
    assert np.abs(grey - 255 * RAMP).max() <= 1
    assert "levels -" in note


def test_hot_pixels_do_not_set_the_scale(tmp_path):
    values = (RAMP * 8191).astype(np.uint16)
    values[5, 5] = 65535
    grey = read_grey(_written(tmp_path / "a.png", values, "pillow"))
    assert np.abs(np.delete(grey - 255 * RAMP, 5, axis=0)).max() <= 1
    assert grey[5, 5] == 255


def test_black_and_white_only_is_not_taken_for_signed(tmp_path):
    values = np.where(RAMP > 0.5, 65535, (RAMP * 900).astype(int)).astype(np.uint16)
    grey = read_grey(_written(tmp_path / "a.png", values, "pillow"))
    assert grey[0, 0] == 0
    assert grey[-1, -1] == 255


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (RAMP * 4095, "12-bit data or less.*rescale it"),
        (RAMP * 200 + 30000, r"uses \d+ levels only.*mask.*save it as 8-bit"),
        (np.where(RAMP > 0.5, 7000, 5000), r"uses 2 levels only.*mask"),
        (np.round(RAMP * 3000 - 300) % 65536, r"32 near 65535 and none between.*sign"),
    ],
)
def test_what_nobody_can_know_is_refused(tmp_path, values, words):
    path = _written(tmp_path / "a.png", values.astype(np.uint16), "pillow")
    with pytest.raises(BadImage, match=words) as error:
        read_grey(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("bits", [8, 16])
def test_white_is_zero_is_read_the_right_way_round(tmp_path, bits):
    """The stored numbers are the complement of the picture; written byte by byte, as a scanner does."""
    picture = np.round(RAMP * (2**bits - 1)).astype(np.uint8 if bits == 8 else "<u2")
    for photometric in (0, 1):
        path = tmp_path / f"{photometric}.tif"
        stored = picture if photometric else (2**bits - 1 - picture).astype(picture.dtype)
        path.write_bytes(_tiff(stored, bits, photometric))
        assert np.abs(read_grey(path) - 255 * RAMP).max() <= 1


def _tiff(stored, bits, photometric, more=()):
    """Return an uncompressed little-endian TIFF of one strip."""
    height, width = stored.shape
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 0), (277, 3, 1), (278, 3, height), (279, 4, stored.nbytes), *more]
    tags.sort()
    start = 8 + 2 + 12 * len(tags) + 4
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    for tag, kind, value in tags:
        head += struct.pack("<HHII", tag, kind, 1, start if tag == 273 else value)
    return head + struct.pack("<I", 0) + stored.tobytes()


def test_a_tiff_that_states_its_white_is_divided_by_it(tmp_path):
    """Twelve bits are refused where nobody says so, and read where tag 281 does."""
    stored = np.round(RAMP * 4095).astype("<u2")
    (tmp_path / "a.tif").write_bytes(_tiff(stored, 16, 1))
    with pytest.raises(BadImage, match="12-bit data or less"):
        read_grey(tmp_path / "a.tif")
    (tmp_path / "a.tif").write_bytes(_tiff(stored, 16, 1, [(281, 3, 4095)]))
    assert np.array_equal(read_grey(tmp_path / "a.tif"), np.rint(stored / 4095 * 255))
    (tmp_path / "a.tif").write_bytes(_tiff(stored, 16, 1, [(281, 3, 999)]))
    with pytest.raises(BadImage, match="a.tif: the file says that 999 is white"):
        read_grey(tmp_path / "a.tif")


def test_sixteen_bit_colour_is_read_unless_its_picture_is_in_the_lower_bits(tmp_path):
    full = np.dstack([np.round(RAMP * 65535).astype(np.uint16)] * 3)
    assert cv2.imwrite(str(tmp_path / "full.png"), full)
    assert np.abs(read_grey(tmp_path / "full.png") - 255 * RAMP).max() <= 1
    assert cv2.imwrite(str(tmp_path / "low.png"), full // 8)
    with pytest.raises(BadImage, match=r"low.png: 16-bit colour.*32 of 256.*rescale it"):
        read_grey(tmp_path / "low.png")


def test_a_floating_point_file_is_refused_with_what_it_lacks(tmp_path):
    Image.fromarray(RAMP.astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(BadImage, match=r"a.tif: pixels of kind 'F'.*which number is black.*scale"):
        read_grey(tmp_path / "a.tif")
    assert cv2.imwrite(str(tmp_path / "b.tif"), RAMP)  # 64 bits, which Pillow does not know
    with pytest.raises(BadImage, match=r"b.tif: .*kind of pixel.*save it as"):
        read_grey(tmp_path / "b.tif")


def _with_broken_exif(path):
    """A JPEG whose EXIF block ends in the middle of an entry: Pillow remarks on it, and reads on."""
    picture = Image.fromarray((RAMP * 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x010E] = "a description"
    picture.save(path, exif=exif.tobytes()[:-9])


def test_remarks_on_metadata_do_not_leak_from_threads(tmp_path):
    _with_broken_exif(tmp_path / "a.jpg")
    with warnings.catch_warnings(record=True) as plain:
        warnings.simplefilter("always")
        with Image.open(tmp_path / "a.jpg") as image:
            ImageOps.exif_transpose(image)
    assert plain, "Pillow has nothing to say about this file"
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(read_grey, [tmp_path / "a.jpg"] * 200))
        assert warnings.filters == before
    assert leaked == []


def test_what_memory_does_not_hold_names_the_file(tmp_path):
    """In a process of its own, with 120 MiB left for 192 MB of pixels."""
    Image.new("RGB", (8000, 8000)).save(tmp_path / "large.png")
    code = (
        "import resource, sys; from medpriv_lib.data.images import BadImage, read_grey\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 120 * 2**20,) * 2)\n"
        "try: read_grey(sys.argv[1])\n"
        "except BadImage as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "large.png")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert re.search(r"large.png: its pixels do not fit.*scale it down", done.stdout), done


def test_a_file_that_may_not_be_read_is_not_called_corrupt(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("L", (9, 9)).save(path)
    if os.geteuid() == 0:  # to the administrator every file is open

        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Image, "open", refuse)
    else:
        path.chmod(0)
    with pytest.raises(PermissionError, match="may not be read.*a.png"):
        read_grey(path)


def test_control_characters_of_a_name_do_not_reach_the_message(tmp_path):
    path = tmp_path / "a\x1b[31mb\u202ec.png"
    path.write_bytes(b"nothing")
    with pytest.raises(BadImage) as error:
        read_grey(path)
    assert str(error.value).isprintable()
    assert r"a\x1b[31mb\u202ec.png" in str(error.value)
