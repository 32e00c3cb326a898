"""What must not happen by accident: patients' files in git, workflows that may write more than they need."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WRITES = {
    ("book", "publish"): {"pages": "write", "id-token": "write"},
    ("canary", "report"): {"issues": "write"},
}


def ignored(*names: str) -> set[str]:
    result = subprocess.run(
        ["git", "check-ignore", "--no-index", *names], cwd=ROOT, text=True, capture_output=True
    )
    if result.returncode == 128:
        pytest.skip("not a git checkout")
    return set(result.stdout.split())


def test_git_ignores_what_shows_or_names_patients():
    private = {
        "out/keep/release.npz", "keep/key.csv", "attacked/report.html", "mine.npz",
        "out/attacked/worst.png", "runs/weights/judges.safetensors", "weights/judges.safetensors",
    }  # fmt: skip
    assert ignored(*private) == private


def test_git_keeps_what_ships():
    shipped = [
        "medpriv_lib/data/cohorts/confounded.npz",
        "medpriv_lib/weights/confounded/judges.safetensors",
        "tests/reference/deep_taylor/innvestigate_layers.npz",
    ]
    assert all((ROOT / name).is_file() for name in shipped)
    assert not ignored(*shipped)


def test_only_the_job_that_needs_it_may_write():
    found = {}
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}, path.name
        for name, job in workflow["jobs"].items():
            if "permissions" in job:
                found[path.stem, name] = job["permissions"]
    assert found == WRITES


def test_actions_are_pinned_by_commit():
    """A tag can be moved to other code; 40 digits of a commit cannot."""
    used = []
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        jobs = yaml.safe_load(path.read_text())["jobs"].values()
        used += [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    assert len(used) >= 8
    assert [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one)] == []
