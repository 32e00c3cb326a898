"""The locked installation: every pin has the hashes of its files, and pip accepts them."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HASHES = ROOT / "requirements-hashes.txt"


def normal(pin: str) -> str:
    name, _, version = pin.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def hashed() -> dict[str, list[str]]:
    """Return "name==version" -> hashes of the file."""
    text = HASHES.read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {normal(pin): hashes for pin, *hashes in lines}


def test_every_pin_has_a_hash():
    found = hashed()
    assert len(found) > 100
    for pin, hashes in found.items():
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), pin


def test_what_is_locked_is_hashed_in_the_same_version():
    lines = (ROOT / "requirements-lock.txt").read_text().splitlines()
    locked = {normal(line.strip()) for line in lines if line and not line.startswith("#")}
    assert locked <= hashed().keys(), f"`make lock`: {sorted(locked - hashed().keys())}"


def test_pip_accepts_the_file(tmp_path):
    """Without an index pip takes what is installed; it reads every line and wants its hash."""
    installed = {normal(f"{one.name}=={one.version}") for one in importlib.metadata.distributions()}
    here = hashed().keys() & installed
    assert len(here) > 100, "not the environment of `make`"
    file = tmp_path / "requirements.txt"
    file.write_text("".join(f"{pin} {' '.join(hashed()[pin])}\n" for pin in sorted(here)))
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--dry-run"]
    command += ["--disable-pip-version-check", "--require-hashes", "-r", str(file)]
    result = subprocess.run(command, text=True, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr[-2000:]
