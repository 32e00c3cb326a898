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


def main(path: Path, wrong: Path) -> None:
    """Perform the notebook; raise where a cell does."""
    os.environ.setdefault("MPLBACKEND", "agg")
    os.environ["MEDPRIV_WIDGETS"] = "frames"
    from IPython.core.interactiveshell import InteractiveShell

    import medpriv_lib.lessons.exercises as exercises

    verdicts, real = [], exercises.check

    def listening(*arguments, **named):
        verdicts.append(real(*arguments, **named))
        return verdicts[-1]

    exercises.check = listening
    shell, answers = InteractiveShell.instance(), runpy.run_path(str(wrong))["WRONG"]
    os.chdir(path.parent)

    def run(code: str, what: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            result = shell.run_cell(
                re.sub(r"(?m)^%matplotlib inline", "", code), store_history=False
            )
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")  # no notebook is there to show them
        if not result.success:
            raise RuntimeError(
                f"{path.name}: {what} stops with {result.error_in_exec or result.error_before_exec!r}"
            )

    def attempt(name: str, kind: str, *codes: str, keep: bool = False) -> None:
        before = dict(shell.user_ns)
        verdicts.clear()
        for code in codes:
            run(code, f"{name}, {kind},")
        if not keep:
            shell.user_ns.clear()
            shell.user_ns.update(before)
        print(
            json.dumps(
                {"exercise": name, "kind": kind, "verdicts": [(v.name, v.passed) for v in verdicts]}
            )
        )

    cells = [
        cell
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    for i, cell in enumerate(cells):
        code, tags, name = (
            "".join(cell["source"]),
            cell["metadata"].get("tags", []),
            cell["metadata"].get("exercise"),
        )
        if "exercise" in tags:
            test = "".join(cells[i + 1]["source"])
            for number, answer in enumerate(answers.get(name, []), start=1):
                attempt(name, f"wrong answer {number}", answer, test)
            attempt(name, "unsolved", code, test, keep=True)
        elif "solution" in tags:
            attempt(name, "solution", code, keep=True)
        elif "check" not in tags:
            run(code, f"the cell {code[:60]!r}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
