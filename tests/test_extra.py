"""What only a part of the library needs, and what is said where this is missing."""

import tomllib
import warnings
from pathlib import Path

import pytest

from medpriv_lib.core import extra
from medpriv_lib.core.extra import DICOM, Extra

ROOT = Path(__file__).resolve().parents[1]


def test_a_package_that_is_there_is_imported():
    assert Extra("json", "reading").need("json.decoder").JSONDecoder


def test_a_package_that_is_missing_names_what_needs_it_and_the_remedy():
    missing = Extra("private", "counting epsilon", quiet=True)
    with pytest.raises(ImportError) as error:
        missing.need("no_such_package.inside")
    words = "counting epsilon needs no-such-package: pip install 'medpriv[private]'"
    assert str(error.value) == words


def test_warnings_are_kept_back_only_where_asked(tmp_path, monkeypatch):
    (tmp_path / "noisy_one.py").write_text("import warnings\nwarnings.warn('old')\n")
    (tmp_path / "noisy_two.py").write_text("import warnings\nwarnings.warn('old')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(UserWarning, match="old"):
        DICOM.need("noisy_one")
    with warnings.catch_warnings(action="error"):
        Extra("private", "x", quiet=True).need("noisy_two")


def test_each_extra_is_one_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {one.name for one in vars(extra).values() if isinstance(one, Extra)}
    assert len(named) == 5
    assert named <= set(project["optional-dependencies"])
