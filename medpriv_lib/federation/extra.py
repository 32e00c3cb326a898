"""The packages that only this room needs: import them here, or say how to install them."""

import importlib
from types import ModuleType

REMEDY = "pip install 'medpriv[federated]'"


def need(module: str) -> ModuleType:
    """Return a module of the extra `federated`, such as "flwr.app".

    Raises `ImportError` with the command that installs the extra where the package is not there.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"federated learning needs {package}: {REMEDY}") from error
