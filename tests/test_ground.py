"""The ground that the project stands on: requirements, workflows, citation, sources, licences."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)\s*(?P<comment># \S.*)?$")


def pins(path: Path) -> dict[str, str]:
    """Return name -> version of a requirements file; its other lines must be comments, blank or
    `-c`."""
    found = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith(("#", "-c ")):
            match = PIN.match(line)
            assert match, f"{path.name}: {line!r} is not pinned with =="
            found[_normal(match["name"])] = match["version"]
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_schema(schema: str, *files: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_requirement_says_who_needs_it():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line]
    assert len(lines) > 20
    for line in lines:
        assert PIN.match(line), line
        assert PIN.match(line)["comment"], f"{line!r} has no comment"


def test_requirements_and_lock_agree():
    direct, locked = pins(ROOT / "requirements.txt"), pins(ROOT / "requirements-lock.txt")
    assert {name: locked.get(name) for name in direct} == direct


def test_pins_satisfy_the_package_metadata():
    from packaging.requirements import Requirement

    direct = pins(ROOT / "requirements.txt")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"]
    for text in project["dependencies"]:
        need = Requirement(text)
        assert need.specifier.contains(direct[_normal(need.name)]), (
            f"{need} against {direct[_normal(need.name)]}"
        )


def test_workflows_follow_the_schema():
    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    assert {file.stem for file in files} == {"tests", "book", "canary", "links"}
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        result = check_schema(schema, *files)
        assert result.returncode == 0, result.stdout + result.stderr


def test_a_broken_workflow_is_seen(tmp_path):
    broken = tmp_path / "broken.yml"
    broken.write_text(
        (ROOT / ".github/workflows/tests.yml").read_text().replace("runs-on:", "runs-at:")
    )
    assert check_schema("vendor.github-workflows", broken).returncode != 0


def test_citation_follows_the_schema():
    result = check_schema("vendor.citation-file-format", ROOT / "CITATION.cff")
    assert result.returncode == 0, result.stdout + result.stderr


def test_citation_names_the_version_of_the_package():
    import medpriv_lib

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == medpriv_lib.__version__


def test_workflows_test_the_pythons_that_the_package_promises():
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["tests"][
        "strategy"
    ]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"].startswith(">=3.11")


def test_every_source_can_be_found():
    entries = re.split(r"^@", (ROOT / "references.bib").read_text(), flags=re.M)[1:]
    assert len(entries) > 10
    keys = [re.match(r"\w+\{([^,]+),", entry)[1] for entry in entries]
    assert keys == sorted(keys), "keep the entries in the order of their keys"
    assert len(set(keys)) == len(keys)
    for key, entry in zip(keys, entries, strict=True):
        found = re.search(r"doi = \{10\.\d{4,}/\S+?\}|eprint = \{\d{4}\.\d{4,5}\}", entry)
        assert found, f"{key} has neither a DOI nor an arXiv number"


def test_book_is_strict():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["sphinx"]["config"]["nb_execution_raise_on_error"] is True
    assert config["execute"]["execute_notebooks"] == "force", (
        "a cache shows the results of an older library"
    )
    assert config["only_build_toc_files"] is True
    assert "-W -n --keep-going" in (ROOT / "Makefile").read_text()


def test_contents_name_files_that_exist():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    entries = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    entries += [below for chapter in entries for below in chapter.get("sections", [])]
    for page in [toc["root"], *(entry["file"] for entry in entries)]:
        assert any((ROOT / f"{page}{suffix}").is_file() for suffix in (".md", ".ipynb")), (
            f"{page} is missing"
        )


def test_logo_is_what_the_script_draws():
    sys.path.insert(0, str(ROOT / "book"))
    try:
        from mark import STATIC, mark
    finally:
        sys.path.pop(0)
    assert (STATIC / "logo.svg").read_text() == mark(n=41, side=9.2, stroke=2.2)
    assert (STATIC / "favicon.svg").read_text() == mark(n=15, side=15.0, stroke=5.5)


@pytest.mark.skipif(os.name != "posix", reason="needs make")
def test_makefile_refuses_an_old_python(tmp_path):
    old = tmp_path / "python-old"
    code = "import sys; sys.version_info = (3, 10, 4); exec(sys.argv.pop(1))"
    old.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$2\"\n")
    old.chmod(0o755)
    result = subprocess.run(
        ["make", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}", "lint"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_landing_page_counts_the_images_that_ship():
    from medpriv_lib.data.packaged import default_cohort

    cohort, text = default_cohort(), (ROOT / "chapters/index.md").read_text()
    assert f"{len(cohort):,} synthetic near-infrared eyes of {cohort.patients}" in " ".join(
        text.split()
    )
