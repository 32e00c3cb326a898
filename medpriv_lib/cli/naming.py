"""Errors about a setting, with the option that it came from."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def naming(settings: Mapping[str, Any]) -> Iterator[None]:
    """Name the option where an error says what is wrong with a setting, as "k = 9"."""
    try:
        yield
    except ValueError as error:
        for name, value in settings.items():
            if f"{name} = {value}" in str(error):
                option = f"--{name.replace('_', '-')} {value}"
                raise ValueError(f"{option} is too much here: {error}") from error
        raise
