"""The tool that keeps the notebooks in shape: what it keeps is what nbval compares, and its check
sees each fault."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import notebooks
import pytest
import skeleton

ROOT = Path(__file__).resolve().parent.parent
SET_UP = (ROOT / "book" / "setup_cell.py").read_text()
FOLDED = "<details><summary>Answer</summary>\n\nThat.\n\n</details>"
QUIZ = "\n\n".join([f"What?\n\n{FOLDED}"] * 3)


def md(text: str) -> dict:
    return {
        "cell_type": "markdown",
        "id": f"m{abs(hash(text)) % 10**9}",
        "metadata": {},
        "source": text,
    }


def code(text: str, outputs=(), count=None, **metadata) -> dict:
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(text)) % 10**9}",
        "metadata": metadata,
        "execution_count": count,
        "outputs": list(outputs),
        "source": text,
    }


def stream(text, name="stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text}


def shown(data: dict) -> dict:
    return {"output_type": "display_data", "metadata": {}, "data": data}


def chapter() -> dict:
    """Return a notebook without a fault."""
    cells = [
        md("# Blur\n\nRead on.\n\n**So far.**\n\n- One.\n- Two.\n- Three."),
        code(SET_UP.strip("\n"), tags=["setup"]),
        md("## What you will learn\n\nThis."),
        md(
            "## Prerequisites\n\n| concept | how important | where |\n|---|---|---|\n| sums | very | school |"
        ),
        md("## Time\n\nTo read: 10 minutes. Exercises: 15 minutes."),
        md(f"## By hand\n\n*Core.*\n\n**Question.** Why?\n\n{FOLDED}"),
        md(f"## By the library\n\n*Extra.*\n\n**Question.** How?\n\n{FOLDED}"),
        code("Stepper(draw, {'k': [1]}, said)"),
    ]
    cells += [
        code(f"print({n})", [stream(f"{n}\n")], 1, tags=["nbval-check-output"]) for n in range(4)
    ]
    cells.append(md("## Exercises"))
    for n in (1, 2, 3):
        cells += [
            md(f"**Exercise {n} ({'extra' if n == 3 else 'core'}).** Square it."),
            code(
                f"def answer_{n}(x):\n    raise NotImplementedError  # your line",
                tags=["exercise"],
                exercise=f"Exercise {n}",
            ),
            code(
                f"def check_{n}():\n    return check(lambda: answer_{n}(3) == 9)\n\n\ncheck_{n}();",
                tags=["check"],
                exercise=f"Exercise {n}",
            ),
            code(
                f"# @title Solution: Exercise {n}\n"
                f"def answer_{n}(x):\n    return 1 + sum(2 * k + 1 for k in range(1, x))\n\n\ncheck_{n}();",
                tags=["solution", "hide-input"],
                exercise=f"Exercise {n}",
                cellView="form",
            ),
        ]
    cells += [
        md(f"## Quiz\n\n{QUIZ}"),
        md("## What this does not protect against\n\nIt."),
        md("## Summary\n\nThis."),
        md("## References\n\nhttps://doi.org/10.1/2"),
    ]
    return notebooks.cleaned({"cells": cells, "metadata": {}})


def faults(notebook: dict) -> list[str]:
    return skeleton.cell_faults(notebook, SET_UP) + skeleton.chapter_faults(notebook, "blur")


def test_a_chapter_as_it_should_be_has_no_fault():
    assert faults(chapter()) == []


def find(notebook: dict, text: str) -> dict:
    return next(cell for cell in notebook["cells"] if text in skeleton.source(cell))


def replace(old: str, new: str):
    def change(notebook):
        cell = find(notebook, old)
        cell["source"] = skeleton.source(cell).replace(old, new)

    return change


def drop(text: str):
    def change(notebook):
        notebook["cells"].remove(find(notebook, text))

    return change


def append(cell: dict):
    return lambda notebook: notebook["cells"].append(cell)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (replace("# Blur", "# 03 Blur"), "does not begin with"),
        (replace("\n\nRead on.", ""), "no paragraph that makes one read on"),
        (append(md("# Another")), "more than one heading of level 1"),
        (replace("## Time", "## Duration"), "level-2 headings are"),
        (drop("## Summary"), "level-2 headings are"),
        (drop("## By hand"), "level-2 headings are"),
        (replace("**Question.** Why?", "Why?"), "'By hand' has no paragraph"),
        (replace("|---|---|---|\n", ""), "no table"),
        (replace(QUIZ, "Nothing."), "0 answers"),
        (replace("https://doi.org/10.1/2", "A book."), "no DOI"),
        (drop("def answer_3(x):\n    raise"), "exercise cells are"),
        (replace("\n- Two.", ""), "does not end with **So far.** and a list of three lines"),
        (replace("- Three.", "- Three.\n- Four."), "a list of three lines"),
        (replace("*Core.*", "Core."), "'By hand' does not say below its heading whether it is"),
        (replace(f"Why?\n\n{FOLDED}", "Why? (So.)"), "'By hand' has a **Question.** whose answer"),
        (replace("Exercise 2 (core)", "Exercise 2"), "'**Exercise 2 (core).**' or '(extra)'"),
        (
            replace("    raise NotImplementedError  # your line", "    return None"),
            "function of Exercise 1 does not begin as",
        ),
        (
            replace("answer_1(3) == 9", "1 + sum(2 * i + 1 for i in range(1, n)) == answer_1(n)"),
            "check of Exercise 1 holds a part of its solution",
        ),
        (
            replace("# @title Solution: Exercise 2", "# Solution"),
            "does not begin with '# @title Solution: Exercise 2'",
        ),
        (
            lambda n: find(n, "Solution: Exercise 1")["metadata"].update(tags=["solution"]),
            "solution of Exercise 1 is not hidden",
        ),
        (
            lambda n: find(n, "check_1")["metadata"]["tags"].append("nbval-check-output"),
            "cell of Exercise 1 is compared",
        ),
        (drop("print(2)"), "3 cells are compared"),
        (drop("Stepper("), "no Stepper"),
        (replace("import sys", "import sys "), "first code cell is not"),
        (append(code("\n".join(["x = 1"] * 16))), "16 lines"),
        (
            append(code("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.imshow(eye)")),
            "no alternative text",
        ),
        (append(code("print(1)", tags=["nbval-check-output"])), "no output to compare"),
        (append(md(":::{note}\nx\n:::")), "is MyST"),
        (append(md("See {doc}`blur`.")), "is MyST"),
    ],
)
def test_each_fault_is_seen(change, fault):
    notebook = chapter()
    change(notebook)
    assert any(fault in text for text in faults(notebook)), faults(notebook)


def test_headings_in_code_are_no_headings():
    notebook = {"cells": [md("# One\n\n```\n# no\n```\n## Two"), code("# no")]}
    assert [(level, text) for level, text, _ in skeleton.headings(notebook)] == [
        (1, "One"),
        (2, "Two"),
    ]


@pytest.mark.parametrize(
    ("text", "draws"),
    [
        ("fig, ax = plt.subplots()", True),
        ("display(Image('x.png'))", True),
        ("ax.imshow(eye)", True),
        ("def draw(k):\n    fig, ax = plt.subplots()\n    return fig", False),
        ("Stepper(lambda k: plt.figure(), {}, f)", False),
        ("print(1)", False),
        ("!ls\nplt.show()", True),
    ],
)
def test_cells_that_draw_are_told_from_others(text, draws):
    assert skeleton.draws(text) is draws


def test_clean_keeps_only_what_is_compared():
    dirty = {
        "cells": [
            code(
                "plot()",
                [shown({"image/png": "AAAA", "text/plain": "<Figure>"})],
                7,
                trusted=True,
                tags=["x"],
            ),
            code(
                "both()",
                [
                    stream(["1\n", "2\n"]),
                    shown({"image/png": "AAAA", "text/plain": "<Figure>"}),
                    stream("3\n"),
                ],
                9,
                tags=["nbval-check-output"],
            ),
        ],
        "metadata": {"widgets": {"state": {}}, "kernelspec": {"name": "mine"}},
    }
    before = copy.deepcopy(dirty)
    clean = notebooks.cleaned(dirty)
    assert dirty == before
    assert clean["cells"][0] == code("plot()", tags=["x"]) | {"source": ["plot()"]}
    assert clean["cells"][1]["execution_count"] == 1
    assert clean["cells"][1]["outputs"] == [
        stream(["1\n", "2\n", "3\n"]),
        shown({"text/plain": "<Figure>"}),
    ]
    assert clean["metadata"] == notebooks.NOTEBOOK_METADATA
    assert notebooks.cleaned(clean) == clean
    assert "AAAA" not in notebooks.text_of(clean)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (stream("12 %|##", "stderr"), "stderr"),
        (shown({"text/html": "<b>", "text/plain": "b"}), "text/html"),
        (shown({"text/plain": "<object at 0x7f1b68076200>"}), "0x7f1b68"),
        (stream("saved /tmp/x.png\n"), "/tmp/x.png"),
    ],
)
def test_output_that_cannot_be_compared_is_named(output, why):
    assert why in " ".join(notebooks.incomparable(code("f()", [output])))


def test_plain_output_and_pictures_can_be_compared():
    plain = code("f()", [stream("1\n"), shown({"image/png": "AA", "text/plain": "<Figure>"})])
    assert notebooks.incomparable(plain) == []


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """Make a small course of one chapter, and point the tool at it."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book" / "setup_cell.py", tmp_path / "book")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    notebooks.write(tmp_path / "chapters" / "blur.ipynb", chapter())
    for name, path in (("ROOT", "."), ("SETUP", "book/setup_cell.py"), ("CONFIG", "_config.yml")):
        monkeypatch.setattr(notebooks, name, tmp_path / path)
    return tmp_path


def test_check_and_clean_from_the_command(course, capsys):
    path = course / "chapters" / "blur.ipynb"
    assert notebooks.main(["check"]) == 0
    notebook = notebooks.read(path)
    notebook["cells"][7]["outputs"] = [stream("left over\n")]
    path.write_text(notebooks.text_of(notebook))
    assert notebooks.main(["check"]) == 1
    assert "holds more than the compared outputs" in capsys.readouterr().out
    assert notebooks.main(["clean", "blur"]) == 0
    assert notebooks.main(["check"]) == 0


def test_set_repository_changes_all_places(course):
    path = course / "chapters" / "blur.ipynb"
    plain = notebooks.read(path)
    plain["cells"].pop(1)
    (course / "chapters" / "bring.ipynb").write_text(notebooks.text_of(plain))
    notebooks.main(
        ["set-repository", "https://github.com/some-clinic/our.course.git", "--branch", "v2"]
    )
    assert notebooks.repository() == ("https://github.com/some-clinic/our.course", "v2")
    line = 'REPOSITORY, BRANCH = "https://github.com/some-clinic/our.course", "v2"\n'
    setup = (course / "book/setup_cell.py").read_text()
    assert line in setup
    for file in (path, course / "chapters" / "bring.ipynb"):
        assert skeleton.source(skeleton.code_cells(notebooks.read(file))[0]) == setup.strip("\n")
    assert notebooks.check([path]) == []


@pytest.mark.parametrize(
    ("url", "branch"),
    [
        ("http://github.com/a/b", "main"),
        ("https://example.org/a/b", "main"),
        ("https://github.com/a", "main"),
        ("https://github.com/a/b", "x; rm y"),
        ('https://github.com/a/b"', "main"),
    ],
)
def test_what_colab_cannot_open_is_refused_before_a_file_changes(course, url, branch):
    before = (course / "_config.yml").read_text()
    with pytest.raises(ValueError, match="Colab needs"):
        notebooks.set_repository(url, branch, [])
    assert (course / "_config.yml").read_text() == before


def test_check_sees_a_set_up_cell_for_another_repository(course):
    setup = course / "book/setup_cell.py"
    setup.write_text(setup.read_text().replace("github.com/", "github.com/other-"))
    assert any("not the repository of _config.yml" in text for text in notebooks.check([]))


def test_set_up_cell_does_nothing_here(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", SET_UP + "\nassert 'source' not in globals()"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "", "MEDPRIV_SOURCE": "/nowhere"},
    )
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir()) == []


def test_all_notebooks_of_the_course_are_as_they_should_be():
    assert notebooks.check(sorted((ROOT / "chapters").glob("*.ipynb"))) == []


@pytest.mark.slow
def test_nbval_compares_what_record_stores_and_sees_a_changed_number(course):
    path = course / "chapters" / "blur.ipynb"
    cells = [
        md("# Small"),
        code(SET_UP.strip("\n"), tags=["setup"]),
        code("import matplotlib.pyplot as plt\nvalue = 41"),
        code(
            "print(value + 1)\nplt.plot([1])\nplt.show()\nprint('end')", tags=["nbval-check-output"]
        ),
        code("value", tags=["nbval-check-output"]),
    ]
    notebooks.write(path, notebooks.cleaned({"cells": cells, "metadata": {}}))
    assert notebooks.record(path) == 2
    stored = path.read_text()
    assert "image/png" not in stored
    assert json.loads(stored)["cells"][3]["outputs"][0]["text"] == ["42\n", "end\n"]
    assert _nbval(path) == 0
    path.write_text(stored.replace("value = 41", "value = 40"))
    assert _nbval(path) == 1


def _nbval(path: Path) -> int:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "-q",
        "-p",
        "no:cacheprovider",
        path,
    ]
    return subprocess.run(command, cwd=path.parent, capture_output=True, timeout=300).returncode


def test_record_refuses_a_cell_that_prints_nothing(course):
    path = course / "chapters" / "blur.ipynb"
    notebooks.write(
        path,
        notebooks.cleaned({"cells": [code("x = 1", tags=["nbval-check-output"])], "metadata": {}}),
    )
    with pytest.raises(ValueError, match="prints nothing"):
        notebooks.record(path)
