"""Execute every chapter, several at a time, for the build that follows: `python book/execute.py
FOLDER [--workers N] [--answers FOLDER WRONG_ANSWERS]`. FOLDER is emptied first: kept outputs would
be those of an older library.
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
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn

ROOT = Path(__file__).resolve().parent.parent


def chapters() -> list[Path]:
    """Return the notebooks that the table of contents names, the largest first."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    entries = [entry for part in contents["parts"] for entry in part["chapters"]]
    entries += [below for entry in entries for below in entry.get("sections", [])]
    paths = [ROOT / f"{entry['file']}.ipynb" for entry in entries]
    return sorted((path for path in paths if path.is_file()), key=lambda p: -p.stat().st_size)


def execute(
    path: Path, wrong: dict[str, list[str]], timeout: float
) -> tuple[nbformat.NotebookNode, list[dict]]:
    """Return a notebook with its outputs, and what came of the answers to its exercises. Raises the
    error that a cell raised.
    """
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    where = {"metadata": {"path": str(path.parent)}}
    client = Answering(notebook, wrong, timeout=timeout, resources=where, record_timing=False)
    client.execute()
    return notebook, client.attempts


def wrong_answers(path: Path, folder: Path | None) -> dict[str, list[str]]:
    """Return exercise -> wrong answers of a chapter; none without a folder or without its file."""
    file = None if folder is None else folder / f"{path.stem}.py"
    return runpy.run_path(str(file))["WRONG"] if file is not None and file.is_file() else {}


def main(arguments: list[str]) -> None:
    """Fill the folder; where chapters stop, name all of them and leave with 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="chapters at a time")
    parser.add_argument(
        "--answers", type=Path, nargs=2, help="where attempts are written; the wrong answers"
    )
    options = parser.parse_args(arguments)
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["execute"]["timeout"]
    os.environ["MEDPRIV_WIDGETS"] = "frames"  # as imprint.py sets it for what the build executes
    written, wrong = options.answers or (None, None)
    for folder in filter(None, (options.folder, written)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    cache, failed = get_cache(options.folder), []

    def one(path: Path) -> tuple[nbformat.NotebookNode, float]:
        began = time.monotonic()
        notebook, attempts = execute(path, wrong_answers(path, wrong), timeout)
        if written is not None:
            (written / f"{path.stem}.json").write_text(json.dumps(attempts, indent=1) + "\n")
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
