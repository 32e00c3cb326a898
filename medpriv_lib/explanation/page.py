"""An explanation as one HTML page: no request leaves it, it reads aloud, in the dark, and on
paper.
"""

import html
import os

import numpy as np
from jaxtyping import Float, UInt8

from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.html_page import html_page, inline_image, scaling_of, width_of
from medpriv_lib.core.palette import COOL, HEAT, channels
from medpriv_lib.explanation.case import Explanation
from medpriv_lib.explanation.other_reading import OtherReading

ORANGE, BLUE = (np.array(channels(colour), float) for colour in (HEAT, COOL))
FULL, SEEN = 64.0, 10.0  # grey levels of a change drawn in full colour, and of one that is counted
WARNING = (
    "The image to explain is shown as it is; only the earlier cases are privatised. Whoever passes "
    "this page on passes that image on."
)
LEGEND = """Orange marks the pixels that a reading rests on, the stronger the more (Deep Taylor
relevance). It shows where the recogniser looked, not that it is right, and it changes little when
the other answer is asked for. Similarity is 1 for the same to the recogniser and 0 for the middle
case on file with the same reading. This page is no diagnosis."""
OTHERWISE = """What would have to be different for the other reading? Each picture was computed from
the image above: no such image was ever taken. Beside it is what was changed: orange is
brighter than before, blue darker. Nobody can say whether it is what would have been seen; where the
truth is known, such pictures flip an independent judge often and not always. They show the same
patient, so pass them on as little as the image itself."""
NO_MAP = " No relevance could be drawn: the score of this reading is not above zero."
PALE = "opacity:.25"  # of a map without relevance: the image as it is would pass for a map
STYLE = """
.cases { display: grid; gap: 1rem; margin-bottom: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; padding: .75rem; border: 1px solid var(--line); border-radius: .4rem; }
main > figure { width: fit-content; max-width: 100%; margin: 1rem 0; }
figure div { display: flex; gap: .5rem; } figcaption { margin-top: .5rem; font-size: .9rem; }
img, .blank { max-width: calc(50% - .25rem); height: auto; aspect-ratio: 1; }
.caution { border-left: .25rem solid var(--mark); padding-left: .75rem; }
figure .blank { display: grid; place-items: center; border: 1px dashed var(--line);
  color: var(--soft); }
@media print { .cases { grid-template-columns: repeat(3, 1fr); gap: .4rem; margin-bottom: .4rem; }
  figure { padding: .3rem; } main > figure { margin: .4rem 0; } img, .blank { width: 27mm; }
  figcaption { font-size: 8.5pt; }
  img { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def page_of(explanation: Explanation) -> str:
    """Return the page: the query, the privatised cases, their relevance maps and captions, all
    inline.

    It holds what `Explanation` holds: no patient, no file name. Its own policy forbids the browser
    every request.
    """
    e = explanation
    reading = e.classes[e.decision]
    query = _figure(
        _pictures(e.query, e.query_map, f"The image to explain, read as {reading}.", "the image"),
        f"The image to explain, and what its reading rests on.{_lack(e.query_map)}",
    )
    cases = []
    for i, (case, relevance) in enumerate(zip(e.cases, e.case_maps, strict=True)):
        caption = e.case_caption(i)
        if e.held_back[i]:
            pictures = '<div class="blank" role="img" aria-label="Held back">held back</div>'
        else:
            alt = (
                f"Similar case {i + 1}, privatised, read as {e.classes[int(e.case_decisions[i])]}."
            )
            pictures = _pictures(case, relevance, alt, f"case {i + 1}")
            caption += _lack(relevance)
        cases.append(_figure(pictures, caption))
    caution = (
        f'<p class="caution"><strong>{html.escape(e.caution)}</strong></p>' if e.caution else ""
    )
    title = f"Why this image is read as \u201c{reading}\u201d"
    return html_page(
        title,
        f"""<h1>{html.escape(title)}</h1>
{caution}<p>{html.escape(e.caption)}</p>
{query}
<h2>The most similar earlier cases</h2>
<div class="cases">
{"".join(cases)}</div>
{_others(e)}<p class="soft">{LEGEND}</p>
<p class="soft">{WARNING}</p>""",
        STYLE + _sized(e.query.shape[1]),
    )


def write_page(explanation: Explanation, path: str | os.PathLike) -> None:
    """Write the page of an explanation as one self-contained file, atomically.

    Raises `FileNotFoundError` where the folder of `path` does not exist.
    """
    page = page_of(explanation)
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def overlay(
    image: UInt8[np.ndarray, "h w"], relevance: Float[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the image in grey with relevance in orange: opaque at the 99th percentile, nothing
    where it is <= 0; colours (H, W, 3) become grey first, so that orange means one thing.
    """
    image = image if image.ndim == 2 else image.mean(axis=2)
    positive = np.maximum(relevance, 0).astype(np.float64)
    top = np.quantile(positive, 0.99) or positive.max()
    weight = np.clip(positive / top, 0, 1)[..., None] if top > 0 else np.zeros((*image.shape, 1))
    return ((1 - weight) * image[..., None] + weight * ORANGE).round().astype(np.uint8)


def whereabouts(relevance: Float[np.ndarray, "h w"]) -> str:
    """Say in words in which ninth of the image most relevance lies, for those who cannot see the
    map.
    """
    positive = np.maximum(relevance, 0)
    if positive.sum() <= 0:
        return "nowhere: no relevance could be drawn"
    sums = [
        [part.sum() for part in np.array_split(band, 3, axis=1)]
        for band in np.array_split(positive, 3, axis=0)
    ]
    row, column = np.unravel_index(np.argmax(sums), (3, 3))
    place = " ".join(w for w in (("upper", "", "lower")[row], ("left", "", "right")[column]) if w)
    share = 100 * float(np.max(sums) / positive.sum())
    return f"most, {share:.0f} %, in the {place + ' part' if place else 'middle'}"


def signed(difference: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return a change in grey levels as a picture: orange brighter, blue darker, white nothing."""
    weight = np.clip(np.abs(difference) / FULL, 0, 1)[..., None].astype(np.float64)
    colour = np.where(difference[..., None] > 0, ORANGE, BLUE)
    return np.rint(255 * (1 - weight) + weight * colour).astype(np.uint8)


def _sized(size: int) -> str:
    """Return the rules for images of `size` pixels; on paper `STYLE` says how wide they are."""
    width = width_of(size)
    return (
        f"img {{ image-rendering: {scaling_of(size)}; }}\n"
        f"@media screen {{ img, .blank {{ width: {width}px; }}\n"
        f"  main > figure figcaption {{ max-width: calc({2 * width}px + .5rem); }} }}\n"
    )


def _others(e: Explanation) -> str:
    """Return the part about the other reading, "" where it was not asked for."""
    if not e.others:
        return ""
    figures = "".join(_otherwise(one, e.classes) for one in e.others)
    heading = f"The same image as \u201c{e.classes[e.others[0].wanted]}\u201d"
    return (
        f"<h2>{html.escape(heading)}</h2>\n<p>{OTHERWISE}</p>\n"
        f'<div class="cases">\n{figures}</div>\n'
    )


def _otherwise(one: OtherReading, classes: tuple[str, ...]) -> str:
    if one.image is None:
        blank = '<div class="blank" role="img" aria-label="Not possible">not possible</div>'
        return _figure(blank, one.caption(classes))
    change = np.abs(one.difference)
    count, place = int((change > SEEN).sum()), whereabouts(np.where(change > SEEN, change, 0))
    text = f"What was changed: {count} of {change.size} pixels by more than {SEEN:.0f} grey levels"
    text += f"; {place}." if count else "."
    pictures = inline_image(one.image, f"{one.way}, read as {classes[one.reading]}.")
    return _figure(
        f"<div>{pictures}{inline_image(signed(one.difference), text)}</div>", one.caption(classes)
    )


def _lack(relevance: np.ndarray) -> str:
    return "" if (relevance > 0).any() else NO_MAP


def _pictures(image: np.ndarray, relevance: np.ndarray, alt: str, what: str) -> str:
    text = f"Relevance map of {what}: {whereabouts(relevance)}."
    pale = "" if (relevance > 0).any() else PALE
    beside = inline_image(overlay(image, relevance), text, pale)
    return f"<div>{inline_image(image, alt)}{beside}</div>"


def _figure(pictures: str, caption: str) -> str:
    return f"<figure>{pictures}<figcaption>{html.escape(caption)}</figcaption></figure>\n"
