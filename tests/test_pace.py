"""How long a chapter is and what it says about its time."""

import json
from pathlib import Path

import notebooks
import pace
import pytest
import skeleton

ROOT = Path(__file__).resolve().parent.parent


def md(text: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(text: str, *marks: str) -> dict:
    return {"cell_type": "code", "metadata": {"tags": list(marks)}, "source": text}


def chapter(words: int, read: int, solve: int) -> dict:
    cells = [
        md(f"# Title\n\n{'word ' * (words - 9)}"),
        md(f"## Time\n\nTo read: {read} minutes. Exercises: {solve} minutes."),
    ]
    return {"cells": cells}


def test_words_are_those_that_somebody_reads():
    text = (
        "# One two\n\nThree [four five](a/path.ipynb), $x$ and\n\n$$ a = b $$\n\n| six | seven |\n|---|---|"
        "\n\n<details><summary>Eight</summary>\n\nnine ten\n\n</details>\n\n## References\n\n- Not this."
    )
    # the formula in the line counts, as x is read aloud; "and" counts; the formula set apart does not
    assert pace.words({"cells": [md(text), code("print('not this')")]}) == 12


def test_code_that_is_folded_is_not_followed():
    cells = [code("a = 1\n\nb = 2"), code("hidden()", "solution"), code("checked()", "check")]
    assert pace.lines({"cells": cells}) == 2


def test_minutes_grow_with_words_code_and_core_exercises():
    exercises = md("**Exercise 1 (core).** Do.\n\n**Exercise 2 (extra).** Do.")
    cells = [md("# T\n\n" + "word " * 1200), *[code("x = 1")] * 60, exercises]
    assert pace.minutes({"cells": cells}) == 10 + 2 + 8


@pytest.mark.parametrize(
    ("notebook", "fault"),
    [
        (chapter(3600, 30, 10), "3,600 words of at most 3,500"),
        (chapter(7440, 30, 10), "62 minutes of at most 60"),
        (chapter(1500, 50, 20), "states 50 + 20 minutes"),
        (chapter(3300, 5, 5), "states 5 + 5 minutes, and the text needs about 28"),
        ({"cells": [md("# T\n\n## Time\n\nAn hour.")]}, "does not say 'To read: N minutes'"),
    ],
)
def test_each_fault_is_seen(notebook, fault):
    assert any(fault in text for text in pace.faults(notebook)), pace.faults(notebook)


def test_a_chapter_within_its_limits_has_no_fault():
    assert pace.faults(chapter(3000, 25, 0)) == []


def test_a_part_states_the_times_of_its_chapters(tmp_path):
    page = tmp_path / "part.md"
    says = pace.stated(notebooks.read(ROOT / "chapters" / "blur.ipynb"))[0]
    page.write_text(f"| [Blur](../blur.ipynb) | fine detail | {says + 5} minutes |\n")
    assert notebooks.table_faults(page) == [
        f"blur states {says} minutes to read, and the table {says + 5}"
    ]


def test_every_question_of_a_part_has_its_answer_folded():
    for part in sorted((ROOT / "chapters" / "parts").glob("*.md")):
        quiz = part.read_text(encoding="utf-8").partition("Check yourself")[2]
        asked = quiz.count("\n**")
        assert asked >= 2, part.name
        assert quiz.count("<details><summary>Answer</summary>") == asked, part.name
        assert quiz.count("</details>") == asked, part.name


def test_every_chapter_is_counted():
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if path.stem not in skeleton.GUIDES:
            assert 1000 < pace.words(notebook) <= pace.MAX_WORDS, path.name
