"""The `medpriv` command: prepare, fit, privatize, evaluate, study, attack, explain, infer."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from safetensors import SafetensorError

from medpriv_lib import __version__
from medpriv_lib.cli import attack, evaluate, explain, fit, infer, prepare, privatize, study

COMMANDS = (prepare, fit, privatize, evaluate, study, attack, explain, infer)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Parser(argparse.ArgumentParser):
    """A parser whose errors all read `medpriv: error: …`, whichever subcommand they come from."""

    def error(self, message: str) -> None:
        """Print the usage and the message, and exit with status 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"medpriv: error: {message}; `{self.prog} --help` shows examples\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = Parser(
        prog="medpriv",
        description=__doc__,
        epilog=(
            "start with `medpriv study`: the paper's table on the cohort that comes with the package"
        ),
    )
    parser.add_argument("--version", action="version", version=f"medpriv {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", required=True, parser_class=Parser, metavar="COMMAND"
    )
    for command in COMMANDS:
        summary, _, rest = command.__doc__.partition("\n")
        child = subparsers.add_parser(
            command.__name__.rpartition(".")[2],
            help=summary,
            description=summary,
            epilog=rest.strip("\n"),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(child)
        child.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after printing `medpriv: error: …` for what the user can put
    right.
    """
    args = build_parser().parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output went away, as with `medpriv study | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(
            "medpriv: stopped; what was finished is kept, the same command goes on from there",
            file=sys.stderr,
        )
        return 130
    except (ValueError, OSError, SafetensorError) as error:
        print(f"medpriv: error: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def one_line(error: Exception) -> str:
    """Turn an error into one line that says what to do."""
    if isinstance(
        error, SafetensorError
    ):  # it hides the error number of a failed write in its text
        number = next((number for number in FULL if f"os error {number}" in str(error)), None)
        error = error if number is None else OSError(number, os.strerror(number))
    if isinstance(error, OSError) and error.errno in FULL:
        where = f" while writing {error.filename}" if error.filename else ""
        return (
            f"the disk is full{where} ({os.strerror(error.errno)}); nothing that was there is lost: "
            "free some space and run the same command again"
        )
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{os.strerror(error.errno)}; check the path and its permissions"
    return " ".join(str(error).split())
