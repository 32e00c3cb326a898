"""What the parties' sessions have in common: where a party listens, the greeting, the session's
number, and that a session which fails ends for all.
"""

import hashlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from medpriv_lib.core.host import host_of
from medpriv_lib.encrypted.architecture import Architecture, Part
from medpriv_lib.encrypted.gates import Talk
from medpriv_lib.encrypted.shares import Ring
from medpriv_lib.encrypted.wire import SessionError, Wire, listen

PROTOCOL = 2  # rises when messages change; both sides must have the same
HELLO = {"protocol": int, "nonce": str}
AGAIN, END = "an image", "the end"
Say = Callable[[str], None]


class Address(NamedTuple):
    """Where a party listens."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> "Address":
        """Read HOST:PORT. Raises `ValueError` for anything else."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"an address is HOST:PORT, such as 127.0.0.1:7601, not {text!r}")
        return cls(host_of(host), int(port))


def carried(wire: Wire, talk: Talk) -> Ring:
    """Carry one party's half of the protocol over a connection, and return its result."""
    message = next(talk)
    while True:
        theirs = wire.swap(message.sent, message.due, message.what)
        try:
            message = talk.send(theirs)
        except StopIteration as stop:
            return stop.value


def receive_parts(dealer: Wire, architecture: Architecture) -> Iterator[Part]:
    """Receive what the dealer deals for one image, one part for each step of the network."""
    for number, step in enumerate(architecture.steps()):
        yield step.part(dealer.receive(step.shapes(), f"part {number}"))


def serve(at: Address, session: Callable[[socket.socket], None], say: Say, once: bool) -> None:
    """Listen, and hold one session after another; `once`: one, whose `SessionError` is raised."""
    with listen(*at) as server:
        host, port = server.getsockname()[:2]
        say(f"listening on {host}:{port}")
        while True:
            try:
                session(server)
            except SessionError as error:
                if once:
                    raise
                say(f"a session ended early: {error}")
            if once:
                return


def guarded(wires: list[Wire], run: Callable[[], Any]) -> Any:
    """Run a session; tell the partners where it fails, and close the connections in any case."""
    try:
        return run()
    except ValueError as error:
        for wire in wires:
            wire.complain(str(error))
        raise
    finally:
        for wire in wires:
            wire.close()


def hello(wire: Wire, needed: Mapping[str, type]) -> dict[str, Any]:
    """Return the partner's greeting. Raises `SessionError` for another version of the protocol."""
    theirs = wire.hear("greeting", HELLO | dict(needed))
    if theirs["protocol"] != PROTOCOL:
        raise SessionError(
            f"the {wire.partner} speaks version {theirs['protocol']} of the protocol, this side "
            f"{PROTOCOL}; install the same version of medpriv on both"
        )
    return theirs


def number_of(data_owner: str, model_owner: str) -> bytes:
    """Return the session's number: fresh as soon as one of the two drew a fresh part of it."""
    return hashlib.blake2b(f"{data_owner} {model_owner}".encode(), digest_size=16).digest()


def read_number(text: str) -> bytes:
    """Return a session's number that a partner wrote. Raises `SessionError` for anything else."""
    try:
        session = bytes.fromhex(text)
    except ValueError:
        session = b""
    if len(session) != 16:
        raise SessionError("a session's number has 32 hexadecimal digits, and this one has not")
    return session


def read_architecture(content: dict[str, Any]) -> Architecture:
    """Return an architecture that a partner wrote. Raises `SessionError` for anything else."""
    try:
        return Architecture(**content)
    except (TypeError, ValueError) as error:
        raise SessionError(f"the architecture that was sent is none: {error}") from error


def ask(dealer: Wire, session: bytes, architecture: Architecture) -> None:
    """Ask the dealer for a session; through JSON, so that both parties' requests are equal."""
    dealer.tell({"session": session.hex(), "architecture": asdict(architecture)}, "request")
