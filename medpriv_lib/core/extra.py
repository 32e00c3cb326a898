"""Packages that only a part of the library needs: import them here, or say how to install them."""

import importlib
import warnings
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Extra:
    """An extra of the package: its `name` in `pip install 'medpriv[NAME]'`, and what needs it.

    `quiet` keeps back warnings of packages that the extra's packages import.
    """

    name: str
    what: str
    quiet: bool = False

    def need(self, module: str) -> ModuleType:
        """Return a module of the extra, such as "flwr.app".

        Raises `ImportError` with the command that installs the extra where the package is not
        there.
        """
        try:
            with warnings.catch_warnings():
                if self.quiet:
                    warnings.simplefilter("ignore")
                return importlib.import_module(module)
        except ImportError as error:
            package = module.partition(".")[0].replace("_", "-")
            raise ImportError(
                f"{self.what} needs {package}: pip install 'medpriv[{self.name}]'"
            ) from error


ARCHIVE = Extra("archive", "an archive on several machines")
COLLECTION = Extra("encrypted", "private set intersection")
DICOM = Extra("dicom", "DICOM")
ENCRYPTED = Extra("encrypted", "encrypted inference")
FEDERATED = Extra("federated", "federated learning")
PRIVATE = Extra("private", "counting epsilon", quiet=True)
