"""Every exercise: nothing done and two plausible wrong answers fail its self-check, the solution
passes it."""

import json
import os
import runpy
from pathlib import Path

import nbformat
import pytest
import skeleton
from execute import execute

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
CHAPTERS = [
    path
    for path in sorted((ROOT / "chapters").glob("*.ipynb"))
    if path.stem not in skeleton.GUIDES - skeleton.TRIED_GUIDES
]


def attempts(notebook: Path, wrong: Path) -> list[dict]:
    """Return what came of the answers: as `make test` wrote it while it executed the chapters for
    the book, else by executing the chapter here."""
    if "MEDPRIV_ANSWERS" in os.environ:
        file = Path(os.environ["MEDPRIV_ANSWERS"]) / f"{notebook.stem}.json"
        return json.loads(file.read_text(encoding="utf-8"))["attempts"]
    return execute(notebook, runpy.run_path(str(wrong))["WRONG"], 600)[1]["attempts"]


def problems(tried: list[dict], asked: list[str], least: int = 3) -> list[str]:
    """Return what is wrong with the attempts, for a page that asks these exercises, of which
    it has at least `least`."""
    seen, found = {}, []
    for attempt in tried:
        name, kind, verdicts = attempt["exercise"], attempt["kind"], attempt["verdicts"]
        seen.setdefault(name, []).append(kind)
        if not verdicts or any(said != name for said, _ in verdicts):
            found.append(f"{name}, {kind}: the self-checks that ran are {verdicts}")
        elif all(passed for _, passed in verdicts) != (kind == "solution"):
            found.append(f"{name}, {kind}: {'passes' if kind != 'solution' else 'fails'}")
    wanted = ["wrong answer 1", "wrong answer 2", "unsolved", "solution"]
    found += [
        f"{name} was tried as {seen.get(name)}, not {wanted}"
        for name in asked
        if seen.get(name) != wanted
    ]
    if len(asked) < least:
        found.append(f"the exercises are {asked}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("notebook", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_exercises_tell_right_from_wrong(notebook):
    wrong = HERE / "wrong_answers" / f"{notebook.stem}.py"
    assert wrong.is_file(), (
        f"two wrong answers for each exercise of {notebook.name} belong into {wrong}"
    )
    tried = attempts(notebook, wrong)
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    asked = [
        cell["metadata"]["exercise"]
        for cell in cells
        if "exercise" in cell["metadata"].get("tags", [])
    ]
    found = problems(tried, asked, 2 if notebook.stem in skeleton.GUIDES else 3)
    assert not found, found


def small(tmp_path: Path, test: str, solution: str, wrong: list[str]) -> list[str]:
    """Write a chapter of one exercise, perform it, and return the problems but the one that it has
    only one."""
    cells = [
        ("from medpriv_lib.lessons.exercises import check\nlimit = 4", {}),
        ("def square(k):\n    return None", {"tags": ["exercise"], "exercise": "Exercise 1"}),
        (
            f"def check_1():\n    return check('Exercise 1', lambda: {test}, 'hint')\ncheck_1();",
            {"tags": ["check"], "exercise": "Exercise 1"},
        ),
        (f"{solution}\ncheck_1();", {"tags": ["solution"], "exercise": "Exercise 1"}),
        ("assert square(limit) == 16", {}),
    ]
    chapter = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source, metadata=data) for source, data in cells]
    )
    notebook = tmp_path / "small.ipynb"
    nbformat.write(chapter, notebook)
    shown, tried = execute(notebook, {"Exercise 1": wrong}, 60)
    assert [cell["source"] for cell in shown["cells"]] == [source for source, _ in cells]
    # the build finds what was executed by cells and their metadata
    assert [cell["metadata"] for cell in shown["cells"]] == [data for _, data in cells]
    assert [cell["execution_count"] for cell in shown["cells"]] == [1, 2, 3, 4, 5]
    assert shown["cells"][2]["outputs"][0]["text"].startswith("Exercise 1: ")
    found = problems(tried["attempts"], ["Exercise 1"])
    return [fault for fault in found if not fault.startswith("the exercises are")]


RIGHT = "def square(k):\n    return k * k"


def test_a_good_exercise_is_accepted_and_wrong_answers_leave_nothing_behind(tmp_path):
    assert (
        small(
            tmp_path,
            "square(limit) == 16",
            RIGHT,
            ["def square(k):\n    return 2 * k + 1", "limit = 5\ndef square(k):\n    return k"],
        )
        == []
    )


def test_a_check_that_accepts_a_wrong_answer_is_found(tmp_path):
    wrong = ["def square(k):\n    return 2 * k", "def square(k):\n    return k"]
    found = small(tmp_path, "square(2) == 4", RIGHT, wrong)
    assert found == ["Exercise 1, wrong answer 1: passes"]


def test_a_check_that_accepts_nothing_done_is_found(tmp_path):
    found = small(tmp_path, "square(4) in (16, None)", RIGHT, ["def square(k):\n    return 1"] * 2)
    assert found == ["Exercise 1, unsolved: passes"]


def test_a_solution_that_fails_is_found(tmp_path):
    found = small(tmp_path, "square(4) == 17", RIGHT, ["def square(k):\n    return 1"] * 2)
    assert found == ["Exercise 1, solution: fails"]


def test_a_missing_wrong_answer_is_found(tmp_path):
    found = small(tmp_path, "square(4) == 16", RIGHT, ["def square(k):\n    return 1"])
    assert len(found) == 1
    assert found[0].startswith("Exercise 1 was tried as ['wrong answer 1', 'unsolved', 'solution']")
