"""The packages that only DICOM needs: import them here, or say how to install them."""

import importlib
from types import ModuleType

REMEDY = "pip install 'medpriv[dicom]'"


def need(module: str) -> ModuleType:
    """Return a module of the extra `dicom`, such as "pydicom.uid".

    Raises `ImportError` with the command that installs the extra where the package is not there.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"DICOM needs {package}; install the extra: {REMEDY}") from error
