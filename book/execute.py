"""Execute every chapter, several at a time, for the build that follows: `python book/execute.py
FOLDER [--workers N]`. FOLDER is emptied first: kept outputs would be those of an older library.
"""

import argparse
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution

ROOT = Path(__file__).resolve().parent.parent


def chapters() -> list[Path]:
    """Return the notebooks that the table of contents names, the largest first."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    paths = [ROOT / f"{name}.ipynb" for name in files]
    return sorted((path for path in paths if path.is_file()), key=lambda p: -p.stat().st_size)


def execute(path: Path, timeout: float) -> tuple[nbformat.NotebookNode, float]:
    """Return a notebook with its outputs, and the seconds that it took. Raises the error that a
    cell raised.
    """
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    result = single_nb_execution(
        notebook, cwd=str(path.parent), timeout=timeout, allow_errors=False
    )
    if result.err is not None:
        raise RuntimeError(f"{path.name} stops:\n{result.exc_string}") from result.err
    return notebook, result.time


def main(arguments: list[str]) -> None:
    """Fill the folder; where chapters stop, name all of them and leave with 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="chapters at a time")
    options = parser.parse_args(arguments)
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["execute"]["timeout"]
    os.environ["MEDPRIV_WIDGETS"] = "frames"  # as imprint.py sets it for what the build executes
    shutil.rmtree(options.folder, ignore_errors=True)
    cache, failed = get_cache(options.folder), []
    with ThreadPoolExecutor(options.workers) as pool:
        running = [(path, pool.submit(execute, path, timeout)) for path in chapters()]
        for path, future in running:
            try:
                notebook, seconds = future.result()
            except Exception as error:  # each chapter is tried, and every failure is printed
                failed.append(path.name)
                print(error, file=sys.stderr)
                continue
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            print(f"{path.name}: {seconds:.0f} s", flush=True)
    if failed:
        sys.exit(f"{len(failed)} chapters stopped: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
