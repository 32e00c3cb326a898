"""README's first example: the five lines run, and are those of the library."""

import inspect
import re
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

import medpriv_lib
from medpriv_lib.attacks.budget import FULL

README = Path(__file__).parents[1] / "README.md"


def first_block(text):
    """The first indented block: lines that begin with four blanks, and the empty ones between."""
    found = re.search(r"(?:^ {4}.*\n|^\n(?= {4}))+", text, re.MULTILINE)
    return dedent(found[0]).strip()


def test_readme_and_the_library_show_the_same_lines():
    assert first_block(README.read_text()) == first_block(medpriv_lib.__doc__)


def test_the_example_spends_what_the_study_spends():
    assert inspect.signature(medpriv_lib.attack).parameters["budget"].default is FULL


@pytest.mark.slow
def test_readme_s_first_example_says_a_verdict(capsys):
    """The lines as they stand, but for a quarter of the attackers' steps on batches of a quarter;
    the networks of originals are those that ship."""
    lines, call = first_block(README.read_text()), "mp.attack(release, cohort)"
    assert lines.count(call) == 1
    names = {"spent": replace(FULL.part(4), originals=FULL.originals)}
    exec(lines.replace(call, "mp.attack(release, cohort, budget=spent)"), names)  # noqa: S102 - our own lines
    said = capsys.readouterr().out
    assert "The best naming attack" in said
    assert "The best linking attack" in said
    named = float(re.search(r"first for ([\d.]+) %", said)[1])
    assert named > 85  # a blur of 9 pixels hides nobody: undone without a network it leaves 89
    assert "<img" in names["report"]._repr_html_()  # a notebook shows the worst case
