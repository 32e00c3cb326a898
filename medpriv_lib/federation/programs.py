"""Flower's programs, each in a session of its own, none of which outlives its federation."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

PROGRAMS = Path(sys.executable).parent
GRACE = 10.0  # seconds that a program gets to end by itself
HOME = "FLWR_HOME"  # a folder of one federation: whoever has it in the environment belongs there


@contextlib.contextmanager
def group() -> Iterator[Callable[..., subprocess.Popen]]:
    """Yield what starts programs, each in a session of its own; at the end all are ended.

    So are their children, those in further sessions as well, which Flower gives to the programs
    that it starts: whatever has the same `HOME` in its environment (Linux).
    """
    processes: list[subprocess.Popen] = []
    homes: set[str] = set()

    def start(
        program: str, *options: object, log: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen:
        with open(log, "ab") as file:
            process = subprocess.Popen(
                [str(PROGRAMS / program), *map(str, options)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        processes.append(process)
        if HOME in environment:
            homes.add(environment[HOME])
        return process

    try:
        yield start
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        until = time.monotonic() + GRACE
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):  # what is left of its session
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pid in (pid for home in homes for pid in at_home(home)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def at_home(home: str) -> list[int]:
    """Return the processes of this machine that have this `HOME` in their environment."""
    found, mark = [], f"{HOME}={home}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
