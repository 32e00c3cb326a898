"""Three parties over TLS: what ends a session, in one clear line each, and that nothing stays behind."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

pytest.importorskip("cryptography")

from medpriv_lib.cli import main
from medpriv_lib.encrypted import parties, wire
from medpriv_lib.encrypted.certificates import make_certificates
from medpriv_lib.encrypted.parties import (
    infer_as_data_owner,
    serve_dealer,
    serve_model_owner,
)
from medpriv_lib.encrypted.session import PROTOCOL, Address
from medpriv_lib.encrypted.wire import HEADER, SessionError, Wire
from medpriv_lib.pipeline.infer import infer_on_loopback, loopback
from medpriv_lib.recognition.networks import Recogniser

NOWHERE = Address("127.0.0.1", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(make_certificates(tmp_path_factory.mktemp("keys") / "one"))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Recogniser(2, 16).eval()


class Served:
    """A party in a thread, for one session: its address, what it said, and the error that ended
    it."""

    def __init__(self, serve, *args, **options):
        self.said, self.error, self.up = [], None, threading.Event()
        at = Address("127.0.0.1", 0)

        def run():
            try:
                serve(
                    *args,
                    at,
                    *options.pop("after", ()),
                    say=self.say,
                    once=True,
                    timeout=120,
                    **options,
                )
            except SessionError as error:
                self.error = error
            self.up.set()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert self.up.wait(120)
        self.address = Address.of(self.said[0].removeprefix("listening on "))

    def say(self, text):
        self.said.append(text)
        self.up.set()

    def end(self):
        self.thread.join(120)
        assert not self.thread.is_alive()


def dealer(folder):
    return Served(serve_dealer, after=(folder,))


def model_owner(network, dealer_at, folder):
    return Served(serve_model_owner, network, after=(dealer_at, folder))


def ends(limit=60):
    """Return two connected wires without TLS, of one session."""
    one, other = socket.socketpair()
    wires = Wire(one, "model-owner", limit), Wire(other, "data-owner", limit)
    for each in wires:
        each.session = b"s" * 16
    return wires


def test_a_session_over_tls(folder, network):
    d = dealer(folder)
    m = model_owner(network, d.address, folder)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 1, 16, 16))
    answer = infer_as_data_owner(list(x), m.address, d.address, folder)
    with torch.no_grad():
        want = network(torch.from_numpy(x).float()).numpy()
    assert np.abs(answer.logits - want).max() < 1e-4
    assert [costs.rounds for costs in answer.costs] == [25, 25]
    assert answer.costs[0].sent == answer.costs[1].sent > 8 * 16 * 16
    for each in (m, d):
        each.end()
        assert each.error is None
    assert "no image and no logits" in m.said[-1]
    assert "dealt for 2 image(s)" in d.said[-1]


def test_large_messages_cross_without_blocking_each_other():
    one, other = ends()
    numbers = np.arange(400_000, dtype=np.uint64)
    found = {}
    thread = threading.Thread(
        target=lambda: found.update(got=other.swap(numbers + np.uint64(1), len(numbers), "step"))
    )
    thread.start()
    assert (one.swap(numbers, len(numbers), "step") == numbers + np.uint64(1)).all()
    thread.join()
    assert (found["got"] == numbers).all()
    assert one.sent == HEADER.size + numbers.nbytes


def test_a_replayed_message_is_refused():
    one, other = ends()
    head = one.connection
    other.swap(np.ones(3, np.uint64), 0, "step")
    recorded = bytearray()
    while len(recorded) < HEADER.size + 24:
        recorded += head.recv(1 << 16)
    fresh, sender = ends()
    sender.connection.sendall(bytes(recorded) * 2)
    assert fresh.swap(None, 3, "step").tolist() == [1, 1, 1]
    with pytest.raises(SessionError, match="message 0 where 1 was due: sent again"):
        fresh.swap(None, 3, "step")
    stranger, sender = ends()
    stranger.session = b"t" * 16
    sender.connection.sendall(bytes(recorded))
    with pytest.raises(SessionError, match="another session"):
        stranger.swap(None, 3, "step")


@pytest.mark.parametrize(
    ("due", "what", "message"),
    [(4, "step", "24 bytes where 32 were due"), (3, "other", "belongs to another step")],
)
def test_a_message_of_another_length_or_step_is_refused(due, what, message):
    one, other = ends()
    other.swap(np.ones(3, np.uint64), 0, "step")
    with pytest.raises(SessionError, match=message):
        one.swap(None, due, what)


def test_another_program_is_noticed():
    one, other = ends()
    other.connection.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n")
    with pytest.raises(SessionError, match="no message of this protocol"):
        one.swap(None, 3, "step")


def test_a_silent_partner_is_given_up():
    one, _other = ends(limit=0.1)
    with pytest.raises(SessionError, match="silent"):
        one.swap(None, 3, "step")


def test_a_partner_that_leaves_is_named():
    one, other = ends()
    other.close()
    with pytest.raises(SessionError, match=r"the model-owner is gone \(at step\)"):
        one.swap(None, 3, "step")


def test_nonsense_in_place_of_a_greeting():
    one, other = ends()
    other.tell({"protocol": "one"}, "greeting")
    with pytest.raises(SessionError, match="same version"):
        one.hear("greeting", {"protocol": int})


class Tampering:
    """A machine between two parties that flips a bit once so many bytes have passed."""

    def __init__(self, to, after):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = Address(*self.server.getsockname())
        self.to, self.after = to, after
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        left, _ = self.server.accept()
        right = socket.create_connection(self.to)
        threading.Thread(target=self.carry, args=(right, left, None), daemon=True).start()
        self.carry(left, right, self.after)

    def carry(self, source, sink, after):
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                passed += len(data)
                if after is not None and passed > after:
                    data = data[:-1] + bytes([data[-1] ^ 1])
                    after = None
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def test_a_tampered_share_is_noticed(folder, network):
    d = dealer(folder)
    m = model_owner(network, d.address, folder)
    between = Tampering(m.address, after=10_000)  # the handshake is over, shares are on their way
    with pytest.raises(SessionError):
        infer_as_data_owner([np.zeros((1, 16, 16))], between.address, d.address, folder)
    m.end()
    assert re.search("was changed on its way", str(m.error))
    d.end()


def test_certificates_of_another_authority_are_refused(folder, tmp_path):
    other = str(make_certificates(tmp_path / "other"))
    d = dealer(folder)
    with pytest.raises(SessionError, match="certificate of the dealer is not accepted"):
        wire.connect(*d.address, other, "data-owner", "dealer")
    d.end()
    assert "certificate" in str(d.error)


def test_a_role_cannot_be_played_with_another_roles_certificate(folder, tmp_path, network):
    shutil.copytree(folder, tmp_path / "thief")
    for end in ("crt", "key"):
        shutil.copy(tmp_path / f"thief/dealer.{end}", tmp_path / f"thief/model-owner.{end}")
    m = model_owner(network, NOWHERE, str(tmp_path / "thief"))
    with pytest.raises(SessionError, match="certificate of the model-owner is not accepted"):
        infer_as_data_owner([np.zeros((1, 16, 16))], m.address, NOWHERE, folder)
    m.end()
    d = dealer(folder)
    connection = wire.connect(*d.address, folder, "dealer", "dealer")
    with pytest.raises(SessionError, match="your certificate names dealer"):
        connection.hear("greeting", {})
    d.end()
    assert "a certificate of dealer came" in str(d.error)


def test_missing_and_damaged_certificates_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="--make-certificates"):
        wire.connect(*NOWHERE, str(tmp_path), "data-owner", "dealer")
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged/dealer.key").write_text("nothing")
    with pytest.raises(ValueError, match="cannot be read"):
        wire.connect(*NOWHERE, str(tmp_path / "damaged"), "dealer", "dealer")
    with pytest.raises(FileExistsError, match="empty folder"):
        make_certificates(folder)
    assert os.stat(f"{folder}/dealer.key").st_mode & 0o077 == 0


def test_a_port_in_use_is_one_line(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = Address(*taken.getsockname())
        with pytest.raises(SessionError, match=r"cannot listen on 127\.0\.0\.1:\d+ .*another port"):
            serve_dealer(at, folder, print, once=True)


def test_nobody_at_the_address(folder, network):
    with pytest.raises(SessionError, match="no model-owner answers at 127.0.0.1:1"):
        infer_as_data_owner([np.zeros((1, 16, 16))], NOWHERE, NOWHERE, folder)
    m = model_owner(network, NOWHERE, folder)
    with pytest.raises(SessionError, match="no dealer answers|is gone"):
        infer_as_data_owner([np.zeros((1, 16, 16))], m.address, NOWHERE, folder)
    m.end()
    assert "no dealer answers" in str(m.error)


def test_an_image_of_another_size_ends_the_session_early(folder, network):
    m = model_owner(network, NOWHERE, folder)
    with pytest.raises(ValueError, match="the network sees"):
        infer_as_data_owner([np.zeros((1, 32, 32))], m.address, NOWHERE, folder)
    m.end()


def test_another_version_of_the_protocol(folder, network, monkeypatch):
    m = model_owner(network, NOWHERE, folder)
    connection = wire.connect(*m.address, folder, "data-owner", "model-owner")
    connection.tell({"protocol": PROTOCOL + 1, "nonce": "", "images": 1}, "greeting")
    with pytest.raises(SessionError, match="install the same version"):
        connection.hear("greeting", {})
    m.end()


def read_all(connection):
    connection.setblocking(True)
    with contextlib.suppress(OSError):
        while connection.recv(1 << 16):
            pass


def test_the_dealer_deals_once_for_a_session(folder):
    served, request = set(), {"session": "00" * 16, "architecture": {"size": 16}}
    for again in (False, True):
        pairs = [socket.socketpair() for _ in range(2)]
        inner = [Wire(pair[0], "partner", 10) for pair in pairs]
        outer = [Wire(pair[1], "dealer", 10) for pair in pairs]
        for each in outer:
            each.tell(request, "request")
            each.tell({"next": "the end"}, "wish")
        drain = threading.Thread(target=read_all, args=(pairs[0][1],), daemon=True)
        drain.start()
        if again:
            with pytest.raises(SessionError, match="nothing may be dealt twice"):
                parties._deal_session(*inner, served, print)
        else:
            parties._deal_session(*inner, served, print)


@pytest.mark.parametrize("text", ["", "7601", "host:", "host:seven", "host:70000"])
def test_addresses_are_host_and_port(text):
    with pytest.raises(ValueError, match="HOST:PORT"):
        Address.of(text)


def run_command(*options):
    return subprocess.run(
        [sys.executable, "-m", "medpriv_lib", "infer", *options],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--role", "dealer"], "--role dealer needs --listen"),
        (["--listen", "127.0.0.1:0"], "--listen needs --role"),
        (["--classes", "one"], "--classes needs two names"),
        (
            ["x.png", "--role", "dealer", "--listen", "a:1", "--certificates", "."],
            "reads no images",
        ),
    ],
)
def test_options_that_do_not_fit_are_one_line(options, message, capsys):
    assert main(["infer", *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_the_command_with_three_processes(capsys):
    found = run_command("--images", "1", "--encrypted")
    assert found.returncode == 0, found.stderr
    assert "174112 comparisons, 25 rounds" in found.stdout
    for party in ("model owner", "data owner", "dealer"):
        assert f"the {party} saw" in found.stdout
    assert main(["infer", "--images", "1"]) == 0
    plain = capsys.readouterr().out
    assert plain.splitlines()[0][:30] == found.stdout.splitlines()[0][:30]


def is_alive(process):
    return process.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])  # the dealer, the model owner
def test_a_killed_party_ends_the_session_and_nothing_stays(folder, victim):
    with loopback(folder) as (model_at, dealer_at, processes):
        killer = threading.Timer(1.0, lambda: processes[victim].send_signal(signal.SIGKILL))
        killer.start()
        with pytest.raises(SessionError, match="gone|stopped|answers"):
            infer_as_data_owner([np.zeros((1, 64, 64))] * 50, model_at, dealer_at, folder)
        killer.join()
    assert not any(map(is_alive, processes))


@pytest.mark.slow
def test_a_data_owner_who_is_killed_leaves_no_process(folder):
    code = (
        "import sys, numpy as np\n"
        "from medpriv_lib.pipeline.infer import loopback\n"
        "from medpriv_lib.encrypted.parties import infer_as_data_owner\n"
        f"with loopback({folder!r}) as (m, d, processes):\n"
        "    print(*(p.pid for p in processes), flush=True)\n"
        f"    infer_as_data_owner([np.zeros((1, 64, 64))] * 50, m, d, {folder!r})\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(pids) == 2
    time.sleep(3)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    for _ in range(150):
        gone = [not os.path.exists(f"/proc/{pid}") or "Z" in _state(pid) for pid in pids]
        if all(gone):
            return
        time.sleep(0.5)
    raise AssertionError(f"still running: {pids}")


def _state(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]
    return "Z"


@pytest.mark.slow
def test_weights_that_are_not_there_are_named():
    with pytest.raises(FileNotFoundError, match="no such card of weights"):
        infer_on_loopback(np.zeros((1, 64, 64), np.uint8), "/nowhere")
