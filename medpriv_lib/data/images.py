"""Read one image file as grey levels, or say what is wrong with it and what to do."""

import os
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from medpriv_lib.core.printable import printable
from medpriv_lib.core.quiet import quiet
from medpriv_lib.data.levels import to_eight_bits

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# A 20 kB file can claim a billion pixels. 64 million (8192 x 8192) is above any radiograph or eye
# camera.
LARGEST_PIXELS = 64_000_000
SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
EIGHT_BIT = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr")
# Of 16-bit colour Pillow hands on the upper eight bits; with fewer levels than these the picture is
# in the lower ones.
COLOUR_LEVELS = 64
PHOTOMETRIC, BITS, WHITE = 262, 258, 281  # TIFF tags; WHITE is MaxSampleValue


class BadImage(ValueError):
    """An image that cannot be read; the message names the file and the remedy."""


def read_grey(path: str | os.PathLike) -> UInt8[np.ndarray, "h w"]:
    """Read a PNG, JPEG, BMP or TIFF file as uint8 (H, W) grey levels, turned upright by its EXIF
    orientation.

    Colour becomes luma (ITU-R BT.601: .299 R + .587 G + .114 B); what is transparent anywhere is
    refused; a TIFF in which 0 means white is inverted; 16-bit grey becomes 8-bit by the rules of
    `data.levels.to_eight_bits`. Raises `FileNotFoundError` for a missing file, `PermissionError`
    for one that may not be read, and `BadImage` (a `ValueError`) for zero bytes, corrupt or
    truncated files, other formats, animations and files of several pages, CMYK, floating point,
    16-bit files whose scale nobody can know, over 64 million pixels, and what this machine's memory
    does not hold.
    """
    return read_noted(path)[0]


def read_noted(path: str | os.PathLike, colour: bool = False) -> tuple[np.ndarray, str]:
    """Return what `read_grey` returns, and what was done to the levels where the file's own scale
    could not be kept ("" where it was).

    With `colour` RGB, uint8 (H, W, 3); a grey file has then three equal channels.
    """
    path = Path(path)
    shown = printable(path, 1000)
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise BadImage(f"{shown}: {kind}, no image file; name an image file")
    if not path.is_file():
        raise FileNotFoundError(
            f"{shown}: no such image file; correct the path or remove it from the list"
        )
    if path.stat().st_size == 0:
        raise BadImage(
            f"{shown}: zero-byte file; copy it again from its source, or remove it from the list"
        )
    try:
        with quiet("PIL"), Image.open(path, formats=FORMATS) as image:
            _refuse(image)
            deep = any(";16" in str(tile[3]) for tile in image.tile)
            tags = dict(image.tag_v2) if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
            image.load()
            _refuse_hidden(image)
            return _levels(ImageOps.exif_transpose(image), tags, deep, colour)
    except _Unfit as error:
        raise BadImage(f"{shown}: {error}") from error
    except PermissionError as error:
        raise PermissionError(
            error.errno, "may not be read; ask for the right to, or remove it from the list", shown
        ) from error
    except Image.DecompressionBombError as error:
        raise BadImage(f"{shown}: {_too_large()}") from error
    except MemoryError as error:
        raise BadImage(
            f"{shown}: its pixels do not fit into this machine's memory; scale it down first"
        ) from error
    except UnidentifiedImageError as error:
        raise BadImage(
            f"{shown}: not a readable PNG, JPEG, BMP or TIFF image (corrupt, or of another format "
            "or kind of pixel); save it as 8- or 16-bit grey PNG, or remove it from the list"
        ) from error
    except Exception as error:  # Pillow raises OSError, SyntaxError, struct.error and more
        raise BadImage(
            f"{shown}: corrupt or truncated image ({printable(error)}); copy it again from its "
            "source, or remove it from the list"
        ) from error


class _Unfit(ValueError):
    """What is wrong and the remedy, before the file's name is put in front."""


def _too_large() -> str:
    return f"claims more than {LARGEST_PIXELS // 10**6} million pixels; scale it down first"


def _refuse(image: Image.Image) -> None:
    """Refuse, before a pixel is decoded, what has no single honest reading as grey levels."""
    if image.width * image.height > LARGEST_PIXELS:
        raise _Unfit(_too_large())
    frames = getattr(image, "n_frames", 1)
    if frames > 1 or getattr(image, "is_animated", False):
        raise _Unfit(
            f"animated image or one of several pages ({frames} frames); save the wanted frame as a "
            "PNG of its own"
        )
    if image.mode == "CMYK":
        raise _Unfit(
            "CMYK image; its grey levels depend on the print profile: convert it to grey or RGB "
            "first"
        )
    if image.mode == "F":
        raise _Unfit(
            "pixels of kind 'F' (floating point), and the file does not say which number is black "
            "and which is white; scale them and save it as 8- or 16-bit grey"
        )
    if image.mode not in (*SIXTEEN_BIT, *EIGHT_BIT):
        raise _Unfit(f"pixels of kind {image.mode!r}; save it as 8- or 16-bit grey or as RGB")


def _levels(
    image: Image.Image, tags: dict[int, object], deep: bool, colour: bool
) -> tuple[np.ndarray, str]:
    grey, note = _grey(image, tags, deep)
    if not colour:
        return grey, note
    if image.mode in (*SIXTEEN_BIT, "1", "L", "LA", "La"):
        return np.repeat(grey[..., None], 3, axis=2), note
    return np.array(_opaque(image).convert("RGB"), dtype=np.uint8), note


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image of colours without its transparency, whose colours are taken as they are."""
    if image.mode in ("P", "PA"):
        return image.convert("RGB")
    if image.mode in ("RGBA", "RGBa", "RGBX"):
        return Image.merge("RGB", image.split()[:3])
    return image


def _refuse_hidden(image: Image.Image) -> None:
    """Refuse what is transparent anywhere: without it, the picture would show what somebody hid."""
    if not image.has_transparency_data or image.mode in ("1", "I", "I;16"):
        return
    alpha = np.asarray(image.convert("LA" if image.mode == "La" else "RGBA").getchannel("A"))
    if (alpha < 255).any():
        share = 100 * float((alpha < 255).mean())
        raise _Unfit(
            f"{share:.3g} % of its pixels are transparent, and reading it would show what lies "
            "there; flatten it onto a background (save it without an alpha channel)"
        )


def _grey(
    image: Image.Image, tags: dict[int, object], deep: bool
) -> tuple[UInt8[np.ndarray, "h w"], str]:
    if image.mode in SIXTEEN_BIT:
        try:
            levels, note = to_eight_bits(np.asarray(image).astype(np.int32), _white(tags))
        except ValueError as error:
            raise _Unfit(str(error)) from error
        # Pillow inverts 8-bit files in which 0 means white, and leaves 16-bit ones as they are
        return (255 - levels if tags.get(PHOTOMETRIC) == 0 else levels), note
    image = image.getchannel(0) if image.mode in ("LA", "La") else _opaque(image)
    levels = np.array(image if image.mode == "L" else image.convert("L"), dtype=np.uint8)
    if deep and 0 < int(np.ptp(levels)) < COLOUR_LEVELS:
        raise _Unfit(
            f"16-bit colour of which {int(np.ptp(levels)) + 1} of 256 grey levels would be left; "
            "save it as 16-bit grey, or rescale it to the full 16 bits"
        )
    return levels, ""


def _white(tags: dict[int, object]) -> int | None:
    """Return the level that means white where a TIFF states it, else None."""
    bits = tags.get(BITS)
    depth = bits[0] if isinstance(bits, tuple) and bits else 16
    stated = tags.get(WHITE)
    white = stated[0] if isinstance(stated, tuple) and stated else stated
    if isinstance(white, int) and 255 <= white < 65535:
        return white
    return 2**depth - 1 if depth < 16 else None
