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
import pytest
import skeleton

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


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutation", mutate.MUTATIONS, ids=[mutation.file for mutation in mutate.MUTATIONS]
)
def test_a_changed_library_is_noticed(mutation, tmp_path):
    said = compare(CHAPTERS[mutation.chapter], mutate.mutated(mutation, tmp_path), mutation.notices)
    assert mutation.notices in said, said[-3000:]


def test_a_mutation_must_apply(tmp_path):
    with pytest.raises(ValueError, match="0 times, not once"):
        mutate.mutated(mutate.Mutation("blur", "privatizers/blur.py", "no such line", ""), tmp_path)


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
