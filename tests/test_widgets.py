"""The stepper: its frames are the draw function's pictures, in both of its lives."""

import base64
import html
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from medpriv_lib.lessons.encoding import LOSS, as_pixels, encode
from medpriv_lib.lessons.widgets import MAX_BYTES, Stepper

TITLE = "Stripes <of> light & shade"


def stripes(period: int, grey: int = 200) -> np.ndarray:
    return np.where(np.arange(96) // period % 2, grey, 30).astype(np.uint8) * np.ones(
        (64, 1), np.uint8
    )


def said(period: int, grey: int = 200) -> str:
    return f'Stripes of {period} pixels, "grey" {grey} </script> & more'


def coloured(period: int) -> np.ndarray:
    ramp = np.linspace(0, 255, 96).astype(np.uint8)
    return np.stack([stripes(period), np.tile(ramp, (64, 1)), np.tile(ramp[::-1], (64, 1))], axis=2)


def plotted(period: int):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot(np.sin(np.arange(50) / period), color="darkred")
    axes.set_title(f"period {period}")
    return figure


def rgb(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def pictures_in(text: str) -> list[bytes]:
    """Return the pictures of the HTML in the order of the frames: the first in <img>, the others in
    the script."""
    return [
        base64.b64decode(data) for data in re.findall(r"data:image/\w+;base64,([\w+/=]+)", text)
    ]


@pytest.mark.parametrize("draw", [stripes, coloured, plotted])
def test_each_frame_is_what_draw_returns_for_its_value(draw):
    stepper = Stepper(draw, {"period": [2, 5, 9]}, said, title=TITLE)
    assert [frame.values for frame in stepper.frames] == [
        {"period": 2},
        {"period": 5},
        {"period": 9},
    ]
    for frame in stepper.frames:
        wanted = rgb(as_pixels(draw(**frame.values))).astype(int)
        error = np.abs(frame.pixels() - wanted)
        assert frame.pixels().shape == wanted.shape
        assert error.mean() <= LOSS
        others = [np.abs(f.pixels() - wanted).mean() for f in stepper.frames if f is not frame]
        assert error.mean() < 0.3 * min(others), "and far less than what tells the frames apart"
        assert frame.caption == said(**frame.values)


def test_two_controls_run_through_all_pairs_the_last_fastest():
    stepper = Stepper(stripes, {"period": [2, 5], "grey": [100, 150, 250]}, said)
    assert [(f.values["period"], f.values["grey"]) for f in stepper.frames] == [
        (2, 100),
        (2, 150),
        (2, 250),
        (5, 100),
        (5, 150),
        (5, 250),
    ]
    assert pictures_in(stepper.html()) == [frame.image for frame in stepper.frames]


def test_grey_pictures_lose_nothing_as_png():
    image, media = encode(stripes(2))
    assert media == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image))), stripes(2))


def test_a_figure_is_closed_after_drawing():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    Stepper(plotted, {"period": [2, 5]}, said)
    assert plt.get_fignums() == before


def test_page_shows_the_first_frame_and_hides_the_control_without_javascript():
    text = Stepper(stripes, {"period": [2, 5]}, said, title=TITLE).html()
    shown = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.S)
    assert '<div class="stepper-controls" hidden>' in shown
    assert shown.count("<img") == 1
    assert len(pictures_in(shown)) == 1
    assert "first of 2 pictures" in shown
    assert "Stripes &lt;of&gt; light &amp; shade" in shown
    assert text.count("</script>") == 1, "a caption must not end the script"
    assert not re.search(r"https?:|require|src=\"(?!data:)", text)


def test_slider_is_native_and_speaks():
    text = Stepper(
        lambda **_: stripes(3), {"stripe_period": [2, 5.5, 9]}, lambda **_: "seen"
    ).html()
    control = re.search(
        r'<label for="([\w-]+)">stripe period</label><input id="\1" type="range" ([^>]+)>', text
    )
    assert control
    assert 'min="0" max="2" step="1" value="0"' in control[2]
    assert 'aria-valuetext="2"' in control[2]
    assert json.loads(
        re.search(r'data-labels="([^"]+)"', control[2])[1].replace("&quot;", '"')
    ) == ["2", "5.5", "9"]
    assert 'aria-live="polite"' in text


def test_words_are_buttons_of_which_one_is_chosen_beside_a_slider_of_numbers():
    levels = {"how_shown": ["as <it> is", "wide"], "period": [2, 5]}
    text = Stepper(lambda **_: stripes(3), levels, lambda **_: "seen").html()
    fields = re.search(r"<fieldset ([^>]+)><legend>how shown</legend>(.+?)</fieldset>", text)
    assert fields
    assert json.loads(html.unescape(re.search(r'data-labels="([^"]+)"', fields[1])[1])) == [
        "as <it> is",
        "wide",
    ]
    radios = re.findall(r'<label for="([\w-]+)"><input id="\1" type="radio" ([^>]+)>', fields[2])
    assert len(radios) == 2
    assert len(set(re.findall(r' name="([^"]+)"', fields[2]))) == 1, "one of them is chosen"
    assert ["checked" in attributes for _, attributes in radios] == [True, False]
    assert "as &lt;it&gt; is</span>" in fields[2]
    assert text.count('type="range"') == 1


def test_live_words_are_buttons():
    ipywidgets = pytest.importorskip("ipywidgets")
    stepper = Stepper(
        lambda kind, period: stripes(period, {"dark": 100, "light": 250}[kind]),
        {"kind": ["dark", "light"], "period": [2, 5]},
        lambda kind, period: f"{kind} {period}",
    )
    _, kind, period, picture, caption = stepper.live().children
    assert isinstance(kind, ipywidgets.ToggleButtons)
    assert isinstance(period, ipywidgets.SelectionSlider)
    kind.value = "light"
    assert caption.value == "light 2"
    shown = np.asarray(Image.open(io.BytesIO(picture.value)))
    np.testing.assert_array_equal(shown, stripes(2, 250))


def test_ids_are_unique_even_for_the_same_stepper():
    stepper = Stepper(stripes, {"period": [2, 5]}, said)
    ids = re.findall(r' id="([^"]+)"', stepper.html() + stepper.html())
    assert len(ids) == 4
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({}, "one or two controls, not 0"),
        ({"a": [1], "b": [1], "c": [1]}, "one or two controls, not 3"),
        ({"period": []}, "at least one"),
        ({"period": [2, 2]}, "none twice"),
        ({"period": range(1, 22)}, "21 pictures, and 20 is the limit"),
        ({"period": range(1, 8), "grey": [1, 2, 3]}, "7 x 3 levels make 21 pictures"),
    ],
)
def test_impossible_levels_are_refused_before_anything_is_drawn(levels, message):
    with pytest.raises(ValueError, match=message):
        Stepper(lambda **_: pytest.fail("drawn"), levels, said)


@pytest.mark.parametrize(
    "drawn",
    [
        np.zeros((4, 4)),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros(4, np.uint8),
        None,
        np.zeros((0, 4), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(drawn):
    with pytest.raises(ValueError, match="draw returned"):
        Stepper(lambda period: drawn, {"period": [1]}, said)


def test_pictures_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\{'period': 6\} is 96x6 pixels, those before it 96x5"):
        Stepper(lambda period: stripes(2)[:period], {"period": [5, 6]}, said)


def test_a_heavy_stepper_is_refused():
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=rf"kB on the page, and {MAX_BYTES // 1000} is the limit"):
        Stepper(lambda period: noise, {"period": range(20)}, said)


@pytest.mark.parametrize("caption", ["", "  ", None])
def test_a_picture_without_words_is_refused(caption):
    with pytest.raises(ValueError, match="describe returned"):
        Stepper(stripes, {"period": [2]}, lambda period: caption)


def test_errors_of_draw_come_through():
    with pytest.raises(ZeroDivisionError):
        Stepper(lambda period: stripes(1 // period), {"period": [1, 0]}, said)


def test_live_slider_draws_each_level():
    pytest.importorskip("ipywidgets")
    drawn = []

    def draw(period, grey):
        drawn.append((period, grey))
        return stripes(period, grey)

    stepper = Stepper(draw, {"period": [2, 5, 9], "grey": [100, 250]}, said, title=TITLE)
    title, period, grey, picture, caption = stepper.live().children
    assert title.value == TITLE
    for frame in reversed(stepper.frames):
        drawn.clear()
        period.value, grey.value = frame.values["period"], frame.values["grey"]
        assert drawn[-1:] in ([], [(frame.values["period"], frame.values["grey"])])
        shown = np.asarray(Image.open(io.BytesIO(picture.value)))
        np.testing.assert_array_equal(shown, stripes(**frame.values))
        assert html.unescape(caption.value) == said(**frame.values)


def test_live_errors_come_through():
    pytest.importorskip("ipywidgets")
    broken = []
    stepper = Stepper(
        lambda period: stripes(period if not broken else 1 // 0), {"period": [2, 5]}, said
    )
    slider = stepper.live().children[1]
    broken.append(True)
    with pytest.raises(ZeroDivisionError):
        slider.value = 5


def test_outside_a_kernel_only_the_page_shows():
    bundle = Stepper(stripes, {"period": [2, 5]}, said, title=TITLE)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == f"{TITLE} (period: 2, 5)"


def test_where_numbers_are_compared_one_picture_is_drawn_and_no_page_made(monkeypatch):
    drawn = []

    def draw(period):
        drawn.append(period)
        return stripes(period)

    monkeypatch.setenv("MEDPRIV_WIDGETS", "first")
    stepper = Stepper(draw, {"period": [2, 5]}, said, TITLE)
    assert drawn == [2]
    assert stepper._repr_mimebundle_() == {"text/plain": f"{TITLE} (period: 2, 5)"}
    monkeypatch.delenv("MEDPRIV_WIDGETS")
    assert len(Stepper(draw, {"period": [2, 5]}, said, TITLE).frames) == 2


def test_in_a_kernel_both_lives_show_and_the_book_takes_the_page(monkeypatch):
    pytest.importorskip("ipywidgets")
    import IPython

    monkeypatch.delenv(
        "MEDPRIV_WIDGETS", raising=False
    )  # a build of the book in the same process sets it
    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": object()})())
    stepper = Stepper(stripes, {"period": [2, 5]}, said)
    assert "application/vnd.jupyter.widget-view+json" in stepper._repr_mimebundle_()
    monkeypatch.setenv("MEDPRIV_WIDGETS", "frames")
    assert set(stepper._repr_mimebundle_()) == {"text/plain", "text/html"}
