"""The frame of every HTML report: one file, no request to anywhere, light and dark, readable on
paper and a phone.
"""

import base64
import html
import io
import json

import numpy as np
from jaxtyping import UInt8
from PIL import Image

SHOWN, LARGE = 192, 256  # px: small images are enlarged to one, large ones shrunk to the other

STYLE = """
:root { color-scheme: light dark;
  --page: #ffffff; --ink: #1d1d1f; --soft: #55555c; --line: #d5d5da; --mark: #c2410c; }
@media (prefers-color-scheme: dark) { :root {
  --page: #17171a; --ink: #ececf0; --soft: #b4b4bd; --line: #3d3d45; --mark: #f0a26b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem;
  background: var(--page); color: var(--ink); overflow-wrap: break-word;
  font: 1rem/1.5 system-ui, "Liberation Sans", sans-serif; }
h1 { font-size: 1.4rem; line-height: 1.3; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; } .soft, figcaption, caption { color: var(--soft); }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .92rem; } caption { text-align: left; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th[scope=row] { white-space: nowrap; }
@media screen and (max-width: 40rem) { td { min-width: 12rem; } td.number { min-width: 0; } }
svg { max-width: 100%; height: auto; } pre { white-space: pre-wrap; font: inherit; }
@media print { :root { color-scheme: light;
    --page: #ffffff; --ink: #000000; --soft: #333333; --line: #999999; --mark: #c2410c; }
  body { padding: 0; max-width: none; font-size: 9.5pt; } h1 { font-size: 13pt; }
  h2 { font-size: 11pt; margin: .6rem 0 .3rem; break-after: avoid; }
  tr, figure, svg { break-inside: avoid; } .scroll { overflow: visible; }
  table { font-size: 8.5pt; } th, td { padding: 1mm 2mm; } }
@page { size: A4; margin: 12mm; }
"""


def html_page(title: str, body: str, style: str = "") -> str:
    """Return a whole HTML document. Its own policy forbids the browser every request; images must
    be inline data.

    `title` is escaped; `body` (what stands in `<main>`) and `style` (rules beside `STYLE`) are
    taken as they are.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def width_of(size: int) -> int:
    """Return how many pixels wide an image of `size` pixels is shown."""
    return min(max(size, SHOWN), LARGE)


def scaling_of(size: int) -> str:
    """Return CSS's word for how an image of `size` pixels is scaled: in whole pixels where each
    becomes a square of its own, else smoothly, since pixels would be left out or doubled unevenly.
    """
    return "pixelated" if SHOWN % size == 0 else "auto"


def inline_image(pixels: UInt8[np.ndarray, "h w"], alt: str, style: str = "") -> str:
    """Return an image, (H, W) or (H, W, 3), as an element that asks nobody for a file; `alt` is
    escaped, `style` are rules of its own.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    size = width_of(pixels.shape[1])
    own = f'style="{style}" ' if style else ""
    shown = f'<img width="{size}" height="{size}" alt="{html.escape(alt)}" {own}'
    return f'{shown}src="data:image/png;base64,{data}">'


def as_script(value: object) -> str:
    """Return a value as JavaScript that no HTML parser takes for the end of the script."""
    return (
        json.dumps(value)
        .replace("<", "\\u003c")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )
