"""A control that moves through pictures: live where a kernel is, precomputed where only a page is
left.
"""

import hashlib
import html
import io
import itertools
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from medpriv_lib.lessons import stepper_html
from medpriv_lib.lessons.encoding import as_pixels, encode, png

if TYPE_CHECKING:
    import ipywidgets

MAX_FRAMES = 20
MAX_BYTES = 600_000
SMALL = 320  # pixels; narrower pictures are shown enlarged by a whole factor, to about this width
_shown = itertools.count(1)


class Frame(NamedTuple):
    """One precomputed picture: the controls' `values`, the encoded `image`, its `media` type, and
    the `caption`.
    """

    values: dict
    image: bytes
    media: str
    caption: str

    def pixels(self) -> UInt8[np.ndarray, "h w 3"]:
        """Return the picture as the page shows it."""
        return np.asarray(Image.open(io.BytesIO(self.image)).convert("RGB"))


class Stepper:
    """A picture that one or two controls change. It has two lives in one object.

    Where a kernel with ipywidgets is (JupyterLab, Colab), the controls call `draw` each time they
    move. In the built book the same controls move through frames drawn beforehand, by mouse,
    keyboard or touch, without kernel or network.

    `levels` maps each of one or two controls to its values. Numbers make a slider; where a value is
    a word, the control is a row of buttons. `draw(**values)` returns uint8 pixels,
    (H, W) grey or (H, W, 3) colour, or a matplotlib figure, the same size for all values.
    `describe(**values)` returns the caption, which is also what a screen reader says: what is seen,
    and the number that matters.

        Stepper(lambda kernel: blur(eye, kernel), {"kernel": [3, 9, 15]},
                lambda kernel: f"Blurred with {kernel}.")

    Raises `ValueError` for no or more than two controls, a repeated or missing level, more than 20
    frames (before any is drawn), frames of odd shape, type or differing size, an empty caption, and
    for more than 600 kB. What `draw` and `describe` raise comes through.
    """

    def __init__(
        self,
        draw: Callable,
        levels: dict[str, Sequence],
        describe: Callable[..., str],
        title: str = "",
    ) -> None:
        """Draw all frames; a page of a book needs them, and a wrong one is better seen here.
        MEDPRIV_WIDGETS=first (set where a chapter's numbers are compared) draws the first alone.
        """
        self.levels = {name: list(values) for name, values in levels.items()}
        _refuse_levels(self.levels)
        self.draw, self.describe = draw, describe
        self.title = title or "A picture to step through"
        self.frames, self._size = self._draw_all()

    def _draw_all(self) -> tuple[list[Frame], tuple[int, int]]:
        frames: list[Frame] = []
        sizes: set[tuple[int, ...]] = set()
        last = 1 if _first_alone() else None
        for combination in itertools.islice(itertools.product(*self.levels.values()), last):
            values = dict(zip(self.levels, combination, strict=True))
            pixels, caption = self._picture(values)
            sizes.add(pixels.shape[:2])
            if len(sizes) > 1:
                raise ValueError(
                    f"the picture for {values} is {_as_size(pixels.shape)} pixels, those before it "
                    f"{_as_size(frames[0].pixels().shape)}; draw all at one size, or the page jumps"
                )
            frames.append(Frame(values, *encode(pixels), caption))
        total = sum(len(stepper_html.data_uri(frame.image, frame.media)) for frame in frames)
        if total > MAX_BYTES:
            raise ValueError(
                f"the {len(frames)} pictures of {_as_size(pixels.shape)} pixels take "
                f"{total / 1000:.0f} kB on the page, and {MAX_BYTES // 1000} is the limit; draw "
                "them smaller, with fewer colours or levels"
            )
        return frames, (pixels.shape[1], pixels.shape[0])

    def _picture(self, values: dict) -> tuple[np.ndarray, str]:
        """Call the two functions; return pixels (H, W) or (H, W, 3) and the caption."""
        pixels, caption = as_pixels(self.draw(**values)), self.describe(**values)
        if not isinstance(caption, str) or not caption.strip():
            raise ValueError(
                f"describe returned {caption!r} for {values}; it is the caption and must say what "
                "is seen"
            )
        return pixels, " ".join(caption.split())

    @property
    def names(self) -> dict[str, list[str]]:
        """The controls as a reader sees them: each label, and what its levels are called."""
        return {
            name.replace("_", " "): [_label(value) for value in values]
            for name, values in self.levels.items()
        }

    @property
    def named(self) -> set[str]:
        """The labels of the controls whose levels are words, as a reader sees them."""
        return {
            name.replace("_", " ")
            for name, values in self.levels.items()
            if any(isinstance(value, str) for value in values)
        }

    def html(self) -> str:
        """Return the page's life: one figure, with all it needs inside. Its id is another one each
        time.
        """
        digest = hashlib.sha256(b"".join(frame.image for frame in self.frames)).hexdigest()[:8]
        pictures = [stepper_html.data_uri(frame.image, frame.media) for frame in self.frames]
        captions = [frame.caption for frame in self.frames]
        return stepper_html.page(
            f"stepper-{digest}-{next(_shown)}",
            self.title,
            self.names,
            pictures,
            captions,
            self._size,
            self._shown_width(),
            self.named,
        )

    def live(self) -> "ipywidgets.VBox":
        """Return the kernel's life, an `ipywidgets.VBox` of the title, each control, the picture,
        the caption.

        A control calls `draw` and `describe` each time it moves. Raises `ImportError` where
        ipywidgets is not installed.
        """
        import ipywidgets

        controls = {
            name: self._control(shown, list(zip(labels, self.levels[name], strict=True)))
            for name, (shown, labels) in zip(self.levels, self.names.items(), strict=True)
        }
        layout = ipywidgets.Layout(width=f"{self._shown_width()}px", max_width="100%")
        picture = ipywidgets.Image(format="png", layout=layout)
        caption = ipywidgets.HTML()

        def show(_: object = None) -> None:
            pixels, text = self._picture({name: one.value for name, one in controls.items()})
            caption.value = html.escape(text)  # a Label would cut it at the width of the page
            picture.value = png(Image.fromarray(pixels))

        for control in controls.values():
            control.observe(show, names="value")
        show()
        return ipywidgets.VBox([ipywidgets.Label(self.title), *controls.values(), picture, caption])

    def _control(self, shown: str, options: list[tuple[str, Any]]) -> Any:
        """Return a control's widget: buttons where its levels are words, a slider otherwise."""
        import ipywidgets

        style = {"description_width": "initial"}
        if shown in self.named:
            style["button_width"] = "auto"
            return ipywidgets.ToggleButtons(options=options, description=shown, style=style)
        return ipywidgets.SelectionSlider(
            options=options, description=shown, continuous_update=False, style=style
        )

    def _shown_width(self) -> int:
        return self._size[0] * max(1, SMALL // self._size[0])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict:
        """Return both lives; a page takes the HTML, a frontend with ipywidgets the live view."""
        bundle: dict[str, Any] = {"text/plain": repr(self)}
        if _first_alone():
            return bundle
        bundle["text/html"] = self.html()
        if _live_frontend():
            bundle["application/vnd.jupyter.widget-view+json"] = {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.live().model_id,
            }
        return bundle

    def __repr__(self) -> str:
        """Return the title and what can be moved, as text."""
        controls = ", ".join(f"{name}: {', '.join(labels)}" for name, labels in self.names.items())
        return f"{self.title} ({controls})"


def _refuse_levels(levels: dict[str, list]) -> None:
    if len(levels) not in (1, 2):
        raise ValueError(f"a stepper has one or two controls, not {len(levels)}")
    for name, values in levels.items():
        labels = [_label(value) for value in values]
        if not values or len(set(labels)) < len(labels):
            raise ValueError(
                f"the levels of {name} are {labels}; give at least one, and none twice"
            )
    count = math.prod(map(len, levels.values()))
    if count > MAX_FRAMES:
        raise ValueError(
            f"{' x '.join(str(len(v)) for v in levels.values())} levels make {count} pictures, "
            f"and {MAX_FRAMES} is the limit of a page; leave out levels"
        )


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _as_size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _first_alone() -> bool:
    return os.environ.get("MEDPRIV_WIDGETS") == "first"


def _live_frontend() -> bool:
    """Say whether a kernel with ipywidgets shows this; MEDPRIV_WIDGETS=frames (set while the book
    is built) says no.
    """
    if os.environ.get("MEDPRIV_WIDGETS") == "frames" or "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    if getattr(shell, "kernel", None) is None:
        return False
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return False
    return True
