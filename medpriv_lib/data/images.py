"""Read one image file as grey levels, or say what is wrong with it and what to do."""

import os
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# A 20 kB file can claim a billion pixels. 64 million (8192 x 8192) is above any radiograph or eye
# camera.
LARGEST_PIXELS = 64_000_000
SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")


class BadImage(ValueError):
    """An image that cannot be read; the message names the file and the remedy."""


def read_grey(path: str | os.PathLike) -> UInt8[np.ndarray, "h w"]:
    """Read a PNG, JPEG, BMP or TIFF file as uint8 (H, W) grey levels, turned upright by its EXIF
    orientation.

    Colour becomes luma (ITU-R BT.601: .299 R + .587 G + .114 B); transparency is ignored; 16-bit
    grey is divided by 257 and rounded, so that 65535 becomes 255. Raises `FileNotFoundError` for a
    missing file and `BadImage` (a `ValueError`) for zero bytes, corrupt or truncated files, other
    formats, animations and files of several pages, CMYK, floating point, 16-bit files that use the
    lowest twelve bits only (they would come out almost black), and over 64 million pixels.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such image file; correct the path or remove it from the list"
        )
    if path.stat().st_size == 0:
        raise BadImage(
            f"{path}: zero-byte file; copy it again from its source, or remove it from the list"
        )
    try:
        with warnings.catch_warnings(), Image.open(path, formats=FORMATS) as image:
            warnings.simplefilter(
                "ignore"
            )  # Pillow's remarks on metadata; what matters is checked below
            _refuse(path, image)
            image.load()
            return _grey(path, ImageOps.exif_transpose(image))
    except BadImage:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except UnidentifiedImageError as error:
        raise BadImage(
            f"{path}: not a readable PNG, JPEG, BMP or TIFF image (corrupt, or of another format); "
            "save it as PNG, or remove it from the list"
        ) from error
    except (
        Exception
    ) as error:  # Pillow raises OSError, SyntaxError, struct.error and more on damaged files
        raise BadImage(
            f"{path}: corrupt or truncated image ({error}); copy it again from its source, or remove it from the list"
        ) from error


def _too_large(path: Path) -> BadImage:
    return BadImage(
        f"{path}: claims more than {LARGEST_PIXELS // 10**6} million pixels; scale it down first"
    )


def _refuse(path: Path, image: Image.Image) -> None:
    """Refuse, before a pixel is decoded, what has no single honest reading as grey levels."""
    if image.width * image.height > LARGEST_PIXELS:
        raise _too_large(path)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 or getattr(image, "is_animated", False):
        raise BadImage(
            f"{path}: animated image or one of several pages ({frames} frames); save the wanted frame "
            "as a PNG of its own"
        )
    if image.mode == "CMYK":
        raise BadImage(
            f"{path}: CMYK image; its grey levels depend on the print profile: convert it to grey or RGB first"
        )
    if image.mode not in (
        *SIXTEEN_BIT,
        "1",
        "L",
        "LA",
        "La",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBa",
        "RGBX",
        "YCbCr",
    ):
        raise BadImage(
            f"{path}: pixels of kind {image.mode!r}; save it as 8- or 16-bit grey or as RGB"
        )


def _grey(path: Path, image: Image.Image) -> UInt8[np.ndarray, "h w"]:
    if image.mode in SIXTEEN_BIT:
        values = np.asarray(image).astype(np.int64)
        largest = int(values.max())
        if values.min() < 0 or largest > 65535:
            raise BadImage(f"{path}: grey levels outside 0..65535; save it as 8- or 16-bit grey")
        if 0 < largest < 4096:
            raise BadImage(
                f"{path}: 16-bit image with no level above {largest} of 65535, so it holds 12-bit data or less; "
                "rescale it to the full 16 bits, or save it as 8-bit grey"
            )
        return ((values + 128) // 257).astype(np.uint8)
    if image.mode in ("P", "PA"):
        image = image.convert("RGB")
    elif image.mode in ("RGBA", "RGBa", "RGBX"):
        image = Image.merge("RGB", image.split()[:3])
    elif image.mode in ("LA", "La"):
        image = image.getchannel(0)
    return np.array(image if image.mode == "L" else image.convert("L"), dtype=np.uint8)
