"""Freed memory is used again in the process of a command, and left alone in one that is not."""

import subprocess
import sys

import pytest

from medpriv_lib import cli
from medpriv_lib.core.freed_memory import keep_freed_memory

TWENTY = """
import resource, sys
import numpy as np
from medpriv_lib.core.freed_memory import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("not here")
before, total = 0, 0.0
for step in range(21):
    blocks = [np.full(size, step, np.float32) for size in (4_000_000, 9_000_000)]
    total += sum(float(block[-1]) for block in blocks)
    del blocks
    if step == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, total)
"""


def faults(way):
    """Pages that the system cleared for twenty steps after the first, and what they computed."""
    done = subprocess.run(
        [sys.executable, "-c", TWENTY, way], capture_output=True, text=True, check=False
    )
    if "not here" in done.stderr:
        pytest.skip("the C library is not glibc")
    assert done.returncode == 0, done.stderr
    pages, total = done.stdout.split()
    return int(pages), total


def test_a_step_uses_the_pages_of_the_one_before():
    """52 MB a step are 12,700 pages of 4 kB: cleared anew each time, or once."""
    (kept, same), (given_back, total) = faults("kept"), faults("as it is")
    assert kept < 1000
    assert kept < given_back / 10
    assert same == total


@pytest.mark.parametrize(("words", "calls"), [(["medpriv", "fit"], 1), (["medpriv", "prepare"], 0)])
def test_only_the_process_of_a_training_command_keeps_memory(monkeypatch, capsys, words, calls):
    called = []
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: called.append(1))
    for argv in (None, words[1:]):  # the second: main as a function of somebody else's process
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit):
            cli.main(argv)
    assert len(called) == calls
    assert "required" in capsys.readouterr().err


def test_where_nothing_can_be_set_nothing_happens(monkeypatch):
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    assert keep_freed_memory() is False
