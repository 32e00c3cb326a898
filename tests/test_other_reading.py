"""The viewer's image with the other reading: what is told of it, and how it is drawn."""

import numpy as np
import pytest

import medpriv_lib as mp
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.explanation.case import Explanation
from medpriv_lib.explanation.other_reading import OtherReading, other_readings
from medpriv_lib.explanation.page import page_of, signed
from medpriv_lib.pipeline.explain import _by_medical_vector
from medpriv_lib.privatizers.protocol import Resources

CLASSES = ("no disease", "disease")
IMAGE = np.full((16, 16), 100, np.uint8)


def brighter(images, wanted, generator):
    made = images.copy()
    made[:, :4, :4] += 50
    return made


def other(reading, expert, wanted=0):
    return OtherReading("Signs removed", wanted, IMAGE, IMAGE + 1, reading, expert)


@pytest.mark.parametrize(
    ("reading", "expert", "says", "silent"),
    [
        (0, (1, 0), "and this picture as \u201cno disease\u201d.", "convinces"),
        (0, (1, 1), "the change convinces the recogniser alone", "rests on more"),
        (1, (1, 0), "its reading rests on more than what was changed", "convinces"),
        (0, None, "reads this picture as \u201cno disease\u201d.", "second judge"),
    ],
)
def test_a_caption_tells_both_judges_apart(reading, expert, says, silent):
    caption = other(reading, expert).caption(CLASSES)
    assert says in caption
    assert silent not in caption


def read(images):
    """Read an image as ill where its upper left corner is dark."""
    return (images[:, 0, 0] < 120).astype(int)


def test_every_way_is_tried_and_a_reason_is_kept():
    seen = []

    def wants(images, wanted, generator):
        seen.append(wanted.tolist())
        return brighter(images, wanted, generator)

    ways = {"a": wants, "b": NotApplicable("no weights")}
    first, second = other_readings(IMAGE, 1, read, ways, seeded(0))
    assert seen == [[False]]
    assert first.reading == first.wanted == 0
    assert first.expert is None
    assert (first.difference[:4, :4] == 50).all()
    assert first.difference.sum() == 16 * 50
    assert second.caption(CLASSES) == "b: not possible. no weights."
    assert not second.difference.any()


def test_the_page_shows_picture_and_change():
    blank = np.zeros((0, 16, 16), np.uint8)
    told = np.zeros(0)
    one = OtherReading("Signs removed", 0, IMAGE, brighter(IMAGE[None], None, None)[0], 0, (1, 0))
    explanation = Explanation(
        *(IMAGE, IMAGE * 0.0, 1, 0.9, blank, blank * 0.0, told.astype(int), told),
        *(told.astype(bool), "blur", 3, CLASSES, "", (one,)),
    )
    page = page_of(explanation)
    assert "The same image as \u201cno disease\u201d" in page
    assert "16 of 256 pixels by more than 10 grey levels; most, 100 %, in the upper left" in page
    assert page.count("data:image/png") == 4


def test_a_change_is_white_where_there_is_none():
    picture = signed(np.array([[0.0, 100.0, -100.0, 8.0]]))
    assert picture[0].tolist() == [[255, 255, 255], [255, 140, 0], [0, 90, 200], [255, 241, 223]]


@pytest.mark.slow
def test_a_drawn_eye_is_shown_with_the_other_reading():
    cohort = mp.default_cohort()
    test = cohort.of("test")
    row = int(np.argmax((test.evidence & test.diseased[:, None, None]).sum((1, 2))))
    found = mp.explain(test.images[row], cohort, "blur", cases=1, counterfactual=True)
    signs, medical = found.others
    assert found.decision == 1
    assert signs.expert == (1, 0)
    change, mask = np.abs(signs.difference) > 10, test.evidence[row]
    assert change[mask].mean() > 5 * change[~mask].mean()
    assert not medical.reason
    assert medical.wanted == 0
    assert np.abs(medical.difference).max() > 10  # how far it can be trusted is measured elsewhere


def test_without_disentangled_weights_the_medical_vector_is_refused_with_the_remedy(tmp_path):
    way = _by_medical_vector(Resources(mp.default_cohort(), tmp_path))
    assert isinstance(way, NotApplicable)
    assert "there are no disentangled weights of this cohort" in str(way)
    assert "data_scripts/train_disentangled.py" in str(way)
