"""Run one notebook as Colab would: `python colab.py [NOTEBOOK]`, or `make test-colab`.

A fresh environment gets Colab's versions. torch and what it needs are linked in from this
environment, because they are too large to install twice. The notebook lies alone in an empty
folder, and its first cell has to fetch the rest."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "chapters" / "blur.ipynb"
PINS = [
    "ipython==7.34.0",
    "ipykernel==6.17.1",
    "numpy==2.1.3",
    "pandas==2.2.2",
    "scikit-learn==1.6.1",
    "matplotlib==3.10.0",
    "opencv-python-headless==5.0.0.93",
]
ALONE = [
    "ipywidgets==7.7.1",
    "ipython_genutils==0.2.0",
]  # without the notebook server that ipywidgets 7 asks for
SHARED = ["torch", "torchvision", "accelerate"]
OWN = {
    "numpy",
    "pillow",
    "scipy",
    "pandas",
}  # of what those need, this has Colab's version of its own
COLAB = {"Python": "3.13", "torch": "2.11"}
WIDGET = "application/vnd.jupyter.widget-view+json"
FACTS = """
import sys, IPython, ipywidgets, matplotlib, numpy, sklearn, torch, cv2, medpriv_lib
print(medpriv_lib.__file__)
print({m.__name__: m.__version__ for m in (IPython, ipywidgets, matplotlib, numpy, sklearn, torch, cv2)})
"""


def closure(names: list[str]) -> set[str]:
    """Return the distributions that the named ones need here, themselves included."""
    found, left = set(), list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name in found or name in OWN:
            continue
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        left += [re.match(r"[\w.-]+", need)[0] for need in needs if "extra ==" not in need]
    return found


def link(names: set[str], folder: Path) -> None:
    """Link the top-level files of these distributions into a folder that lies outside the new
    environment.

    pip leaves alone what lies outside, so it never deletes through a link.
    """
    folder.mkdir()
    for name in names:
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(Path(file.locate()).parents[len(file.parts) - 1] / top)


def environment(folder: Path) -> tuple[Path, list[str]]:
    """Make the environment; return its Python and the pins that cannot be had on this Python."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    link(closure(SHARED), folder / "shared")
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    (site / "shared.pth").write_text(f"{folder / 'shared'}\n")
    if _pip(python, *PINS):
        return python, [pin for pin in ALONE if not _pip(python, "--no-deps", pin)]
    missing = [pin for pin in PINS if not _pip(python, pin)]
    for pin in missing:
        _pip(python, pin.split("==")[0])
    return python, missing + [pin for pin in ALONE if not _pip(python, "--no-deps", pin)]


def _pip(python: Path, *what: str) -> bool:
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *what]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        print(f"pip install {' '.join(what)}: {result.stderr.strip()[-500:]}", file=sys.stderr)
    return result.returncode == 0


def copy_source(folder: Path) -> Path:
    """Copy what git knows of the course, so that building the package leaves nothing in the work
    tree."""
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def execute(notebook: Path, python: Path, folder: Path) -> list[dict]:
    """Execute the notebook alone in an empty folder with that Python's kernel; return its code
    cells and the facts."""
    kernel = folder / "jupyter" / "kernels" / "colab"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps(
            {
                "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "Like Colab",
                "language": "python",
            }
        )
    )
    os.environ |= {
        "JUPYTER_PATH": str(folder / "jupyter"),
        "COLAB_RELEASE_TAG": "like",
        "MEDPRIV_SOURCE": str(copy_source(folder / "source")),
    }
    for name in ("PYTHONPATH", "MEDPRIV_WIDGETS"):
        os.environ.pop(name, None)
    empty = folder / "empty"
    empty.mkdir()
    shutil.copy(notebook, empty)
    document = nbformat.read(empty / notebook.name, 4)
    document.cells.append(nbformat.v4.new_code_cell(FACTS))
    NotebookClient(
        document, timeout=600, kernel_name="colab", resources={"metadata": {"path": str(empty)}}
    ).execute()
    return [
        cell
        for cell in json.loads(nbformat.writes(document))["cells"]
        if cell["cell_type"] == "code"
    ]


def printed(cell: dict) -> str:
    """Return what a cell printed."""
    return "".join(
        "".join(output["text"]) for output in cell["outputs"] if output.get("name") == "stdout"
    )


def problems(stored: list[dict], cells: list[dict], python: Path) -> list[str]:
    """Return where the run differs from what is stored, or is not what Colab would show."""
    found = []
    for old, new in zip(stored, cells, strict=False):
        if "nbval-check-output" in old["metadata"].get("tags", []) and printed(old) != printed(new):
            found.append(
                f"{''.join(old['source'])[:60]!r} prints {printed(new)!r}, stored is {printed(old)!r}"
            )
    shown = [
        output["data"]
        for cell in cells
        for output in cell["outputs"]
        if "stepper" in "".join(output.get("data", {}).get("text/html", ""))
    ]
    if not shown or any(WIDGET not in data for data in shown):
        found.append(
            f"{len(shown)} steppers are shown, {sum(WIDGET in data for data in shown)} of them live"
        )
    library = printed(cells[-1]).splitlines()[0]
    if not library.startswith(str(python.parents[1])):
        found.append(f"the library came from {library}")
    wanted = dict(
        pin.split("==") for pin in ("IPython==7.34.0", "ipywidgets==7.7.1", "numpy==2.1.3")
    )
    versions = printed(cells[-1]).splitlines()[1]
    return found + [
        f"{name} is not {v}: {versions}"
        for name, v in wanted.items()
        if f"'{name}': '{v}'" not in versions
    ]


def main(notebook: Path) -> int:
    """Run it; return 1 where something is wrong."""
    with tempfile.TemporaryDirectory(prefix="like-colab-") as name:
        folder = Path(name)
        python, missing = environment(folder)
        cells = execute(notebook, python, folder)
        stored = [
            cell
            for cell in json.loads(notebook.read_text())["cells"]
            if cell["cell_type"] == "code"
        ]
        found = problems(stored, cells, python)
        print(printed(cells[-1]).splitlines()[1])
    here = {"Python": sys.version.split()[0], "torch": importlib.metadata.version("torch")}
    for name, version in COLAB.items():
        print(f"not as in Colab: {name} {here[name]}, Colab has {version}")
    for pin in missing:
        print(f"cannot be had on this Python: {pin}")
    found = [
        fault
        for fault in found
        if not fault.lower().startswith(tuple(pin.split("=")[0] for pin in missing))
    ]
    print("\n".join(found) or f"{notebook.name} runs as Colab would run it")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else DEFAULT))
