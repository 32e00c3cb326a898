"""Write requirements-hashes.txt: what requirements.txt brings in, with the SHA-256 of its files.

    python data_scripts/hash_requirements.py

For Linux on x86-64 and Python 3.11 to 3.13. pip resolves what would be installed, and says which
files it would take and which hashes their index names for
them; nothing is installed. Needs the network, and some minutes.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11.9", "3.12", "3.13")  # 3.11 alone would mean 3.11.0, which some packages refuse
HEAD = """\
# Every package of requirements.txt and all that they need, with the SHA-256 of their files: wheels
# for Linux on x86-64 and Python 3.11, 3.12 and 3.13; written by `make lock`; pip refuses others:
#     python -m pip install --require-hashes -r requirements-hashes.txt
"""


def resolved(python: str, folder: Path) -> list[dict]:
    """Return what pip would install for one version of Python. Raises where pip does."""
    report = folder / f"{python}.json"
    command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed"]
    command += ["--only-binary=:all:", "--python-version", python, "--target", str(folder / "none")]
    command += ["-r", str(ROOT / "requirements.txt"), "--report", str(report)]
    subprocess.run(command, check=True)
    return json.loads(report.read_text())["install"]


def pins(reports: list[list[dict]]) -> dict[str, set[str]]:
    """Return "name==version" -> hashes. Raises `ValueError` where two Pythons get two versions."""
    found: dict[str, set[str]] = {}
    for one in (one for report in reports for one in report):
        pin = f"{_normal(one['metadata']['name'])}=={one['metadata']['version']}"
        found.setdefault(pin, set()).add(one["download_info"]["archive_info"]["hashes"]["sha256"])
    names = [pin.split("==")[0] for pin in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two versions of {', '.join(twice)}: pin them in requirements-lock.txt")
    return found


def text_of(found: dict[str, set[str]]) -> str:
    """Return the file's text, sorted, one hash a line."""
    lines = [
        " \\\n    ".join([pin, *(f"--hash=sha256:{digest}" for digest in sorted(found[pin]))])
        for pin in sorted(found)
    ]
    return HEAD + "\n".join(lines) + "\n"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        reports = [resolved(python, Path(folder)) for python in PYTHONS]
    (ROOT / "requirements-hashes.txt").write_text(text_of(pins(reports)))


if __name__ == "__main__":
    main()
