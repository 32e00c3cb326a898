"""README's first example: the five lines run as they stand, and are those of the library."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

import medpriv_lib

README = Path(__file__).parents[1] / "README.md"


def first_block(text):
    """The first indented block: lines that begin with four blanks, and the empty ones between."""
    found = re.search(r"(?:^ {4}.*\n|^\n(?= {4}))+", text, re.MULTILINE)
    return dedent(found[0]).strip()


def test_readme_and_the_library_show_the_same_lines():
    assert first_block(README.read_text()) == first_block(medpriv_lib.__doc__)


@pytest.mark.slow
def test_readme_s_first_example_says_a_verdict(capsys):
    names = {}
    exec(first_block(README.read_text()), names)  # noqa: S102 - our own lines
    said = capsys.readouterr().out
    assert "The best naming attack" in said
    assert "The best linking attack" in said
    named = float(re.search(r"first for ([\d.]+) %", said)[1])
    assert named > 85  # a blur of 9 pixels hides nobody: undone without a network it leaves 89
    assert "<img" in names["report"]._repr_html_()  # a notebook shows the worst case
