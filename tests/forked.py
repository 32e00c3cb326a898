"""Processes of their own that need not import torch again: each is forked from a server that has."""

import multiprocessing
import os
import subprocess
import sys
import threading

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["pytest", "torch", "medpriv_lib.cli", "medpriv_lib.pipeline.privatize"]
)


def _become(code, arguments, *ends):
    for descriptor, connection in enumerate(ends, start=1):
        os.dup2(connection.fileno(), descriptor)
        connection.close()
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


def start_code(code):
    """Start running code as `python -c` does, and return the process."""
    process = _CONTEXT.Process(target=_become, args=(code, []))
    process.start()
    return process


def run_code(code, *arguments, timeout=120):
    """Run code as `python -c` does, with these arguments, and return how that ended.

    The return code is negative for a signal. The process has modules, but nothing that a test did:
    the server was started without any of it.
    """
    pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(2)]
    given = code, list(map(str, arguments)), *(end for _, end in pipes)
    process = _CONTEXT.Process(target=_become, args=given)
    process.start()
    said, readers = [b"", b""], []
    for number, (mine, theirs) in enumerate(pipes):
        theirs.close()  # so that reading ends when the process does

        def read(number=number, mine=mine):
            while part := os.read(mine.fileno(), 65536):
                said[number] += part
            mine.close()

        readers.append(threading.Thread(target=read))
        readers[-1].start()
    process.join(timeout)
    late = process.is_alive()
    if late:
        process.kill()
        process.join()
    for reader in readers:
        reader.join()
    if late:
        raise subprocess.TimeoutExpired(arguments, timeout)
    out, err = (text.decode() for text in said)
    return subprocess.CompletedProcess(arguments, process.exitcode, out, err)
