"""The frame of the HTML reports: both use it, and its colours can be read."""

import re

import numpy as np
import pytest

from medpriv_lib.attacks import findings_page as attacks
from medpriv_lib.core.html_page import STYLE, html_page, inline_image, scaling_of, width_of
from medpriv_lib.explanation import page as explanation


def light(colour):
    """Relative luminance of #rrggbb (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a, b):
    a, b = sorted((light(a), light(b)))
    return (b + 0.05) / (a + 0.05)


def test_text_can_be_read_in_light_in_dark_and_on_paper():
    schemes = [
        dict(re.findall(r"--(\w+): (#\w{6})", block))
        for block in re.findall(r":root \{([^}]*)\}", STYLE)
    ]
    assert len(schemes) == 3
    for colours in schemes:
        assert contrast(colours["ink"], colours["page"]) >= 7
        assert min(contrast(colours[name], colours["page"]) for name in ("soft", "mark")) >= 4.5


def test_the_page_allows_no_request_and_escapes_its_title():
    page = html_page("<b>", "<p>body</p>", "p { color: red; }")
    assert "default-src 'none'" in page
    assert "<title>&lt;b&gt;</title>" in page
    assert "<main>\n<p>body</p>\n</main>" in page
    assert page.count("<html") == page.count("</html>") == 1
    assert "p { color: red; }</style>" in page


@pytest.mark.parametrize("report", [attacks, explanation])
def test_both_reports_take_their_frame_from_here(report):
    with open(report.__file__, encoding="utf-8") as file:
        source = file.read()
    assert report.html_page is html_page
    assert "<!DOCTYPE" not in source
    assert ":root" not in source


@pytest.mark.parametrize(
    ("size", "width", "scaling"),
    [
        (16, 192, "pixelated"),
        (32, 192, "pixelated"),
        (64, 192, "pixelated"),
        (128, 192, "auto"),  # one and a half times: pixels would be doubled unevenly
        (192, 192, "pixelated"),
        (256, 256, "auto"),  # where the window is narrow, every other pixel would be left out
        (1024, 256, "auto"),
    ],
)
def test_no_pixel_of_an_image_is_left_out_or_doubled_unevenly(size, width, scaling):
    assert (width_of(size), scaling_of(size)) == (width, scaling)
    shown = inline_image(np.zeros((size, size), np.uint8), 'a "b"')
    assert f'<img width="{width}" height="{width}" alt="a &quot;b&quot;" src="data:image' in shown
