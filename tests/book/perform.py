"""Run one chapter cell by cell and answer each exercise in several ways: `python perform.py
NOTEBOOK WRONG_ANSWERS`.

Prints one line of JSON per attempt: the exercise, the kind of answer, the verdicts of the
self-checks that ran. The reader's names are put back between attempts, so that no answer helps
another; the solution's stay, as for a reader."""

import contextlib
import io
import json
import os
import re
import runpy
import sys
import warnings
from pathlib import Path


class Reader:
    """Somebody who runs cells, and whose self-checks are listened to."""

    def __init__(self, name: str) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        import medpriv_lib.lessons.exercises as exercises

        self.name, self.verdicts, real = name, [], exercises.check

        def listening(*arguments, **named):
            self.verdicts.append(real(*arguments, **named))
            return self.verdicts[-1]

        exercises.check = listening
        self.shell = InteractiveShell.instance()

    def run(self, code: str, what: str) -> None:
        """Run one cell; raise where it does."""
        code = re.sub(r"(?m)^%matplotlib inline", "", code)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            result = self.shell.run_cell(code, store_history=False)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")  # no notebook is there to show them
        if not result.success:
            error = result.error_in_exec or result.error_before_exec
            raise RuntimeError(f"{self.name}: {what} stops with {error!r}")

    def attempt(self, name: str, kind: str, *codes: str, keep: bool = False) -> None:
        """Answer an exercise and print what its self-check says; forget the answer unless `keep`."""
        before = dict(self.shell.user_ns)
        self.verdicts.clear()
        for code in codes:
            self.run(code, f"{name}, {kind},")
        if not keep:
            self.shell.user_ns.clear()
            self.shell.user_ns.update(before)
        said = [(verdict.name, verdict.passed) for verdict in self.verdicts]
        print(json.dumps({"exercise": name, "kind": kind, "verdicts": said}))


def main(path: Path, wrong: Path) -> None:
    """Perform the notebook; raise where a cell does."""
    os.environ.setdefault("MPLBACKEND", "agg")
    os.environ["MEDPRIV_WIDGETS"] = "frames"
    reader, answers = Reader(path.name), runpy.run_path(str(wrong))["WRONG"]
    os.chdir(path.parent)
    cells = [
        cell
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    for i, cell in enumerate(cells):
        code, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        name = cell["metadata"].get("exercise")
        if "exercise" in tags:
            test = "".join(cells[i + 1]["source"])
            for number, answer in enumerate(answers.get(name, []), start=1):
                reader.attempt(name, f"wrong answer {number}", answer, test)
            reader.attempt(name, "unsolved", code, test, keep=True)
        elif "solution" in tags:
            reader.attempt(name, "solution", code, keep=True)
        elif "check" not in tags:
            reader.run(code, f"the cell {code[:60]!r}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
