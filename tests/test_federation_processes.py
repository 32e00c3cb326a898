"""A coordinator and sites as processes: keys, ports, and a hospital that goes dark mid-round."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from federation_sites import hospitals

from medpriv_lib.cli import main
from medpriv_lib.core import weights as store
from medpriv_lib.federation.address import address_of, free_port
from medpriv_lib.federation.certificates import make_certificates
from medpriv_lib.federation.processes import _explain, quiet
from medpriv_lib.federation.programs import HOME, group

MARK = "MEDPRIV_TEST_OF_PROCESSES"


def marked(value):
    """Return the processes of this machine that carry the mark of a test in their environment."""
    found, needle = [], f"{MARK}={value}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if needle in text.split(b"\0"):
            found.append(int(path.parent.name))
    return found


def sessions_of(pid):
    """Return the sessions that a process's children lead."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if os.getsid(int(child)) == int(child)]


def waited(condition, seconds=240, every=0.2):
    """Wait until the condition holds, and say whether it did."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(every)
    return False


def command(*words, log, mark):
    """Start `medpriv federate`, its output in a file."""
    environment = os.environ | {MARK: mark, "OMP_NUM_THREADS": "1"}
    with open(log, "wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "medpriv_lib", "federate", *map(str, words)],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
        )


@contextlib.contextmanager
def federation(tmp_path, lead, join, sites):
    """Start a coordinator and a process for each site with these further options; yield the
    processes, the coordinator's log and what each site's log of messages says. None is left behind.
    """
    keys, mark = make_certificates(tmp_path / "keys", 3), str(os.getpid())
    at, said = f"127.0.0.1:{free_port()}", tmp_path / "lead.log"
    words = ["coordinator", "--certificates", keys, "--listen", at, "--size", 16]
    words += ["--out", tmp_path / "out", "--patience", 60, *lead]
    started = {"coordinator": command(*words, log=said, mark=mark)}

    def left(name):
        path = tmp_path / f"{name}-left.jsonl"
        return path.read_text() if path.exists() else ""

    try:
        # before it listens, it does not know the sites' keys
        assert waited(lambda: "listening on" in said.read_text()), said.read_text()
        for number, site in enumerate(sites, 1):
            name = f"site-{number}"
            site.cohort.save(tmp_path / f"{name}.npz")
            words = ["site", tmp_path / f"{name}.npz", "--certificates", keys, "--name", name]
            words += ["--coordinator", at, "--log", tmp_path / f"{name}-left.jsonl"]
            words += [str(word).replace("NAME", str(tmp_path / name)) for word in join]
            started[name] = command(*words, log=tmp_path / f"{name}.log", mark=mark)
        yield started, said, left
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            process.wait(60)
    assert waited(lambda: not marked(mark), 20), marked(mark)


def goes_dark(process):
    """Kill a site's programs, as a power cut would."""
    for session in sessions_of(process.pid):
        os.killpg(session, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")
def test_a_coordinator_and_three_sites_of_which_one_goes_dark(tmp_path):
    with federation(tmp_path, ["--rounds", 2], [], hospitals(3)) as (started, said, left):
        assert waited(lambda: "round 1 of 2" in said.read_text()), said.read_text()
        goes_dark(started["site-2"])
        assert started["coordinator"].wait(300) == 0, said.read_text()
        text = said.read_text()
        assert "round 1 of 2: 3 site(s) answered" in text
        assert re.search(r"round 2 of 2: 2 site\(s\) answered, .*(site-2|node)", text)
        _, card = store.load(tmp_path / "out" / "recogniser", "federated disease recogniser")
        assert card["config"]["size"] == 16
        kinds = [json.loads(line)["kind"] for line in left("site-1").splitlines()]
        assert kinds.count("train") == 2
        assert str(tmp_path) not in left("site-1")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")
def test_masks_and_noise_between_three_sites_of_which_one_goes_dark_while_it_trains(tmp_path):
    both = ["--secure-aggregation", "--epsilon", 8, "--delta", 0.001]
    lead = ["--rounds", 1, "--noise", "distributed", *both]
    one, _, three = hospitals(3)
    large = hospitals(1, 240)[0]  # a training long enough to be interrupted
    join = [*both, "--ledger", "NAME.ledger"]
    with federation(tmp_path, lead, join, (one, large, three)) as (started, said, left):
        charge = tmp_path / "site-2.ledger"  # its masks are in the others' numbers by now
        assert waited(lambda: charge.exists() and '"noise"' in charge.read_text(), every=0.01)
        goes_dark(started["site-2"])
        assert started["coordinator"].wait(300) == 0, said.read_text()
        assert "round 1 of 1: 2 site(s) answered" in said.read_text()
        (found,) = json.loads((tmp_path / "out" / "rounds.json").read_text())["rounds"]
        assert found["answered"] == ["site-1", "site-3"]
        notes = ["the sum of 2 masked updates", "the masks of 1 lost site(s) were recovered"]
        assert found["notes"][:2] == notes
        assert found["loss"] is None  # it would leave without noise
        for name in ("site-1", "site-3"):
            assert '"masked.numbers"' in left(name)
            assert '"arrays.' not in left(name)
            (paid,) = json.loads((tmp_path / f"{name}.ledger").read_text())["charges"]
            assert paid["steps"] == 1
            assert paid["noise"] > 0
        _, card = store.load(tmp_path / "out" / "recogniser", "federated disease recogniser")
        assert card["config"]["model"] == "Grouped"


def test_a_port_in_use_is_one_line(tmp_path, capsys):
    keys = make_certificates(tmp_path / "keys", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ["federate", "coordinator", "--certificates", str(keys), "--listen", at]
        assert main([*words, "--sites", "1", "--out", str(tmp_path / "out")]) == 2
    assert f"{at} cannot be listened on" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_coordinator_with_another_certificate_is_one_line(tmp_path, capsys):
    keys = make_certificates(tmp_path / "keys", 1)
    others = make_certificates(tmp_path / "others", 1)
    hospitals(1)[0].cohort.save(tmp_path / "own.npz")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(others / "coordinator.crt", others / "coordinator.key")

    def answer():
        with contextlib.suppress(OSError):  # the site hangs up
            while True:
                context.wrap_socket(server.accept()[0], server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=answer, daemon=True).start()
        at = f"127.0.0.1:{server.getsockname()[1]}"
        words = ["federate", "site", str(tmp_path / "own.npz"), "--name", "site-1"]
        assert main([*words, "--certificates", str(keys), "--coordinator", at]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert "has another certificate than ca.crt vouches for" in said[-1]


def test_a_missing_key_and_a_bad_address_are_one_line(tmp_path, capsys):
    hospitals(1)[0].cohort.save(tmp_path / "own.npz")
    words = ["federate", "site", str(tmp_path / "own.npz"), "--name", "site-9"]
    keys = str(make_certificates(tmp_path / "keys", 1))
    assert main([*words, "--certificates", keys, "--coordinator", "here:1"]) == 2
    assert "site-9: no such file; make keys for trying" in capsys.readouterr().err
    with pytest.raises(ValueError, match="written HOST:PORT"):
        address_of("here")


def test_certificates_are_not_overwritten_and_keys_are_ones_own(tmp_path):
    folder = make_certificates(tmp_path / "keys", 2, ["10.0.0.7", "lead.example"])
    assert (folder / "site-2").stat().st_mode & 0o777 == 0o600
    assert (folder / "coordinator.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError, match="is there already"):
        make_certificates(folder, 2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ssl.SSLCertVerificationError: certificate verify failed", "another certificate"),
        ("ERROR: UNAUTHENTICATED", "does not know this key"),
        ("connection refused", "is gone or cannot be reached"),
    ],
)
def test_the_end_of_a_site_is_one_line(text, why):
    with pytest.raises(ValueError, match=why):
        _explain("site-1", "here:1", 1, text)
    _explain("site-1", "here:1", 0, "INFO: done")


def test_flower_is_told_to_be_quiet(tmp_path):
    found = quiet(tmp_path)
    assert found["FLWR_TELEMETRY_ENABLED"] == "0"
    assert found["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert found["FLWR_HOME"] == str(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="sessions")
@pytest.mark.parametrize("session", ["", "setsid "])  # Flower starts programs in further ones
def test_grandchildren_end_with_their_session(tmp_path, monkeypatch, session):
    program = tmp_path / "parent"
    program.write_text(
        f"#!/bin/sh\ntrap '' INT\n{session}sh -c 'echo $$ > child; exec sleep 300' &\n"
        "while [ ! -s child ]; do sleep 0.05; done\nexit 0\n"
    )
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("medpriv_lib.federation.programs.PROGRAMS", tmp_path)
    environment = os.environ | {HOME: str(tmp_path)}
    with group() as start:
        start("parent", log=tmp_path / "log", environment=environment).wait()
        child = int((tmp_path / "child").read_text())
        os.kill(child, 0)
    stat = Path(f"/proc/{child}/stat")
    assert waited(lambda: not stat.exists() or stat.read_text().split()[2] == "Z", 5)
