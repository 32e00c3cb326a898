"""What a result was made from and with: settings, data, counts, versions, machine."""

import contextlib
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from medpriv_lib import __version__
from medpriv_lib.core.cohort import SPLITS, Cohort

# what decodes and judges images; the first name that is installed speaks for OpenCV
PACKAGES = ("opencv-python-headless", "opencv-python", "scikit-learn")


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of what computes here, and of those of `packages` that are installed."""
    found = {
        "medpriv": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def provenance(cohort: Cohort, released: Cohort, config: dict[str, Any]) -> dict[str, Any]:
    """Return what a result on the `released` images of a cohort was made from, as JSON values.

    `config` are the settings that the result depends on.
    """
    return {
        "config": config,
        "cohort": cohort.name,
        "data_hash": cohort.hash(),
        "images": {split: int((cohort.split == split).sum()) for split in SPLITS},
        "patients": cohort.patients,
        "n": len(released),
        "versions": versions(*PACKAGES),
        "machine": platform.machine(),
    }
