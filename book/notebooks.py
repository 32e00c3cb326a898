"""Keep the notebooks in shape: `python book/notebooks.py clean|check|record|set-repository`; see
each command's help.

Only outputs that the tests compare are stored: text of the cells tagged nbval-check-output. All
else is made anew by the book, so no picture and no stale number lies in git.
"""

import argparse
import copy
import json
import os
import re
import sys
from pathlib import Path

import pace
import skeleton
import yaml
from skeleton import COMPARED, code_cells, source, tags

ROOT = Path(__file__).resolve().parent.parent
SETUP = ROOT / "book" / "setup_cell.py"
CONFIG = ROOT / "_config.yml"
KEPT_METADATA = {"tags", "mystnb", "exercise", "cellView"}
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SKIPPED = {
    "image/png",
    "image/jpeg",
    "application/vnd.jupyter.widget-view+json",
}  # nbval never compares these
URL = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")


def read(path: Path) -> dict:
    """Return a notebook. Raises `ValueError` where the file is none."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["cells"][0]["cell_type"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"{path} is no notebook with cells ({error}); restore it from git"
        ) from error
    return notebook


def write(path: Path, notebook: dict) -> None:
    """Write a notebook as git should see it; a killed process leaves the file as it was."""
    sys.path.insert(0, str(ROOT))
    from medpriv_lib.core.files import atomic_write

    with atomic_write(path) as temporary:
        temporary.write_text(text_of(notebook), encoding="utf-8")


def text_of(notebook: dict) -> str:
    """Return the notebook as JSON, one line per line of source."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def cleaned(notebook: dict) -> dict:
    """Return a copy without what the tests do not compare: see `kept`; counts, widget states,
    editors' marks go.
    """
    cells: list[dict] = []
    result = {
        "cells": cells,
        "metadata": copy.deepcopy(NOTEBOOK_METADATA),
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    for i, cell in enumerate(notebook["cells"]):
        metadata = {
            key: value for key, value in cell.get("metadata", {}).items() if key in KEPT_METADATA
        }
        new = {
            "cell_type": cell["cell_type"],
            "id": cell.get("id", f"cell-{i:03d}"),
            "metadata": metadata,
            "source": source(cell).splitlines(keepends=True),
        }
        if cell["cell_type"] == "code":
            outputs = kept(cell.get("outputs", [])) if COMPARED in tags(cell) else []
            new |= {"execution_count": 1 if outputs else None, "outputs": outputs}
        cells.append(new)
    return result


def kept(outputs: list[dict]) -> list[dict]:
    """Return the outputs of a compared cell as nbval reads them: streams joined per name, pictures
    left out.
    """
    result: list[dict] = []
    streams: dict[str, dict] = {}
    for output in copy.deepcopy(outputs):
        if output["output_type"] == "stream":
            text = "".join(output["text"])
            if output["name"] in streams:
                streams[output["name"]]["text"] += text
                continue
            output["text"], streams[output["name"]] = text, output
        elif output["output_type"] in ("display_data", "execute_result"):
            output["data"] = {
                kind: data for kind, data in output["data"].items() if kind not in SKIPPED
            }
            output["metadata"] = {}
            if "execution_count" in output:
                output["execution_count"] = 1
        result.append(output)
    for stream in streams.values():
        stream["text"] = stream["text"].splitlines(keepends=True)
    return result


def incomparable(cell: dict) -> list[str]:
    """Return why a compared cell's output cannot be compared on another machine: only plain text
    can.
    """
    faults = []
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream" and output["name"] != "stdout":
            faults.append("it writes to stderr (a progress bar, a warning)")
        faults += [
            f"it shows {kind}"
            for kind in output.get("data", {})
            if kind not in SKIPPED | {"text/plain"}
        ]
        text = "".join(output.get("text", "")) + "".join(
            output.get("data", {}).get("text/plain", "")
        )
        if found := re.search(r"0x[0-9a-f]{6,}|/(home|tmp|root|work|usr)/\S+", text):
            faults.append(
                f"it prints {found[0]}, which differs from run to run or from machine to machine"
            )
    return faults


def faults(path: Path) -> list[str]:
    """Return what is wrong with one notebook file."""
    notebook = read(path)
    found = skeleton.cell_faults(notebook, SETUP.read_text(encoding="utf-8"))
    if path.read_text(encoding="utf-8") != text_of(cleaned(notebook)):
        found.append(
            f"it holds more than the compared outputs; `python book/notebooks.py clean {path.stem}`"
        )
    for cell in code_cells(notebook):
        if COMPARED in tags(cell):
            found += [
                f"the compared cell {source(cell)[:60]!r}: {fault}" for fault in incomparable(cell)
            ]
    if path.stem not in skeleton.GUIDES:
        found += skeleton.chapter_faults(notebook, path.stem) + pace.faults(notebook)
    elif path.stem in skeleton.TRIED_GUIDES:
        found += skeleton.guide_faults(notebook)
    return found


def record(path: Path) -> int:
    """Execute a notebook in its folder, store what its compared cells print, and return how many
    they are.

    Raises what a cell raises, and `ValueError` where a compared cell prints nothing or what cannot
    be compared.
    """
    import nbformat
    from nbclient import NotebookClient

    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    )
    os.environ["MEDPRIV_WIDGETS"] = "frames"
    executed = nbformat.reads(text_of(cleaned(read(path))), 4)
    NotebookClient(
        executed,
        timeout=600,
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    notebook, count = json.loads(nbformat.writes(executed)), 0
    for cell in code_cells(notebook):
        if COMPARED in tags(cell):
            problems = incomparable(cell) if kept(cell["outputs"]) else ["it prints nothing"]
            if problems:
                raise ValueError(
                    f"{path.name}: the compared cell {source(cell)[:60]!r}: {'; '.join(problems)}"
                )
            count += 1
    write(path, cleaned(notebook))
    return count


def repository() -> tuple[str, str]:
    """Return the one setting, the repository's URL and branch, from _config.yml."""
    setting = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["sphinx"]["config"][
        "html_theme_options"
    ]
    return setting["repository_url"], setting["repository_branch"]


def set_repository(url: str, branch: str, notebooks: list[Path]) -> None:
    """Write the setting to _config.yml and to the set-up cell, and stamp that cell into every
    notebook.

    Raises `ValueError` for anything but https://github.com/OWNER/NAME and a plain branch name,
    before a file changes.
    """
    url = url.removesuffix("/").removesuffix(".git")
    if not URL.fullmatch(url) or not re.fullmatch(r"[\w./-]+", branch):
        raise ValueError(
            f"{url!r} with branch {branch!r}: Colab needs https://github.com/OWNER/NAME and a "
            "branch"
        )
    config = CONFIG.read_text(encoding="utf-8")
    config = _replace_one(
        config, r"(^ +repository_url: ).*(\n +repository_branch: ).*$", rf"\g<1>{url}\g<2>{branch}"
    )
    setup = _replace_one(
        SETUP.read_text(encoding="utf-8"), r"^REPOSITORY, BRANCH = .*$", setting_line(url, branch)
    )
    CONFIG.write_text(config, encoding="utf-8")
    SETUP.write_text(setup, encoding="utf-8")
    for path in notebooks:
        notebook = read(path)
        first = next(iter(code_cells(notebook)), None)
        if first is None or "setup" not in tags(first):
            first = {
                "cell_type": "code",
                "id": "set-up",
                "metadata": {"tags": ["setup", "hide-cell"]},
                "execution_count": None,
                "outputs": [],
            }
            notebook["cells"].insert(1, first)
        first["source"] = setup.strip("\n").splitlines(keepends=True)
        write(path, notebook)


def setting_line(url: str, branch: str) -> str:
    """Return the line of the set-up cell that holds the setting."""
    return f'REPOSITORY, BRANCH = "{url}", "{branch}"'


def _replace_one(text: str, pattern: str, new: str) -> str:
    text, count = re.subn(pattern, new, text, flags=re.M)
    if count != 1:
        raise ValueError(
            f"{pattern!r} stands {count} times in the file, not once; restore it from git"
        )
    return text


def check(paths: list[Path]) -> list[str]:
    """Return all faults of the notebooks and of the set-up cell, each with its file's name."""
    url, branch = repository()
    found = []
    if setting_line(url, branch) + "\n" not in SETUP.read_text(encoding="utf-8"):
        found.append(f"{SETUP.name}: not the repository of _config.yml; `make set-repository`")
    found += [f"{path.name}: {fault}" for path in paths for fault in faults(path)]
    for part in sorted((ROOT / "chapters" / "parts").glob("*.md")):
        found += [f"parts/{part.name}: {fault}" for fault in table_faults(part)]
    return found


def table_faults(part: Path) -> list[str]:
    """Return where the table of a part's page states another reading time than a chapter does."""
    rows = re.findall(
        r"^\| \[[^\]]+\]\(\.\./([\w-]+)\.ipynb\) \|.*\| (\d+) minutes",
        part.read_text("utf-8"),
        re.M,
    )
    found = []
    for name, minutes in rows:
        says = pace.stated(read(ROOT / "chapters" / f"{name}.ipynb"))[0]
        if says and says != int(minutes):
            found.append(f"{name} states {says} minutes to read, and the table {minutes}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 1 where `check` finds a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("clean", "strip what the tests do not compare"),
        ("check", "say what is wrong; exit 1 then"),
        ("record", "execute and store the compared outputs"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument(
            "names", nargs="*" if name != "record" else "+", help="notebooks, without .ipynb"
        )
    command = commands.add_parser(
        "set-repository", help="where Colab finds the course; without URL, stamp it in again"
    )
    command.add_argument("url", nargs="?")
    command.add_argument("--branch")
    options = parser.parse_args(arguments)
    wanted = [Path(name).stem for name in getattr(options, "names", [])]
    paths = [ROOT / "chapters" / f"{name}.ipynb" for name in wanted] or sorted(
        (ROOT / "chapters").glob("*.ipynb")
    )
    if options.command == "set-repository":
        url, branch = repository()
        set_repository(options.url or url, options.branch or branch, paths)
    elif options.command == "check":
        found = check(paths)
        print("\n".join(found) or f"{len(paths)} notebooks are as they should be")
        return int(bool(found))
    for path in paths if options.command in ("clean", "record") else []:
        if options.command == "record":
            print(f"{path.name}: {record(path)} compared cells", flush=True)
        elif path.read_text(encoding="utf-8") != (text := text_of(cleaned(read(path)))):
            write(path, json.loads(text))
            print(f"{path.name}: cleaned")
    return 0


if __name__ == "__main__":
    sys.exit(main())
