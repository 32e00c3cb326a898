"""Parties as processes of their own on this machine, which end with the block that needs them."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

from medpriv_lib.encrypted.session import Address
from medpriv_lib.encrypted.wire import SessionError

START = 300.0  # seconds within which a party must listen


@contextlib.contextmanager
def on_loopback() -> Iterator[list[subprocess.Popen]]:
    """Yield a list for processes; at the end all in the list are ended, however the block ends."""
    processes: list[subprocess.Popen] = []
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def start_party(role: str, command: list[str], processes: list[subprocess.Popen]) -> Address:
    """Start `medpriv` with a command whose party says where it listens, and return that address.

    Raises `SessionError` with the last line that the party printed where it does not listen.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "medpriv_lib", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )
    processes.append(process)
    assert process.stdout is not None
    watch = threading.Timer(START, process.kill)
    watch.start()
    try:
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith("listening on "):
                return Address.of(line.removeprefix("listening on ").strip())
    finally:
        watch.cancel()
    raise SessionError(
        f"the {role} did not start: {' '.join(said[-1:]) or f'nothing in {START:.0f} s'}"
    )
