"""Where a coordinator listens, and which ports of this machine are free."""

import socket

from medpriv_lib.core.host import host_of


def address_of(text: str) -> tuple[str, int]:
    """Return host and port of "host:port". Raises `ValueError` for anything else."""
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"an address is written HOST:PORT, such as 127.0.0.1:9092, not {text!r}")
    return host_of(host), int(port)


def require_known(host: str, port: int) -> None:
    """Raise `ValueError` where nobody knows of a machine of this name."""
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(
            f"{host}:{port}: no machine of this name is known ({error.strerror or error}); correct "
            "--coordinator, or write an IP address"
        ) from error


def require_free(host: str, port: int) -> None:
    """Raise `ValueError` where another process listens on this port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"{host}:{port} cannot be listened on ({error.strerror or error}); choose an "
                "address of this machine and a free port with --listen"
            ) from error


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
