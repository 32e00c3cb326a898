"""Where a coordinator listens, and which ports of this machine are free."""

import os
import socket


def address_of(text: str) -> tuple[str, int]:
    """Return host and port of "host:port". Raises `ValueError` for anything else."""
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"an address is written HOST:PORT, such as 127.0.0.1:9092, not {text!r}")
    return host, int(port)


def require_free(host: str, port: int) -> None:
    """Raise `ValueError` where another process listens on this port."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"{host}:{port} cannot be listened on ({os.strerror(error.errno or 0)}); choose "
                "another port with --listen"
            ) from error


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
