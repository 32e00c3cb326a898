"""Execute every chapter, several at a time, for the build that follows: `python book/execute.py
FOLDER [--workers N] [--answers FOLDER TESTS]`. FOLDER is emptied first: kept outputs would be those
of an older library. TESTS is the folder with the wrong answers to the exercises, and with the
changes of the library that a chapter must notice.
"""

import argparse
import json
import os
import runpy
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import yaml
from answering import Answering
from changing import Change
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import myst_nb_reader_plugin

ROOT = Path(__file__).resolve().parent.parent


def chapters() -> list[Path]:
    """Return what the table of contents names and what has cells: pages of Markdown, then the
    notebooks, the largest first.
    """
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    entries = [entry for part in contents["parts"] for entry in part["chapters"]]
    entries += [below for entry in entries for below in entry.get("sections", [])]
    names = [contents["root"], *(entry["file"] for entry in entries)]
    paths = [ROOT / f"{name}{end}" for name in names for end in (".md", ".ipynb")]
    found = [path for path in paths if path.is_file() and (path.suffix == ".ipynb" or _runs(path))]
    return sorted(found, key=lambda path: (path.suffix == ".ipynb", -path.stat().st_size))


def _runs(page: Path) -> bool:
    return "```{code-cell}" in page.read_text(encoding="utf-8")


def execute(
    path: Path, wrong: dict[str, list[str]], timeout: float, changes: tuple[Change, ...] = ()
) -> tuple[nbformat.NotebookNode, dict[str, list[dict]]]:
    """Return a notebook with its outputs, and what came of the answers to its exercises
    ("attempts") and of the `changes` of the library ("noticed"). Raises the error of a cell.
    """
    if path.suffix == ".md":
        notebook = myst_nb_reader_plugin(str(path))
    else:
        notebook = nbformat.read(path, nbformat.NO_CONVERT)
    where = {"metadata": {"path": str(path.parent)}}
    named = {"timeout": timeout, "resources": where, "record_timing": False}
    client = Answering(notebook, wrong, changes, **named)
    client.execute()
    return notebook, {"attempts": client.attempts, "noticed": client.noticed}


def wrong_answers(path: Path, folder: Path | None) -> dict[str, list[str]]:
    """Return exercise -> wrong answers of a chapter; none without a folder or without its file."""
    file = None if folder is None else folder / "wrong_answers" / f"{path.stem}.py"
    return runpy.run_path(str(file))["WRONG"] if file is not None and file.is_file() else {}


def changes(path: Path, folder: Path | None) -> tuple[Change, ...]:
    """Return the changes of the library that a chapter must notice; none without a folder."""
    known = [] if folder is None else runpy.run_path(str(folder / "mutate.py"))["MUTATIONS"]
    return tuple(change for change in known if change.chapter == path.stem)


def main(arguments: list[str]) -> None:
    """Fill the folder; where chapters stop, name all of them and leave with 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="chapters at a time")
    parser.add_argument(
        "--answers", type=Path, nargs=2, help="where attempts are written; the tests"
    )
    options = parser.parse_args(arguments)
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["execute"]["timeout"]
    os.environ["MEDPRIV_WIDGETS"] = "frames"  # as imprint.py sets it for what the build executes
    written, tests = options.answers or (None, None)
    for folder in filter(None, (options.folder, written)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    cache, failed = get_cache(options.folder), []
    wrong = {path: wrong_answers(path, tests) for path in chapters()}
    changed = {path: changes(path, tests) for path in chapters()}

    def one(path: Path) -> tuple[nbformat.NotebookNode, float]:
        began = time.monotonic()
        notebook, tried = execute(path, wrong[path], timeout, changed[path])
        if written is not None:
            (written / f"{path.stem}.json").write_text(json.dumps(tried, indent=1) + "\n")
        return notebook, time.monotonic() - began

    with ThreadPoolExecutor(options.workers) as pool:
        running = [(path, pool.submit(one, path)) for path in chapters()]
        for path, future in running:
            try:
                notebook, seconds = future.result()
            except Exception as error:  # each chapter is tried, and every failure is printed
                failed.append(path.name)
                print(f"{path.name} stops:\n{error}", file=sys.stderr)
                continue
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            print(f"{path.name}: {seconds:.0f} s", flush=True)
    if failed:
        sys.exit(f"{len(failed)} chapters stopped: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
