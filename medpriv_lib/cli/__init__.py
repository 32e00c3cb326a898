"""The `medpriv` command: prepare, fit, privatize, evaluate, study, attack, explain, infer,
consult, federate.
"""

import argparse
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from medpriv_lib import __version__
from medpriv_lib.cli import (
    attack,
    consult,
    evaluate,
    explain,
    federate,
    fit,
    infer,
    prepare,
    privatize,
    study,
)
from medpriv_lib.cli.options import shown
from medpriv_lib.core.freed_memory import keep_freed_memory

COMMANDS = (prepare, fit, privatize, evaluate, study, attack, explain, infer, consult, federate)
TRAINING = ("fit", "study", "attack")  # commands whose process is theirs for hours
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Parser(argparse.ArgumentParser):
    """A parser whose errors all read `medpriv: error: …`, whichever subcommand they come from."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print the usage and the message, and exit with status 2."""
        self.print_usage(sys.stderr)
        line = " ".join(f"medpriv: error: {message}; `{self.prog} --help` shows examples".split())
        self.exit(2, shown(line, sys.stderr.encoding) + "\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print; argparse would hide that a full disk took no help text."""
        if message and file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)


ENDING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # SIGHUP: the terminal, or the connection to it, is gone


class Terminated(KeyboardInterrupt):
    """A signal asked this process to end; its number is the argument."""


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command; only the arguments of the chosen subcommand are built,
    because some are read from a registry that takes seconds to import.
    """
    parser = Parser(
        prog="medpriv",
        description=__doc__,
        epilog="start with `medpriv study`: the paper's table on the cohort of the package",
    )
    parser.add_argument("--version", action="version", version=f"medpriv {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", required=True, parser_class=Parser, metavar="COMMAND"
    )
    for command in COMMANDS:
        summary, _, rest = (command.__doc__ or "").partition("\n")
        name = name_of(command.__name__)
        child = subparsers.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=rest.strip("\n"),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen:
            command.add_arguments(child)
            child.set_defaults(run=command.run, stopped=command.STOPPED)
    return parser


def name_of(module: str) -> str:
    """Return the subcommand of a module."""
    return module.rpartition(".")[2]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after printing `medpriv: error: …` for what the user can put
    right, 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP.
    """
    own = argv is None  # the process is this command's, not a notebook's or a test's
    argv = sys.argv[1:] if argv is None else list(argv)
    args = argparse.Namespace(stopped="nothing was written")
    try:
        with _streams(), _ending_on_signals():
            chosen = next((word for word in argv if not word.startswith("-")), None)
            if chosen is not None:
                _require_here()
            if own and chosen in TRAINING:
                keep_freed_memory()
            build_parser(chosen).parse_args(argv, args)
            args.run(args)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output went away, as with `medpriv study | head`
        _silence()
        return 1
    except SystemExit as ended:  # after --help and --version, too, somebody waits for the text
        if not ended.code and (line := _unprinted()):
            print(f"medpriv: error: {line}", file=sys.stderr)
            return 2
        raise
    except KeyboardInterrupt as signalled:
        with contextlib.suppress(OSError):  # the terminal may be what is gone
            print(f"medpriv: stopped; {args.stopped}", file=sys.stderr, flush=True)
        return 128 + (signalled.args[0] if isinstance(signalled, Terminated) else signal.SIGINT)
    except Exception as error:
        line = one_line(error)
        if line is None:
            raise
        _unprinted()
        print(f"medpriv: error: {shown(line, sys.stderr.encoding)}", file=sys.stderr)
        return 2
    return 0


def _require_here() -> None:
    """Raise where the folder that the command was started in is gone: libraries end the process."""
    try:
        os.getcwd()
    except OSError as error:
        raise FileNotFoundError(
            "the folder that this command was started in is gone; change to one that is there"
        ) from error


def _unprinted() -> str | None:
    """Say in one line why what was told could not be printed, and drop that text: Python would
    complain of it at its end. None where all was printed.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _silence()
        return one_line(error)
    return None


def _silence() -> None:
    """Print nothing any more: nobody can read it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Give a stream that is closed, as for a program that is started without one, an empty end."""
    with contextlib.ExitStack() as stack:
        for name, redirect in (
            ("stdout", contextlib.redirect_stdout),
            ("stderr", contextlib.redirect_stderr),
        ):
            if getattr(sys, name) is None:
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(redirect(nowhere))
        yield


def one_line(error: Exception) -> str | None:
    """Turn an error that the user can put right into one line that says what to do; None for a
    fault of ours.
    """
    if _no_memory(error):
        return (
            "not enough memory for this; use fewer or smaller images, or a machine with more "
            f"({_flat(error)[:160]})"
        )
    if type(error).__name__ == "SafetensorError":  # it hides the error number of a failed write
        number = next((number for number in FULL if f"os error {number}" in str(error)), None)
        return _flat(error) if number is None else one_line(OSError(number, os.strerror(number)))
    if isinstance(error, OSError) and error.errno in FULL:
        where = f" while writing {error.filename}" if error.filename else ""
        return (
            f"the disk is full{where} ({os.strerror(error.errno)}); nothing that was there is "
            "lost: free some space and run the same command again"
        )
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{os.strerror(error.errno)}; check the path and its permissions"
    missing = isinstance(error, ImportError) and "install" in str(error)  # with its remedy
    return _flat(error) if missing or isinstance(error, ValueError | OSError) else None


def _flat(error: Exception) -> str:
    return " ".join(str(error).split())


def _no_memory(error: Exception) -> bool:
    """Return whether memory ran out: numpy, torch and OpenCV each have their own error for that."""
    text = str(error).lower()
    told = ("out of memory", "insufficient memory", "can't allocate memory", "cannot allocate")
    theirs = isinstance(error, RuntimeError) or type(error).__module__.startswith("cv2")
    return isinstance(error, MemoryError) or (theirs and any(words in text for words in told))


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """End as on Ctrl-C when SIGTERM or SIGHUP comes: what was begun is cleared away.

    What a signal raises is lost where it comes in the midst of a finaliser; so it is raised again
    every second, unless something is being cleared away already. A signal that was ignored before
    stays so, as `nohup` asks for.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = [0]
    alarm = getattr(signal, "SIGALRM", None)  # Windows has none

    def end(number: int, frame: FrameType | None) -> None:
        asked[0] = asked[0] if number == alarm else number
        if alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 1)
        if number != alarm or not _is_ending(sys.exception()):
            raise Terminated(asked[0])

    heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    heard += [] if alarm is None else [alarm]
    before = [signal.signal(number, end) for number in heard]
    try:
        yield
    finally:
        if alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip(heard, before, strict=True):
            signal.signal(number, handler)


def _is_ending(error: BaseException | None) -> bool:
    """Say whether this error, or one that it came up in, ends the process."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
