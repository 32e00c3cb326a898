"""The packages that only private training needs: import them here, or say how to install them."""

import importlib
import warnings
from types import ModuleType

REMEDY = "pip install 'medpriv[private]'"


def need(module: str) -> ModuleType:
    """Return a module of the extra `private`, such as "opacus.accountants".

    Raises `ImportError` with the command that installs the extra where the package is not there.
    """
    try:
        with warnings.catch_warnings():  # of packages that these packages import
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        raise ImportError(f"counting epsilon needs {package}: {REMEDY}") from error
