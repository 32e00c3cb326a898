"""What several commands share: options and their ranges, early checks, output."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medpriv_lib.cli.numbers import share
from medpriv_lib.core.budgets import SCALES, Budget
from medpriv_lib.core.printable import printable

if TYPE_CHECKING:  # these import more than `medpriv --help` needs
    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.core.rectangle import Rectangle
    from medpriv_lib.privatizers.protocol import Parameter, Privatizer

SEEDS = 2**31 - 1
SIZE = 64  # px, of prepared images where nobody asks for another


def say(text: str) -> None:
    """Print lines of result to stdout."""
    print(shown(text, sys.stdout.encoding), flush=True)


@contextlib.contextmanager
def printing(written: Path) -> Iterator[None]:
    """Say, where printing fails (a full disk behind stdout), that the file was written already."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ValueError(
            f"{written} was written and is complete, but what was found could not be printed "
            f"({error.strerror}); there is no need to run the command again"
        ) from error


def note(text: str) -> None:
    """Print one line about the work to stderr, where a person is looking."""
    if sys.stderr.isatty():
        progress(text)


def progress(text: str) -> None:
    """Print one line about the work to stderr, also into a file."""
    print(shown(text, sys.stderr.encoding), file=sys.stderr, flush=True)


def shown(text: str, encoding: str | None = None) -> str:
    """Return lines with what a terminal would obey, or `encoding` cannot say, written out."""
    lines = [printable(line, len(line)) for line in text.split("\n")]
    name = encoding or "utf-8"
    return "\n".join(lines).encode(name, "backslashreplace").decode(name)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a type of an option: a whole number in this range, both ends allowed."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {least:,} to {most:,}, not {text!r}"
            )
        return value

    return read


def add_seed(parser: argparse.ArgumentParser, help: str) -> None:
    """Declare a seed."""
    parser.add_argument("--seed", type=whole(0, SEEDS), default=0, metavar="N", help=help)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Declare how images are read, and what may be lost on the way."""
    parser.add_argument(
        "--size",
        type=whole(8, 4096),
        default=SIZE,
        metavar="N",
        help=f"of images: height and width in pixels (default {SIZE})",
    )
    parser.add_argument(
        "--no-localize", action="store_true", help="keep the centred square: for images of no eyes"
    )
    parser.add_argument(
        "--colour", action="store_true", help="keep colours: for photographs of a retina or of skin"
    )
    parser.add_argument(
        "--doubles",
        choices=("refuse", "report"),
        default="refuse",
        help="where two patients seem to be one person, by name or by picture: refuse (default), "
        "or take them for two",
    )
    parser.add_argument(
        "--least-kept",
        type=share,
        default=0.9,
        metavar="SHARE",
        help="share of the images that must be readable and hold an eye (default .9)",
    )


def rectangle(text: str) -> "Rectangle":
    """Read a rectangle x,y,width,height."""
    from medpriv_lib.core.rectangle import Rectangle

    try:
        return Rectangle.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def two_names(text: str) -> tuple[str, ...]:
    """Read the names of the two readings, A,B."""
    names = tuple(name.strip() for name in text.split(","))
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise ValueError(f"--classes needs two names with a comma between them, not {text!r}")
    return names


def require_parent(path: str | Path) -> Path:
    """Return the path; raise `FileNotFoundError` before any work where its folder does not
    exist.
    """
    if not str(path).strip():
        raise ValueError("an empty name was given to write to; name a file or a folder")
    path = Path(path)
    for above in path.absolute().parents:
        if above.exists() and not above.is_dir():
            raise FileNotFoundError(f"{above} is a file, no folder; name another place than {path}")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist; create it first")
    return path


def load_cohort(path: str | None) -> "Cohort":
    """Return the cohort of this file, or the package's where there is none."""
    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.data.packaged import default_cohort

    return default_cohort() if path is None else Cohort.load(path)


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Declare how long training may take."""
    parser.add_argument(
        "--scale",
        choices=tuple(SCALES),
        default="paper",
        help="length of the training: paper (default), small (minutes), reading or toy",
    )
    parser.add_argument(
        "--rounds",
        type=whole(1, 10_000_000),
        metavar="N",
        help="rounds of the GAN in place of the scale's",
    )
    parser.add_argument(
        "--epochs",
        type=whole(1, 100_000),
        metavar="N",
        help="epochs of the recognisers at most, in place of the scale's",
    )
    parser.add_argument("--device", help="cpu, cuda, …; default: a GPU where there is one")


def budget_of(args: argparse.Namespace) -> Budget:
    """Return the scale's budget with the given overrides."""
    changes = {
        key: getattr(args, key) for key in ("rounds", "epochs") if getattr(args, key) is not None
    }
    return replace(SCALES[args.scale], **changes)


def require_device(name: str | None) -> None:
    """Raise `ValueError` for a device that torch does not know or that is not here."""
    if name is None or name == "cpu":
        return
    import torch

    try:
        device = torch.device(name)
        here = device.type == "cpu" or torch.empty(0, device=device).device.type == device.type
    except (RuntimeError, AssertionError, NotImplementedError, AttributeError) as error:
        raise ValueError(
            f"--device {name}: there is no such device here; use --device cpu, or leave it out"
        ) from error
    if not here or device.type == "meta":
        raise ValueError(f"--device {name}: computes nothing; use --device cpu, or leave it out")


def add_methods(parser: argparse.ArgumentParser) -> None:
    """Declare --method and the settings of all methods that are offered, read from the registry."""
    methods = offered()
    parser.add_argument("--method", choices=tuple(methods), required=True, help=_in_words(methods))
    for name, uses in _settings(methods).items():
        parser.add_argument(
            option_of(name),
            dest=f"setting_{name}",
            type=_kind(uses),
            metavar=_metavar(uses),
            help="; ".join(_use(method, one) for method, one in uses.items()).replace("%", "%%"),
        )


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings given for the method; raise `ValueError` for one that it does not have or
    that is out of range.
    """
    methods = offered()
    found: dict[str, Any] = {}
    for name, uses in _settings(methods).items():
        value = getattr(args, f"setting_{name}")
        if value is None:
            continue
        option = option_of(name)
        if args.method not in uses:
            raise ValueError(
                f"{option} has no meaning for {args.method}; it belongs to {' and '.join(uses)}"
            )
        try:
            methods[args.method].check({name: value})
        except ValueError as error:
            raise ValueError(f"{option} {value}: {error}") from error
        found[name] = value
    return found


def option_of(setting: str) -> str:
    """Return the option of a method's setting; --size is that of the images."""
    return "--" + {"size": "pupil-size"}.get(setting, setting).replace("_", "-")


def offered() -> dict[str, "type[Privatizer]"]:
    """Return the methods that somebody may release with, by name: all but the controls."""
    from medpriv_lib.privatizers.registry import privatizers

    return {name: one for name, one in privatizers().items() if not one.control}


def _settings(methods: Mapping[str, "type[Privatizer]"]) -> dict[str, dict[str, "Parameter"]]:
    """Return for each setting which methods have it, and what it is there."""
    found: dict[str, dict[str, Parameter]] = {}
    for method, cls in methods.items():
        for one in cls.parameters:
            found.setdefault(one.name, {})[method] = one
    return found


def _kind(uses: Mapping[str, "Parameter"]) -> Callable[[str], Any]:
    """Return the type of an option: a whole number where all methods take one, a number, a word."""
    kinds = {type(one.default) for one in uses.values()}
    return str if str in kinds else float if float in kinds else int


def _metavar(uses: Mapping[str, "Parameter"]) -> str:
    choices = [choice for one in uses.values() for choice in one.choices or ()]
    return "{" + ",".join(dict.fromkeys(choices)) + "}" if choices else "N"


def _use(method: str, one: "Parameter") -> str:
    span = "" if one.least is None or one.most is None else f"{one.least:g} to {one.most:g}, "
    return f"{method}: {one.help} ({span}default {one.usually or one.default})"


def _in_words(methods: Mapping[str, "type[Privatizer]"]) -> str:
    needs = {
        "nothing": "needs nothing else",
        "patients": "draws from patients",
        "weights": "needs weights",
    }
    return "; ".join(f"{name} {needs[cls.needs]}" for name, cls in methods.items())
