"""Errors about a setting, with the option that it came from."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from medpriv_lib.cli.options import option_of


@contextlib.contextmanager
def naming(settings: Mapping[str, Any]) -> Iterator[None]:
    """Name the option where an error says what is wrong with a setting, as "k = 9"."""
    try:
        yield
    except ValueError as error:
        for name, value in settings.items():
            if f"{name} = {value}" in str(error):
                raise ValueError(f"{option_of(name)} {value} is too much here: {error}") from error
        raise
