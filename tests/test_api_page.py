"""The API page: every room is on it, and plain docstrings become what Sphinx reads."""

import re
from pathlib import Path

import api

ROOT = Path(__file__).resolve().parent.parent


def test_every_room_has_its_place():
    page = (ROOT / "chapters" / "api.md").read_text()
    rooms = {path.parent.name for path in (ROOT / "medpriv_lib").glob("*/__init__.py")}
    assert set(re.findall(r"^```\{room\} (\w+)$", page, re.M)) == rooms
    assert set(re.findall(r"^## ([a-z]+)$", page, re.M)) == rooms
    assert "```{offered}" in page


def test_code_is_marked_and_nothing_else_is():
    assert (
        api.escaped("Call `f(*a)` with 2 * 3 or a_b.") == r"Call \ ``f(*a)``\  with 2 \* 3 or a\_b."
    )
    assert api.escaped("`x` alone") == "``x``\\  alone"


def test_paragraphs_examples_and_lists_are_told_apart():
    given = ["One line", "that goes on.", "", "    run(1)", "      more", "", "- first", "- second"]
    assert api.plain(given) == [
        "One line that goes on.", "",
        "::", "", "   run(1)", "     more", "",
        "- first", "- second", "",
    ]  # fmt: skip


def test_signatures_are_those_of_the_source():
    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.core.pixels import to_uint8

    assert api.signature(to_uint8) == ("(tensor: Float[Tensor, 'n c h w'])", "Images")
    assert api.signature(Cohort.of) == ("(split: str)", "'Cohort'")
    text, returned = api.signature(Cohort)
    assert text.startswith("(images: UInt8[np.ndarray, 'n h w'], patient: Int64[np.ndarray, ' n'],")
    assert "name: str = ..." in text
    assert returned is None
    assert api.signature(len) is None
