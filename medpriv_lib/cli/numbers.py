"""Types of options that are numbers: each says its range where a value lies outside."""

import argparse
import math
from collections.abc import Callable


def share(text: str) -> float:
    """Read a share from 0 to 1."""
    return _read(text, lambda value: 0 <= value <= 1, "a share from 0 to 1")


def not_negative(text: str) -> float:
    """Read a finite number from 0 on."""
    return _read(text, lambda value: 0 <= value < math.inf, "a finite number from 0 on")


def positive(text: str) -> float:
    """Read a finite number above 0."""
    return _read(text, lambda value: 0 < value < math.inf, "a finite number above 0")


def _read(text: str, fits: Callable[[float], bool], what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan  # which lies in no range
    if not fits(value):
        raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}")
    return value
