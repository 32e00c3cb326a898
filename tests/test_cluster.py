"""Pieces of work on a Dask cluster: encrypted, in their order, and whole after a worker is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from medpriv_lib.core.cluster import require_private, spread
from medpriv_lib.encrypted.certificates import make_certificates

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

ROOT = Path(__file__).resolve().parents[1]
WORKER = """
import sys
sys.argv = ["dask", *sys.argv[1:]]
from dask.__main__ import main
main()
"""


def noted(number, folder):
    """Leave a note of who worked on a piece, slowly enough to be killed at it."""
    time.sleep(0.2)
    (Path(folder) / f"{number}-{os.getpid()}").touch()
    return number * number


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "ws://localhost:1", "localhost:8786"])
def test_an_open_address_is_refused(address):
    with pytest.raises(ValueError, match="would travel in the open"):
        list(spread(abs, [1], scheduler=address))


def test_an_encrypted_address_without_certificates_is_refused():
    with pytest.raises(ValueError, match="there are no certificates for tls:// in Dask's"):
        list(spread(abs, [1], scheduler="tls://127.0.0.1:1"))


def test_a_private_address_is_taken():
    require_private("tls://cluster.example:8786")
    require_private("tcp://127.0.0.1:8786")


def test_without_a_scheduler_processes_are_used():
    assert list(spread(abs, [-1, 2, -3], workers=1)) == [1, 2, 3]


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed(tmp_path, monkeypatch):
    notes = tmp_path / "notes"
    notes.mkdir()
    keys = make_certificates(tmp_path / "keys")
    told = {"CA_FILE": keys / "authority.crt"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        told |= {f"{role}__CERT": keys / "dealer.crt", f"{role}__KEY": keys / "dealer.key"}
    for name, path in told.items():
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}", str(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-c", WORKER]
    running = [
        subprocess.Popen(
            [*command, "scheduler", "--host", "127.0.0.1", "--protocol", "tls", "--port", "0", "--no-dashboard",
             "--scheduler-file", file], stderr=subprocess.DEVNULL,
        )
    ]  # fmt: skip
    try:
        running += [
            subprocess.Popen(
                [*command, "worker", "--scheduler-file", file, "--nthreads", "1", "--no-nanny",
                 "--no-dashboard", "--local-directory", tmp_path], stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]  # fmt: skip
        until(file.exists)
        address = json.loads(file.read_text())["address"]
        assert address.startswith("tls://")
        tls = "distributed.comm.tls"
        own = {f"{tls}.ca-file": str(keys / "authority.crt")}
        own |= {f"{tls}.client.cert": str(keys / "dealer.crt")}
        own |= {f"{tls}.client.key": str(keys / "dealer.key")}
        with dask.config.set(own):
            with distributed.Client(address, set_as_default=False, timeout=60) as client:
                client.wait_for_workers(2, timeout=60)
            work = spread(partial(noted, folder=notes), range(20), scheduler=address)
            first = next(work)
            until(lambda: len({one.name.partition("-")[2] for one in notes.iterdir()}) == 2)
            running[1].send_signal(signal.SIGKILL)
            assert [first, *work] == [number * number for number in range(20)]
        assert {int(one.name.partition("-")[0]) for one in notes.iterdir()} == set(range(20))
        assert running[1].wait(10) == -signal.SIGKILL
    finally:
        # not terminate: a worker whose scheduler goes first waits for it, at times for longer than half a minute
        for process in running:
            process.kill()
        for process in running:
            process.wait(30)


def until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
