"""What a cell drew as pixels, and pixels as the smallest picture a page can show."""

import io
import sys
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

LOSS = 2.0  # grey levels of 255 that encoding may cost a pixel on average


def as_pixels(drawn: Any) -> UInt8[np.ndarray, "h w ..."]:
    """Return what `draw` made as uint8 pixels (H, W) or (H, W, 3); a matplotlib figure is rendered
    on white and closed.

    Raises `ValueError` for anything else.
    """
    if hasattr(drawn, "savefig"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
        rgba = np.asarray(canvas.buffer_rgba()).astype(np.float32)
        if "matplotlib.pyplot" in sys.modules:  # else a notebook shows the figure a second time
            sys.modules["matplotlib.pyplot"].close(drawn)
        weight = rgba[..., 3:] / 255
        return np.rint(rgba[..., :3] * weight + 255 * (1 - weight)).astype(np.uint8)
    pixels = np.asarray(drawn)
    if (
        pixels.dtype != np.uint8
        or pixels.ndim not in (2, 3)
        or pixels.shape[2:] not in ((), (3,))
        or not pixels.size
    ):
        raise ValueError(
            f"draw returned {type(drawn).__name__} of shape {pixels.shape} and type "
            f"{pixels.dtype}; it must return uint8 pixels (H, W) or (H, W, 3), or a matplotlib "
            "figure"
        )
    return np.ascontiguousarray(pixels)


def encode(pixels: UInt8[np.ndarray, "h w ..."]) -> tuple[bytes, str]:
    """Return one picture as PNG or WebP, whichever is smaller, and its media type.

    A grey or few-coloured picture loses nothing as PNG, more colours are reduced to 256, and WebP
    has quality 85. What would lose more than `LOSS` grey levels on average is not taken (WebP
    halves the resolution of colour, which fine coloured stripes do not survive); where neither is
    good enough, all is kept.
    """
    image = Image.fromarray(pixels)
    shades = len(image.getcolors(256) or range(256))
    palette = image if image.mode == "L" else image.quantize(shades, dither=Image.Dither.NONE)
    candidates = [(png(palette), "image/png"), (_webp(image, quality=85, method=4), "image/webp")]
    good = [pair for pair in candidates if _loss(pair[0], image) <= LOSS]
    return min(good or [(_webp(image, lossless=True), "image/webp")], key=lambda pair: len(pair[0]))


def _loss(encoded: bytes, image: Image.Image) -> float:
    decoded = Image.open(io.BytesIO(encoded)).convert("RGB")
    return float(
        np.abs(np.asarray(decoded, np.int16) - np.asarray(image.convert("RGB"), np.int16)).mean()
    )


def _webp(image: Image.Image, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **how)
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    """Return a picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
