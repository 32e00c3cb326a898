"""Messages between two parties over one connection: framed, in step, and counted.

Every message has a header of 44 bytes: a mark, the session, its number in its direction, what it is
for, and its length, all checked before its body is read. TLS keeps others from reading and changing
it and says who sent it; the header catches what TLS cannot know: a message of another session, one
that came before, one that belongs to another step.
"""

import contextlib
import hashlib
import json
import select
import socket
import ssl
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medpriv_lib.encrypted.certificates import context, roles_of

HEADER = struct.Struct("<4s16sQ8sQ")
MARK = b"mpi1"
TEXT = 1 << 16  # bytes of a message in JSON at most
PIECE = 1 << 18  # bytes that are offered to the connection at once
TIMEOUT = 120.0  # seconds of silence after which a partner counts as gone
NO_SESSION = bytes(16)


class SessionError(ValueError):
    """A session ended early; the message says at which step, why, and what to do."""


class Wire:
    """A connection to one partner: messages out and in, in step, with bytes and rounds counted.

    `connection` is a connected socket, with TLS or, in tests, without. `partner` is the other
    side's role, for messages.
    """

    def __init__(self, connection: socket.socket, partner: str, timeout: float = TIMEOUT) -> None:
        """Take the connection over; it is closed by `close`."""
        self.connection, self.partner, self.timeout = connection, partner, timeout
        self.session = NO_SESSION
        self.sent = self.received = self.rounds = 0
        self.out_number = self.in_number = 0
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # no TCP: a pair of sockets within one machine
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def swap(self, mine: np.ndarray | None, due: int, what: str) -> np.ndarray:
        """Send numbers (None: nothing), receive `due` numbers (0: nothing); one round."""
        received = self._turn(None if mine is None else [mine], 8 * due if due else None, what)
        self.rounds += 1
        return np.frombuffer(received, np.uint64)

    def send(self, arrays: list[np.ndarray], what: str) -> None:
        """Send arrays as one message."""
        self._turn(arrays, None, what)

    def receive(
        self, shapes: Sequence[tuple[tuple[int, ...], type]], what: str
    ) -> list[np.ndarray]:
        """Receive arrays of these shapes and types as one message."""
        sizes = [int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in shapes]
        body, start = self._turn(None, sum(sizes), what), 0
        found: list[np.ndarray] = []
        for (shape, kind), size in zip(shapes, sizes, strict=True):
            found.append(np.frombuffer(body, kind, int(np.prod(shape)), start).reshape(shape))
            start += size
        return found

    def tell(self, content: dict[str, Any], what: str) -> None:
        """Send a small message in JSON."""
        self._turn([np.frombuffer(json.dumps(content).encode(), np.uint8)], None, what)

    def hear(self, what: str, needed: Mapping[str, type]) -> dict[str, Any]:
        """Receive a small message in JSON that holds these keys with values of these types."""
        body = self._turn(None, -TEXT, what)
        try:
            content = json.loads(bytes(body))
        except ValueError:
            content = None
        if not isinstance(content, dict) or any(
            not isinstance(content.get(key), kind) for key, kind in needed.items()
        ):
            raise SessionError(
                f"the {self.partner} sent no valid {what}; do both sides have the same version of "
                "medpriv?"
            )
        return content

    def complain(self, text: str) -> None:
        """Tell the partner why this side stops, if the partner still listens."""
        with contextlib.suppress(SessionError, OSError):
            self.timeout = 2.0
            self._turn([np.frombuffer(text.encode()[:TEXT], np.uint8)], None, "error")

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self.connection.close()

    def _turn(self, mine: list[np.ndarray] | None, due: int | None, what: str) -> bytearray:
        """Send and receive at once, so that two large messages cannot block each other."""
        out = memoryview(b"")
        if mine is not None:
            size = sum(x.nbytes for x in mine)
            head = HEADER.pack(MARK, self.session, self.out_number, _label(what), size)
            flat = [np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in mine]
            pieces = [memoryview(head), *(one.data for one in flat)]
            self.out_number += 1
            self.sent += HEADER.size + size
            if due is None and size > PIECE:  # a dealer's messages are large: sent where they lie
                for piece in pieces:
                    self._pump(piece, bytearray(), what)
            else:
                out = memoryview(b"".join(pieces))
        body = bytearray()
        if due is not None:
            head_in = bytearray(HEADER.size)
            out = self._pump(out, head_in, what)
            body = bytearray(self._length(head_in, due, what))
            out = self._pump(out, body, what)
            self.received += HEADER.size + len(body)
            if head_in[28:36] == _label("error"):
                reason = bytes(body).decode("utf-8", "replace")
                raise SessionError(f"the {self.partner} stopped: {reason}")
        self._pump(out, bytearray(), what)
        return body

    def _length(self, header: bytearray, due: int, what: str) -> int:
        mark, session, number, label, length = HEADER.unpack(header)
        wrong = ""
        if mark != MARK:
            wrong = "no message of this protocol; is another program or version at its address?"
        elif label == _label("error"):
            return min(length, TEXT)
        elif session != self.session:
            wrong = "a message of another session: recorded and sent again, or misdirected"
        elif number != self.in_number:
            wrong = f"message {number} where {self.in_number} was due: sent again, or one is lost"
        elif label != _label(what):
            wrong = "a message that belongs to another step"
        elif length != due and not (due < 0 and length <= -due):
            wrong = f"{length} bytes where {abs(due)} were due"
        if wrong:
            raise SessionError(
                f"the {self.partner} sent {wrong} (at {what}); the session was ended"
            )
        self.in_number += 1
        return length

    def _pump(self, out: memoryview, into: bytearray, what: str) -> memoryview:
        """Send and receive until `into` is full, or all is sent where nothing is due; return the
        unsent rest.
        """
        view, done, last = memoryview(into), 0, time.monotonic()
        while done < len(view) or (not into and len(out)):
            sent, got = self._try_send(out, what), self._try_receive(view[done:], what)
            out, done = out[sent:], done + got
            if sent or got:
                last = time.monotonic()
                continue
            ready = select.select([self.connection], [self.connection] if len(out) else [], [], 1.0)
            if not any(ready) and time.monotonic() - last > self.timeout:
                raise SessionError(
                    f"the {self.partner} has been silent for {self.timeout:.0f} s (at {what}); see "
                    "whether it still runs, and run the session again"
                )
        return out

    def _try_send(self, out: memoryview, what: str) -> int:
        if not len(out):
            return 0
        try:
            return self.connection.send(out[:PIECE])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return 0
        except OSError as error:
            raise self._broken(error, what) from error

    def _try_receive(self, into: memoryview, what: str) -> int:
        if not len(into):
            return 0
        try:
            got = self.connection.recv_into(into[:PIECE])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return 0
        except OSError as error:
            raise self._broken(error, what) from error
        if not got:
            raise self._broken(ConnectionResetError(), what)
        return got

    def _broken(self, error: OSError, what: str) -> SessionError:
        return SessionError(broken(error, self.partner, what))


def broken(error: OSError, partner: str, what: str) -> str:
    """Say in one line what an error of the connection means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the {partner} is not accepted ({error.verify_message}); use "
            "certificates of one authority, each role its own"
        )
    reason = (getattr(error, "reason", None) or "").replace("_", " ").lower()
    if "alert" in reason and "record mac" not in reason and "decrypt" not in reason:
        return (
            f"the {partner} does not accept our certificate ({reason}); use certificates of one "
            "authority, each role its own"
        )
    gone = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or not isinstance(
        error, ssl.SSLError
    )
    if gone:
        return f"the {partner} is gone (at {what}); start it again, and then the session"
    return (
        f"what came from the {partner} was changed on its way (at {what}: {reason}); nothing of it "
        "was used; run the session again"
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 lets the system choose one.

    Raises `SessionError` where the port is in use or the address is not this machine's.
    """
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise SessionError(
            f"cannot listen on {host}:{port} ({getattr(error, 'strerror', None) or error}); name "
            "another port with --listen, or end the program that has it"
        ) from error


def accept(
    server: socket.socket, folder: str, role: str, partners: tuple[str, ...], timeout: float | None
) -> Wire:
    """Wait for a partner with a certificate of one of these roles.

    Raises `SessionError` where nobody comes in time, and for another certificate.
    """
    server.settimeout(timeout)
    try:
        raw, _ = server.accept()
    except TimeoutError:
        raise SessionError(f"no {' or '.join(partners)} came within {timeout:.0f} s") from None
    raw.settimeout(TIMEOUT)
    try:
        connection = context(folder, role, server=True).wrap_socket(raw, server_side=True)
    except OSError as error:
        raw.close()
        raise SessionError(broken(error, " or ".join(partners), "the handshake")) from error
    names = [name for name in roles_of(connection) if name in partners]
    if not names:
        shown = ", ".join(roles_of(connection)) or "no name"
        wire = Wire(connection, "partner")
        wire.complain(f"this is for a {' or '.join(partners)}, and your certificate names {shown}")
        wire.close()
        raise SessionError(f"a certificate of {shown} came; a {' or '.join(partners)} was expected")
    return Wire(connection, names[0])


def connect(host: str, port: int, folder: str, role: str, partner: str) -> Wire:
    """Connect to a partner and check that its certificate has its role.

    Raises `SessionError` where nobody answers, and for another certificate.
    """
    own = context(folder, role, server=False)
    try:
        raw = socket.create_connection((host, port), timeout=TIMEOUT)
    except (OSError, OverflowError) as error:
        raise SessionError(
            f"no {partner} answers at {host}:{port} ({getattr(error, 'strerror', None) or error}); "
            "start it first, or name another address"
        ) from error
    try:
        return Wire(own.wrap_socket(raw, server_hostname=partner), partner)
    except OSError as error:
        raw.close()
        raise SessionError(broken(error, partner, "the handshake")) from error


def _label(what: str) -> bytes:
    return hashlib.blake2b(what.encode(), digest_size=8).digest()
