"""The outputs stored in the notebooks mean something: a changed library makes the comparison fail.

That they also hold on another processor is shown elsewhere: `make test` compares them under AVX2,
and the test here compares them with what was executed for the book, on all that the processor has
and with answers tried at each exercise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mutate
import nbformat
import pytest
import skeleton
from changing import Change, changed
from execute import execute

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = {
    path.stem: path
    for path in sorted((ROOT / "chapters").glob("*.ipynb"))
    if path.stem not in skeleton.GUIDES - skeleton.TRIED_GUIDES
}
COMPARED = "nbval-check-output"


def compare(notebook: Path, python_path: Path, words: str) -> str:
    """Return what nbval says of a chapter when the library comes from `python_path`, until it says
    these words."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "-p",
        "no:cacheprovider",
        "-p",
        "until_noticed",
        notebook,
    ]
    path = os.pathsep.join([str(python_path), str(Path(__file__).parent)])
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path, "UNTIL_NOTICED": words},
        text=True,
        capture_output=True,
        timeout=600,
    )
    assert result.returncode in (0, 1, 2), result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout


def seen(change: Change, folder: Path) -> dict[str, str]:
    """Return what the last of a change's cells says, without the change and with it: as `make test`
    wrote it while it executed the chapters for the book, else by executing the chapter here as far
    as that cell."""
    if "MEDPRIV_ANSWERS" in os.environ:
        file = Path(os.environ["MEDPRIV_ANSWERS"]) / f"{change.chapter}.json"
        noticed = json.loads(file.read_text(encoding="utf-8"))["noticed"]
    else:
        chapter = nbformat.read(CHAPTERS[change.chapter], nbformat.NO_CONVERT)
        chapter.cells = chapter.cells[: change.places(sources(chapter))[-1] + 1]
        (folder / "results").symlink_to(ROOT / "chapters" / "results")
        nbformat.write(chapter, folder / f"{change.chapter}.ipynb")
        _, tried = execute(folder / f"{change.chapter}.ipynb", {}, 600, (change,))
        noticed = tried["noticed"]
    return next(one for one in noticed if one["file"] == change.file)


def sources(notebook: dict) -> list[str]:
    """Return the text of each code cell, "" for other cells."""
    code = [cell["source"] if cell["cell_type"] == "code" else "" for cell in notebook["cells"]]
    return ["".join(source) for source in code]


@pytest.mark.parametrize("change", mutate.MUTATIONS, ids=[one.file for one in mutate.MUTATIONS])
def test_a_changed_library_is_noticed(change, tmp_path):
    said = seen(change, tmp_path)
    chapter = json.loads(CHAPTERS[change.chapter].read_text(encoding="utf-8"))
    cell = chapter["cells"][change.places(sources(chapter))[-1]]
    assert COMPARED in cell["metadata"]["tags"]
    assert text_outputs(cell) == said["same"], "run again, the cell says something else"
    assert said["changed"] != said["same"]


@pytest.mark.slow
def test_nbval_fails_where_the_library_is_changed(tmp_path):
    change = next(one for one in mutate.MUTATIONS if one.file == "privatizers/blur.py")
    words = "Cell outputs differ"
    said = compare(CHAPTERS[change.chapter], mutate.mutated(change, tmp_path), words)
    assert words in said, said[-3000:]


def test_a_change_must_apply():
    change = Change("blur", "privatizers/blur.py", "no such line", "", ("no such cell",))
    with pytest.raises(ValueError, match="0 times, not once"):
        changed("some line", change)
    with pytest.raises(ValueError, match="in 0 cells, not in one"):
        change.places(["some cell"])


def text_outputs(cell: dict) -> str:
    """Return what a cell printed and showed as text.

    With `nb_merge_streams` myst-nb appends later pieces of a stream to the first one and shows
    that, but the notebook that it leaves behind holds the later pieces as well: they are counted
    once. It ends every piece with a line break, also one that broke off just before its own: that
    one is taken out again."""
    printed = [
        "".join(output["text"]) for output in cell["outputs"] if output.get("name") == "stdout"
    ]
    later = "".join(printed[1:])
    appended = "".join(piece.rstrip() + "\n" for piece in printed[1:] if piece.strip())
    if appended and printed[0].endswith(appended):
        first = printed[0].removesuffix(appended)
        whole = (first.removesuffix("\n") if later.startswith("\n") else first) + later
    else:
        whole = "".join(printed)
    return whole + "".join(
        "".join(output.get("data", {}).get("text/plain", "")) for output in cell["outputs"]
    )


def test_a_stream_in_pieces_is_read_as_one():
    def cell(*texts):
        return {"outputs": [{"name": "stdout", "text": list(text)} for text in texts]}

    one = text_outputs(cell(["a 1\n", "b 2\n"]))
    assert one == "a 1\nb 2\n"
    assert (
        text_outputs(cell(["a 1\n", "\n", "b 2\n"], ["\n", "b 2\n"])) == one
    )  # merged, broken before the line's end
    assert text_outputs(cell(["a 1\n", "b 2\n"], ["b 2\n"])) == one  # merged, broken after it
    assert text_outputs(cell(["a 1\n"], ["b 2\n"])) == one  # not merged
    assert (
        text_outputs(cell(["a 1\n", "\n", "b 2\n"])) != one
    )  # a blank line of the cell's own counts
    assert text_outputs(cell(["a 1\n", "b 3\n"])) != one
    assert text_outputs({"outputs": [{"data": {"text/plain": ["4"]}}]}) == "4"


@pytest.mark.parametrize("notebook", CHAPTERS.values(), ids=list(CHAPTERS))
def test_the_book_shows_what_is_stored(book, notebook):
    executed = book.parent / "jupyter_execute" / "chapters" / notebook.name
    shown = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    stored = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    compared = [i for i, cell in enumerate(stored) if COMPARED in cell["metadata"].get("tags", [])]
    assert compared
    for i in compared:
        assert text_outputs(shown[i]) == text_outputs(stored[i]), f"cell {i} of {notebook.name}"
